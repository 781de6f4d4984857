"""Fills without training: they see nothing of the hole and change nothing beside it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deocclusion_d2.inference.content.opencv import FILLS, mean_colour
from tests.helpers import box_mask

H, W = 40, 50
HOLE = box_mask(H, W, 10, 12, 30, 25) | box_mask(H, W, 0, 0, 8, 5)
VISIBLE = box_mask(H, W, 5, 5, 35, 35) & ~HOLE


def photo():
    noise = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


@pytest.mark.parametrize("name", FILLS)
def test_true_pixels_of_the_hole_change_nothing(name):
    image = photo()
    other = image.copy()
    other[HOLE] = np.random.default_rng(1).integers(0, 256, (HOLE.sum(), 3))
    filled = FILLS[name](image, HOLE, VISIBLE)
    assert filled.dtype == np.uint8 and filled.shape == image.shape
    np.testing.assert_array_equal(filled[HOLE], FILLS[name](other, HOLE, VISIBLE)[HOLE])
    np.testing.assert_array_equal(filled[~HOLE], image[~HOLE])
    # ... and it does depend on what is around the hole.
    inverted = FILLS[name](255 - image, HOLE, VISIBLE)
    assert not np.array_equal(filled[HOLE], inverted[HOLE])


@pytest.mark.parametrize("name", ["telea", "navier_stokes"])
def test_hole_at_the_border_keeps_the_range_of_its_surroundings(name):
    # A hole in the corner of a grey image: whatever it held must not bleed in.
    image = np.full((H, W, 3), 128, np.uint8)
    hole = box_mask(H, W, 0, 0, 9, 6)
    image[hole] = 255
    assert (FILLS[name](image, hole, ~hole) == 128).all()


@pytest.mark.parametrize("name", ["telea", "navier_stokes"])
def test_inpainting_continues_what_is_around_the_hole(name):
    # Left of column 20 one colour, right of it another; a hole within the left part.
    image = np.full((H, W, 3), (10, 200, 90), np.uint8)
    image[:, 20:] = (250, 0, 30)
    hole = box_mask(H, W, 4, 8, 12, 14)
    image[hole] = 255
    filled = FILLS[name](image, hole, np.zeros_like(hole))
    # OpenCV's roundings add up to 2 levels where its neighbours have one colour.
    assert np.abs(filled[hole].astype(int) - (10, 200, 90)).max() <= 2


def test_the_two_methods_are_opencvs_two():
    # Away from the image's border, where OpenCV looks at the hole's own pixels.
    image, hole = photo(), box_mask(H, W, 10, 12, 30, 25)
    telea, navier_stokes = (FILLS[n](image, hole, VISIBLE) for n in ("telea", "navier_stokes"))
    mask = hole.astype(np.uint8)
    np.testing.assert_array_equal(telea, cv2.inpaint(image, mask, 3, cv2.INPAINT_TELEA))
    np.testing.assert_array_equal(navier_stokes, cv2.inpaint(image, mask, 3, cv2.INPAINT_NS))


def test_mean_colour_is_that_of_the_visible_pixels():
    image = np.zeros((2, 4, 3), np.uint8)
    image[0] = [(10, 0, 0), (20, 5, 0), (33, 1, 255), (200, 200, 200)]
    visible = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)
    hole = np.array([[0, 0, 1, 0], [0, 0, 1, 0]], bool)  # a pixel of both counts as erased
    # (10 + 20) / 2 and (0 + 5) / 2, rounded half to even.
    np.testing.assert_array_equal(mean_colour(image, hole, visible)[hole], [(15, 2, 0)] * 2)
    # Nothing visible is left: all six pixels outside the hole, (230, 205, 200) / 6.
    nothing = np.zeros_like(visible)
    np.testing.assert_array_equal(mean_colour(image, hole, nothing)[hole], [(38, 34, 33)] * 2)
    with pytest.raises(ValueError, match="every pixel"):
        mean_colour(image, np.ones_like(hole), visible)
