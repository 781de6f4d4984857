"""The smooth fill, by hand, and what fills holes with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2.inference.content import SmoothFiller, TeleaFiller, object_hole
from deocclusion_d2.inference.content.smooth_fill import pyramid_fill, smooth_fill
from deocclusion_d2.structures import WindowMask


def test_mean_of_what_is_known():
    image = torch.tensor([[[[1.0, 2.0], [6.0, 0.0]]]])
    known = torch.tensor([[[[True, True], [True, False]]]])
    assert pyramid_fill(image, known)[0, 0].tolist() == [[1, 2], [6, 3]]
    assert pyramid_fill(0 * image, torch.zeros(1, 1, 2, 2).bool()).abs().max() == 0


def test_the_smallest_block_decides():
    # Blocks of 2 x 2 px of one colour each. In the first one pixel is missing, the last one is.
    image = torch.zeros(1, 1, 4, 4)
    image[..., :2, :2], image[..., :2, 2:], image[..., 2:, :2] = 8.0, 16.0, 32.0
    known = torch.ones(1, 1, 4, 4).bool()
    known[0, 0, 1, 1] = False
    known[0, 0, 2:, 2:] = False
    image = image * known
    filled = pyramid_fill(image, known)[0, 0]
    # The last block's is the mean of all known pixels; of the enlarged blocks the missing pixel
    # of the first lies at (3/4, 1/4) in both directions, the corner of the last in its block.
    mean = (3 * 8 + 4 * 16 + 4 * 32) / 11
    assert filled[1, 1].item() == pytest.approx((9 * 8 + 3 * 16 + 3 * 32 + mean) / 16)
    assert filled[3, 3].item() == pytest.approx(mean)
    assert torch.equal(filled[known[0, 0]], image[0, 0][known[0, 0]])


def test_half_of_the_object_half_of_all():
    # The object is 1 at the left, the rest is 0, and the right half is not known.
    image = torch.zeros(1, 1, 8, 8)
    own = torch.zeros(1, 1, 8, 8)
    own[..., :2] = 1
    image[..., :2] = 1
    known = torch.ones(1, 1, 8, 8)
    known[..., 4:] = 0
    filled = smooth_fill(image, known, own)[0, 0]
    assert torch.equal(filled[:, :4], image[0, 0, :, :4])
    # The smallest block that reaches beyond the hole is the patch: its known half is 1/2 in the
    # mean, that of the object 1. So the hole is 3/4, but 11/16 in its first column, which lies a
    # quarter of the way to a block of 0. Then 8 // 3 means of 3 x 3 pixels draw it to 0.
    columns = torch.tensor([0, 11 / 16, 3 / 4, 3 / 4, 3 / 4])
    once = (columns[:-2] + columns[1:-1] + columns[2:]) / 3
    twice = [(0 + once[0] + once[1]) / 3, once.mean(), (once[1] + once[2] + 0.75) / 3, 0.75]
    assert torch.allclose(filled[:, 4:], torch.tensor(twice).expand(8, 4))
    # Without the object, or all of it, nothing is shared.
    assert torch.equal(smooth_fill(image, known, 0 * own), smooth_fill(image, known, known))


def test_holes_have_no_influence_and_known_pixels_stay():
    torch.manual_seed(0)
    image, known = torch.rand(2, 3, 64, 64), (torch.rand(2, 1, 64, 64) < 0.3).float()
    own = (torch.rand(2, 1, 64, 64) < 0.5).float()
    known[:, :, 10:40, 20:60] = 0
    own[1] = 0
    filled = smooth_fill(image, known, own)
    other = torch.where(known > 0, image, torch.nan)
    assert torch.equal(smooth_fill(other, known, own), filled)
    assert torch.equal(torch.where(known > 0, image, 0), torch.where(known > 0, filled, 0))
    assert filled.min() >= image.min() - 1e-5 and filled.max() <= image.max() + 1e-5
    alone = smooth_fill(image[1:], known[1:], own[1:])
    assert torch.equal(alone, filled[1:])


# ------------------------------------------------------------------ what fills holes with it


def hole_beside_a_mixed_border(height=60, width=80):
    """An object (40) before a ground (40), hidden from x = 40 on by an occluder (240) whose colour
    is that of 2 px around it, too.
    """
    image = np.full((height, width, 3), 40, np.uint8)
    image[3:57, 38:72] = 240
    modal, occluder = WindowMask.filled((10, 10, 40, 50)), WindowMask.filled((40, 5, 70, 55))
    missing = WindowMask.filled((40, 10, 60, 50))
    return object_hole(image, modal, missing, modal | occluder, category_id=1)


@pytest.mark.parametrize("filler", [SmoothFiller, TeleaFiller])
def test_colours_at_the_border_of_an_occluder_are_not_taken_over(filler):
    hole = hole_beside_a_mixed_border()
    (window,) = filler(inset=2).fill([hole])
    assert window.shape == (40, 20, 3) and np.abs(window.astype(int) - 40).max() <= 6
    (window,) = filler(inset=0).fill([hole])
    assert window[:, 0].mean() > 120


def test_the_fill_needs_no_more_than_it_may_look_at():
    hole = hole_beside_a_mixed_border()
    other = hole.image.copy()
    other[5:55, 40:70] = np.random.default_rng(0).integers(0, 256, (50, 30, 3))
    spoiled = object_hole(other, hole.visible, hole.missing, hole.taken, category_id=1)
    for filler in (SmoothFiller(), TeleaFiller()):
        np.testing.assert_array_equal(filler.fill([hole])[0], filler.fill([spoiled])[0])


def test_where_nothing_is_known():
    image = np.full((20, 30, 3), 200, np.uint8)
    everything = WindowMask.filled((0, 0, 30, 20))
    visible = WindowMask.empty()
    hole = object_hole(image, visible, everything, everything, category_id=1)
    (window,) = SmoothFiller().fill([hole])
    assert window.shape == (20, 30, 3) and (window == 127).all()
    assert SmoothFiller(inset=3).describe() == {"content": "smooth", "content_inset": 3}
