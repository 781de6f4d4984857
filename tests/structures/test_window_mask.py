"""Window masks against plain full-size arrays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_util

from deocclusion_d2.structures import WindowMask, window_mask
from deocclusion_d2.structures.window_mask import intersect_boxes, meeting_pairs, union

HEIGHT, WIDTH = 40, 50


def random_masks(count: int, seed: int) -> list[np.ndarray]:
    """Blobs of random boxes, some empty, some at the border."""
    rng = np.random.default_rng(seed)
    masks = []
    for k in range(count):
        full = np.zeros((HEIGHT, WIDTH), bool)
        if k % 7:
            y, x = rng.integers(0, HEIGHT - 3), rng.integers(0, WIDTH - 3)
            h, w = rng.integers(1, 15, 2)
            full[y : y + h, x : x + w] = rng.random(full[y : y + h, x : x + w].shape) < 0.7
        masks.append(full)
    return masks


def test_round_trips_and_box():
    for full in random_masks(30, 0):
        mask = WindowMask.from_array(full)
        assert np.array_equal(mask.to_array(HEIGHT, WIDTH), full)
        assert mask.area == full.sum()
        rle = mask.to_rle(HEIGHT, WIDTH)
        assert np.array_equal(mask_util.decode(rle), full)
        assert WindowMask.from_rle(rle) == mask
        if full.any():
            ys, xs = np.nonzero(full)
            assert mask.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        else:
            assert mask.is_empty and mask.box == (0, 0, 0, 0)


def test_set_operations_equal_those_of_full_arrays():
    masks = random_masks(16, 1)
    windows = [WindowMask.from_array(m) for m in masks]
    for a, wa in zip(masks, windows, strict=True):
        for b, wb in zip(masks, windows, strict=True):
            assert np.array_equal((wa & wb).to_array(HEIGHT, WIDTH), a & b)
            assert np.array_equal((wa | wb).to_array(HEIGHT, WIDTH), a | b)
            assert np.array_equal((wa - wb).to_array(HEIGHT, WIDTH), a & ~b)
            assert wa.intersection_area(wb) == (a & b).sum()
    assert np.array_equal(union(windows).to_array(HEIGHT, WIDTH), np.any(masks, axis=0))
    assert union([]).is_empty


@pytest.mark.parametrize("dilation", [0, 3, 5, 7])
def test_touching_equals_dilation_of_the_full_image(dilation):
    masks = random_masks(40, 2)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    kernel = np.ones((max(dilation, 1),) * 2, np.uint8)
    found = 0
    for a in masks:
        grown = cv2.dilate(a.astype(np.uint8), kernel)
        window = WindowMask.from_array(a).dilate(dilation)
        assert np.array_equal(window.to_array(HEIGHT, WIDTH), grown > 0)
        reached = cv2.dilate(grown, cross) > 0
        for b in masks:
            expected = bool((reached & b).any())
            assert WindowMask.from_array(a).touches(WindowMask.from_array(b), dilation) == expected
            found += expected
    assert 100 < found < 1500  # both answers occur


@pytest.mark.parametrize(("gap", "dilation"), [(0, 0), (1, 3), (2, 5), (3, 7)])
def test_a_dilation_bridges_gaps_of_half_its_side(gap, dilation):
    first = WindowMask.from_array(np.ones((4, 4)))
    second = WindowMask.from_array(np.ones((4, 4)), x0=4 + gap)
    farther = WindowMask.from_array(np.ones((4, 4)), x0=5 + gap)
    assert first.touches(second, dilation) and second.touches(first, dilation)
    assert not first.touches(farther, dilation)


def test_diagonal_pixels_touch_only_with_a_dilation():
    first = WindowMask.from_array(np.ones((1, 1)))
    second = WindowMask.from_array(np.ones((1, 1)), x0=1, y0=1)
    assert not first.touches(second)
    assert first.touches(second, dilation=3)


@pytest.mark.parametrize("at_once", [7, 1 << 20])
@pytest.mark.parametrize("reach", [0, 1, 3])
def test_pairs_of_boxes_that_meet(reach, at_once, monkeypatch):
    monkeypatch.setattr(window_mask, "_PAIRS_AT_ONCE", at_once)
    rng = np.random.default_rng(3)
    for count in (0, 1, 2, 3, 40):
        low = rng.integers(-20, 20, (count, 2))
        boxes = np.concatenate([low, low + rng.integers(0, 12, (count, 2))], axis=1)
        expected = []
        for i, a in enumerate(boxes.tolist()):
            for j, b in enumerate(boxes.tolist()[i + 1 :], start=i + 1):
                filled = all(box[0] < box[2] and box[1] < box[3] for box in (a, b))
                near = (a[0] - reach, a[1] - reach, a[2] + reach, a[3] + reach)
                if filled and intersect_boxes(near, tuple(b)):
                    expected.append([i, j])
        assert meeting_pairs(boxes, reach).tolist() == expected


def test_a_window_does_not_keep_the_image_alive():
    full = np.zeros((1000, 1000), bool)
    full[5:8, 5:8] = True
    assert WindowMask.from_array(full).array.base is None


def test_opening_keeps_what_is_thick():
    """A square of 6 with a bar of 2 beside it: the bar is thinner than 3, the square is not."""
    array = np.zeros((20, 30), bool)
    array[5:11, 4:10] = True
    array[7:9, 10:25] = True
    mask = WindowMask.from_array(array, 3, -2)
    opened = mask.opened(3)
    square = WindowMask.filled((7, 3, 13, 9))
    assert (opened - square).is_empty and (square - opened).area <= 4  # of its corners
    assert mask.opened(1) is mask and mask.opened(7).is_empty
    # As thick as asked for, or thicker, stays: bars of 2 and 3 pixels.
    for thickness in (2, 3, 4, 7):
        bar = WindowMask.filled((0, 0, 40, thickness))
        assert bar.opened(thickness).area >= bar.area - 2 * thickness
        assert bar.opened(thickness + 2).is_empty
    assert WindowMask.empty().opened(3).is_empty
