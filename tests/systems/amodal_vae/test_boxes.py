"""Where completed masks lie: boxes, frames, and pasting, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2.systems.amodal_vae.mapper import in_frame, soft_crop
from deocclusion_d2.systems.amodal_vae.steps import paste
from deocclusion_d2.systems.amodal_vae.transformer import (
    BoxTransformer,
    box_between,
    box_from,
    place_in_frame,
)

IDENTITY = torch.zeros(1, 4)


def test_boxes_there_and_back():
    modal = (10, 10, 30, 20)
    box = np.array([0.5, 0, np.log(2), 0], np.float32)
    assert box_from(modal, box) == pytest.approx((10, 10, 50, 20), abs=1e-5)
    assert box_between(modal, (10, 10, 50, 20)) == pytest.approx(box)
    for amodal in ((10, 10, 30, 20), (3, 8, 31, 90)):
        assert box_from(modal, box_between(modal, amodal)) == pytest.approx(amodal, abs=1e-4)


def test_at_first_the_box_is_the_modal_one():
    transformer = BoxTransformer(8, 3, 0.5, use_aspect=True).eval()
    seen = transformer.seen(torch.rand(2, 1, 8, 8), torch.rand(2, 1))
    assert torch.equal(transformer(seen, torch.rand(2, 3)), torch.zeros(2, 4))


def test_a_frame_of_the_modal_box_is_the_mask():
    mask = torch.rand(1, 6, 6)
    assert torch.allclose(place_in_frame(mask, IDENTITY, 6, 1.0), mask, atol=1e-6)


def test_a_frame_three_times_as_large():
    """The mask in the middle third, one pixel each; moved by a side to the right, doubled below."""
    mask = torch.rand(1, 4, 4) + 0.1
    placed = place_in_frame(mask, IDENTITY, 12, 3.0)[0]
    assert torch.allclose(placed[4:8, 4:8], mask[0], atol=1e-6)
    assert placed[:4].abs().max() < 1e-6 and placed[:, 8:].abs().max() < 1e-6
    moved = place_in_frame(mask, torch.tensor([[1.0, 0, 0, 0]]), 12, 3.0)[0]
    assert torch.allclose(moved[4:8, 8:], mask[0], atol=1e-6)
    ones = torch.ones(1, 4, 4)
    tall = place_in_frame(ones, torch.tensor([[0.0, 0.5, 0, float(np.log(2))]]), 12, 3.0)[0]
    assert tall.round().sum() == 4 * 8 and tall[4:, 4:8].round().all()


def test_the_true_mask_in_the_frame():
    mask = np.zeros((12, 12), bool)
    mask[4:8, 4:10] = True
    assert np.array_equal(in_frame(mask, (4, 4, 8, 8), 3.0, 12), mask)
    # Beyond the patch there is nothing, not the border's repetition.
    corner = in_frame(np.ones((6, 6), bool), (0, 0, 4, 4), 3.0, 12)
    assert corner.sum() == 36 and corner[4:10, 4:10].all()


def test_soft_crops():
    """Means of areas where sides shrink; the sum of a mask is kept."""
    mask = np.zeros((9, 20), bool)
    mask[2:6, 3:11] = True
    crop = soft_crop(mask, (3, 2, 11, 6), 4)
    assert np.allclose(crop, 1)
    half = soft_crop(mask, (3, 2, 19, 6), 4)
    assert np.allclose(half, [[1, 1, 0, 0]] * 4)
    uneven = soft_crop(mask, (2, 2, 12, 6), 4)
    assert uneven.mean() == pytest.approx(0.8, abs=1e-5)
    assert soft_crop(mask, (3, 2, 5, 4), 28).shape == (28, 28)


def test_pasting():
    """A constant 1 fills exactly the pixels whose centres are in the box; outside is 0."""
    ones = np.ones((28, 28), np.float32)
    pasted, x0, y0 = paste(ones, (2, 3, 12, 9), 20, 20)
    assert (x0, y0) == (2, 3) and pasted.shape == (6, 10) and (pasted == 1).all()
    pasted, x0, y0 = paste(ones, (-5.0, 17.6, 3.4, 40.0), 20, 20)
    assert (x0, y0) == (0, 18) and pasted.shape == (2, 3)
    assert paste(ones, (30, 30, 40, 40), 20, 20)[0].size == 0
    levels = np.array([[0.09, 0.11]], np.float32).repeat(2, axis=0)
    pasted, *_ = paste(levels, (0, 0, 8, 2), 20, 20)
    assert ((pasted > 0.1).sum(axis=0) > 0).tolist() == [False] * 4 + [True] * 4


def test_a_mask_pasted_where_it_was_is_itself():
    mask = np.zeros((20, 30), bool)
    mask[4:18, 6:20] = np.random.default_rng(0).random((14, 14)) < 0.5
    mask[4, 6] = mask[17, 19] = True
    crop = soft_crop(mask, (6, 4, 20, 18), 14)
    pasted, x0, y0 = paste(crop, (6, 4, 20, 18), 20, 30)
    assert (x0, y0) == (6, 4)
    assert np.array_equal(pasted > 0.5, mask[4:18, 6:20])
