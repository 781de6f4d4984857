"""Polygons along the corners of pixels: what they are by hand, and what readers make of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_util

from deocclusion_d2.data.datasets import to_rle
from deocclusion_d2.structures import WindowMask, polygons_of


def array_of(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


def polygons(*rows: str) -> tuple[list[list[int]], int]:
    array = array_of(*rows)
    return polygons_of(WindowMask.from_array(array), *array.shape)


def test_one_pixel():
    assert polygons("...", ".#.") == ([[1, 1, 2, 1, 2, 2, 1, 2]], 0)


def test_an_l():
    assert polygons("#.", "##") == ([[0, 0, 1, 0, 1, 1, 2, 1, 2, 2, 0, 2]], 0)


def test_pixels_that_touch_at_a_corner_are_two():
    found, holes = polygons("#.", ".#")
    assert found == [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]] and holes == 0


def test_a_hole_is_joined_by_a_cut_straight_up():
    found, holes = polygons("###", "#.#", "###")
    # The top side up to the cut, down, the hole the other way around, up, and on.
    ring = [(0, 0), (1, 0), (1, 1), (1, 2), (2, 2), (2, 1), (1, 1), (1, 0), (3, 0), (3, 3), (0, 3)]
    assert found == [[value for point in ring for value in point]] and holes == 1


def test_an_island_in_a_hole_is_a_part_of_its_own():
    found, holes = polygons("#####", "#...#", "#.#.#", "#...#", "#####")
    assert holes == 1 and found[1] == [2, 2, 3, 2, 3, 3, 2, 3] and len(found) == 2


def test_what_lies_outside_the_image_is_cut():
    mask = WindowMask(-2, 1, np.ones((9, 4), bool))
    assert polygons_of(mask, 5, 8) == ([[0, 1, 2, 1, 2, 5, 0, 5]], 0)
    assert polygons_of(WindowMask(9, 0, np.ones((2, 2), bool)), 5, 8) == ([], 0)
    assert polygons_of(WindowMask.empty(), 5, 8) == ([], 0)


def strange_masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (1, 9), (9, 1), (2, 2), (13, 17), (30, 22)]
    noise = [rng.random(s) < p for s in shapes for p in (0.2, 0.5, 0.8, 1.0) for _ in range(3)]
    blobs = [cv2.GaussianBlur(rng.random((40, 50)), (0, 0), 2) > 0.5 for _ in range(6)]
    return noise + blobs


def by_winding(rings: list[list[int]], height: int, width: int) -> np.ndarray:
    """How often rings go around each pixel, counted along its row."""
    turns = np.zeros((height, width), int)
    for ring in rings:
        points = np.reshape(ring, (-1, 2))
        for (x, y), (x_next, y_next) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if x == x_next:
                turns[min(y, y_next) : max(y, y_next), x:] += np.sign(y_next - y)
    return turns


@pytest.mark.parametrize("array", strange_masks(), ids=lambda array: f"{array.shape}")
def test_every_reader_gets_the_mask_back(array):
    height, width = array.shape
    rings, _ = polygons_of(WindowMask.from_array(array), height, width)
    # A polygon for each part whose pixels share edges.
    assert len(rings) == cv2.connectedComponents(array.astype(np.uint8), connectivity=4)[0] - 1
    if not array.any():
        return
    of_pycocotools = mask_util.decode(mask_util.merge(mask_util.frPyObjects(rings, height, width)))
    assert np.array_equal(of_pycocotools, array)
    of_ours = WindowMask.from_rle(to_rle(rings, height, width))
    assert np.array_equal(of_ours.to_array(height, width), array)
    assert np.array_equal(np.abs(by_winding(rings, height, width)), array)
