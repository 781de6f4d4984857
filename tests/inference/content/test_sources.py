"""Pixels that colours are taken from, against a slow search and by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deocclusion_d2.inference.content import object_hole
from deocclusion_d2.inference.content.sources import inner_pixels
from deocclusion_d2.structures import WindowMask


def slow_inner(mask, inset):
    """Depth: the rings of pixels around one that are all in the mask, ``inset`` at most."""
    depth = np.zeros(mask.shape, int)
    for y, x in np.argwhere(mask):
        depth[y, x] = 1
        while depth[y, x] <= inset and _around(mask, y, x, depth[y, x]).all():
            depth[y, x] += 1
    return np.array(
        [
            [d > 0 and d == _around(depth, y, x, inset).max() for x, d in enumerate(row)]
            for y, row in enumerate(depth)
        ]
    )


def _around(array, y, x, reach):
    return array[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]


@pytest.mark.parametrize("inset", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_random_masks(seed, inset):
    noise = np.random.default_rng(seed).random((40, 50)).astype(np.float32)
    mask = cv2.GaussianBlur(noise, (0, 0), 3) > 0.5
    np.testing.assert_array_equal(inner_pixels(mask, inset), slow_inner(mask, inset))


def test_thin_parts_keep_their_deepest_pixels():
    mask = np.zeros((30, 60), bool)
    mask[5:25, 5:25] = True  # a square of 20 px
    mask[10, 30:50] = True  # a line
    mask[20:23, 30:50] = True  # three lines
    mask[28, 55] = True  # a dot
    kept = inner_pixels(mask, 2)
    expected = np.zeros_like(mask)
    expected[7:23, 7:23] = True
    expected[10, 30:50] = True
    expected[21, 31:49] = True
    expected[28, 55] = True
    np.testing.assert_array_equal(kept, expected)
    assert inner_pixels(mask, 0) is mask
    assert inner_pixels(np.ones((4, 5), bool), 3).all()


@pytest.mark.parametrize("inset", [0, 1, 2, 3])
def test_sources_of_a_hole_do_not_depend_on_the_box(inset):
    """Of any box, also beyond the image, they are those of the whole image; its edge is none."""
    rng = np.random.default_rng(inset)
    height, width = 40, 50
    blobs = [cv2.GaussianBlur(rng.random((height, width)), (0, 0), 3) > 0.5 for _ in range(3)]
    own, other, gone = blobs
    own &= ~gone
    masks = [WindowMask.from_array(m) for m in (own, gone, own | other | gone)]
    hole = object_hole(np.zeros((height, width, 3), np.uint8), *masks, category_id=1)
    visible = slow_inner(own, inset) if inset else own
    free = ~(own | other | gone)
    seen = visible | (slow_inner(free, inset) if inset else free)
    for x0, y0, x1, y1 in ((0, 0, width, height), (7, 9, 22, 30), (-5, -9, 20, 60), (60, 1, 70, 5)):
        sources = hole.sources((x0, y0, x1, y1), inset)
        for found, whole in ((sources.visible, visible), (sources.seen, seen)):
            canvas = np.zeros((height + 200, width + 200), bool)
            canvas[100 : 100 + height, 100 : 100 + width] = whole
            expected = canvas[100 + y0 : 100 + y1, 100 + x0 : 100 + x1]
            np.testing.assert_array_equal(found, expected)
