"""Geometry of the square patch against the formulas and against OpenCV at full size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deocclusion_d2.structures import SquareCrop, WindowMask


@pytest.mark.parametrize(
    ("box", "side"),
    [
        ((10, 10, 50, 50), 69),  # sqrt(3 * 40 * 40) = 69.28
        ((0, 0, 100, 10), 110),  # 1.1 * 100 > sqrt(3000) = 54.8
        ((0, 0, 4, 90), 99),  # 1.1 * 90 = 99.00000000000001
        ((7, 7, 8, 8), 1),  # sqrt(3) = 1.7
    ],
)
def test_side_is_the_largest_of_the_three(box, side):
    assert SquareCrop.around(box).side == side


def test_position_is_cut_towards_zero():
    # Centre (5, 5), side sqrt(3 * 100) = 17.32: left edge at -3.66 -> -3, not -4.
    assert SquareCrop.around((0, 0, 10, 10)) == SquareCrop(-3, -3, 17)


def test_jitter_shifts_by_the_unscaled_side_and_divides_the_side():
    # Side 17.32; centre 50 + 0.1 * 17.32 = 51.73 and 50 - 3.46 = 46.54; side 17.32 / 1.2 = 14.43.
    square = SquareCrop.around((45, 45, 55, 55), shift=(0.1, -0.2), scale=1.2)
    assert square == SquareCrop(44, 39, 14)


@pytest.mark.parametrize("size", [16, 64, 256])
@pytest.mark.parametrize("flip", [False, True])
def test_sampling_equals_opencv_on_the_full_image(size, flip):
    rng = np.random.default_rng(size)
    for _ in range(40):
        height, width = rng.integers(5, 200, 2)
        full = rng.random((height, width)) < 0.6
        mask = WindowMask.from_array(full)
        square = SquareCrop(*(int(v) for v in rng.integers(-60, 150, 2)), int(rng.integers(1, 300)))
        padded = np.zeros((square.side, square.side), np.uint8)
        for y in range(square.side):  # slow and plain on purpose
            source = y + square.y0
            if 0 <= source < height:
                left, right = max(square.x0, 0), min(square.x0 + square.side, width)
                if left < right:
                    padded[y, left - square.x0 : right - square.x0] = full[source, left:right]
        expected = cv2.resize(padded, (size, size), interpolation=cv2.INTER_NEAREST)
        expected = expected[:, ::-1] if flip else expected
        assert np.array_equal(square.sample(mask, size, flip), expected.astype(bool))


def test_bilinear_cut_keeps_what_covers_more_than_half():
    # 4 x 4 halved: OpenCV averages the middle two of each axis, that is each 2 x 2 block.
    full = np.zeros((4, 4), bool)
    full[0:2, 0:2] = True  # 4 of 4
    full[0:2, 2] = True  # 2 of 4: exactly one half is not foreground
    full[2:4, 0:2] = [[True, True], [True, False]]  # 3 of 4
    patch = SquareCrop(0, 0, 4).resize_bilinear(WindowMask.from_array(full), 2)
    assert patch.tolist() == [[True, False], [True, False]]


def test_paste_undoes_a_crop_of_the_same_size_and_drops_what_leaves_the_image():
    square = SquareCrop(-2, 1, 4)
    patch = np.ones((4, 4), bool)
    pasted = square.paste(patch, height=4, width=10)
    assert pasted.box == (0, 1, 2, 4)
    assert pasted.area == 6
    assert SquareCrop(20, 0, 4).paste(patch, 4, 10).is_empty


def test_image_crop_is_zero_outside():
    image = np.full((4, 4, 3), 200, np.uint8)
    patch = SquareCrop(-4, -4, 8).resize_image(image, 8)
    assert patch[:4].max() == 0 and patch[:, :4].max() == 0
    assert (patch[4:, 4:] == 200).all()
