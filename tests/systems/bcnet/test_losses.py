"""What BCNet's outputs learn: boundaries, chosen regions, cross-entropy, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from deocclusion_d2.systems.bcnet.losses import boundaries, judged_regions, mask_loss


def region(*box: int, side: int = 28) -> torch.Tensor:
    x0, y0, x1, y1 = box
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    mask[:, y0:y1, x0:x1] = True
    return mask


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((9, 9, 19, 19), 140 - 64),  # 10 x 10: the cross adds 40 pixels, and leaves 8 x 8
        ((5, 7, 6, 8), 5),
        ((0, 0, 28, 28), 0),  # what fills the region has no boundary in it
        ((0, 0, 14, 28), 56),  # one column inside, one outside
        ((3, 3, 3, 3), 0),
    ],
)
def test_boundaries(box, pixels):
    assert int(boundaries(region(*box)).sum()) == pixels


def test_boundaries_are_those_of_another_implementation():
    masks = np.random.default_rng(0).random((20, 15, 17)) < 0.6
    cross = ndimage.generate_binary_structure(2, 1)
    slow = [
        ndimage.binary_dilation(m, cross) ^ ndimage.binary_erosion(m, cross, border_value=1)
        for m in masks
    ]
    assert np.array_equal(boundaries(torch.from_numpy(masks)).numpy(), slow)
    assert boundaries(torch.zeros(0, 28, 28, dtype=torch.bool)).shape == (0, 28, 28)


def test_judged_regions():
    occluded = torch.tensor([False, False, True, False])
    assert judged_regions(occluded, "code").tolist() == [2, 0]
    assert judged_regions(occluded, "all").tolist() == [0, 1, 2, 3]
    drawn = {tuple(judged_regions(occluded, "random").tolist()) for _ in range(100)}
    assert drawn == {(2, 0), (2, 1), (2, 3)}  # never the occluded one twice
    mostly = torch.tensor([True, False, True, True])
    assert judged_regions(mostly, "random").tolist() == [0, 2, 3, 1]
    assert judged_regions(mostly, "code").tolist() == [0, 2, 3, 0, 1, 2]
    for balance in ("code", "random"):
        assert judged_regions(torch.zeros(3, dtype=torch.bool), balance).tolist() == []


def test_mask_loss():
    logits = torch.zeros(2, 28, 28, requires_grad=True)
    assert mask_loss(logits, region(0, 0, 5, 5).expand(2, -1, -1)).item() == pytest.approx(
        math.log(2)
    )
    nothing = mask_loss(logits[:0], torch.zeros(0, 28, 28, dtype=torch.bool))
    nothing.backward()
    assert nothing.item() == 0 and not logits.grad.any()
