"""Seams by hand and pixel by pixel; the gap that a census finds in masks that were laid out."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from deocclusion_d2.structures import GapCensus, Seams, WindowMask, neighbour_pairs, seam
from tests.helpers import box_mask

H, W = 14, 16


def drawn(*rows: str, of: str) -> WindowMask:
    return WindowMask.from_array(np.array([[c == of for c in row] for row in rows]))


# -------------------------------------------------------------------- seams


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (0, ["..........", "..........", ".........."]),
        (1, ["..........", "..........", ".........."]),
        (2, ["..ss......", "..ss......", ".........."]),
        # Beyond its end the seam is a little rounded: 1.41 + 2.24 and 1.41 + 2.24 are 3.65.
        (3, ["..ss......", "..ss......", "..ss......"]),
    ],
)
def test_a_seam_by_hand(gap, expected):
    """Two columns, two free columns, two columns; the third row is free altogether."""
    rows = ["aa..bb....", "aa..bb....", ".........."]
    first, second = drawn(*rows, of="a"), drawn(*rows, of="b")
    found = seam(first, second, gap).crop((0, 0, 10, 3))
    assert ["".join("s" if s else "." for s in row) for row in found] == expected


def slow_seam(first: np.ndarray, second: np.ndarray, gap: int) -> np.ndarray:
    """All distances of all pixels."""
    grid = np.stack(np.indices(first.shape), axis=-1)[:, :, None]
    a, b = (
        np.sqrt(((grid - np.argwhere(mask)) ** 2).sum(axis=-1)).min(axis=-1)
        for mask in (first, second)
    )
    return (a > 0) & (b > 0) & (a + b <= gap + 1 + 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_seams_equal_those_pixel_by_pixel(seed):
    rng = np.random.default_rng(seed)
    margin = 8
    first, second = np.zeros((2, H + 2 * margin, W + 2 * margin), bool)
    for array in (first, second):
        y, x, h, w = (
            margin + rng.integers(0, 8),
            margin + rng.integers(0, 8),
            *rng.integers(1, 7, 2),
        )
        array[y : y + h, x : x + w] = rng.random((h, w)) < 0.7
        array[y, x] = True
    windows = WindowMask.from_array(first), WindowMask.from_array(second)
    for gap in (1, 2, 3, 4, 7):
        expected = slow_seam(first, second, gap)
        assert np.array_equal(seam(*windows, gap).to_array(*first.shape), expected)
        assert seam(*windows[::-1], gap) == seam(*windows, gap)


def test_nothing_lies_between_what_is_empty_or_far():
    mask, far = WindowMask.filled((0, 0, 4, 4)), WindowMask.filled((9, 0, 12, 4))
    assert seam(mask, WindowMask.empty(), 9).is_empty
    assert seam(mask, far, 4).is_empty and seam(mask, far, 5).area == 5 * 4


def test_other_masks_keep_their_pixels():
    """a, two columns, b; in the upper half a third mask lies between them."""
    rows = ["aaccbb"] * 3 + ["aa..bb"] * 3
    masks = [drawn(*rows, of=name) for name in "abc"]
    seams = Seams(masks, (6, 6), 2)
    assert seams.pairs() == [(0, 1), (0, 2), (1, 2)]
    assert seams.between(0, 1) == seams.between(1, 0) == WindowMask.filled((2, 3, 4, 6))
    assert seams.eraser(0, [1]) == masks[1] | seams.between(0, 1)
    # Where masks touch, the seam goes on beside both, but not above the image.
    assert seams.between(0, 2) == drawn(*["......"] * 3, "..ss..", "..s...", of="s")
    assert seams.eraser(0, [1, 2]).area == 12 + 6 + 6
    # A mask that fills all there is between two others parts them.
    assert Seams([drawn("aaccbb", of=name) for name in "abc"], (1, 6), 2).pairs() == [
        (0, 2),
        (1, 2),
    ]


def test_without_a_gap_nothing_changes():
    rng = np.random.default_rng(3)
    masks = []
    for _ in range(12):
        x, y, w, h = *rng.integers(0, 40, 2), *rng.integers(2, 14, 2)
        masks.append(WindowMask.filled((x, y, x + w, y + h)))
    seams = Seams(masks, (60, 60), 0)
    assert seams.pairs() == neighbour_pairs(masks)
    assert seams.eraser(0, [1]) is masks[1] and seams.between(0, 1).is_empty


# -------------------------------------------------------------------- census


def laid_out(gap: int, count: int = 12, seed: int = 0) -> list[list[WindowMask]]:
    """Scenes of two boxes with so many free columns between them, and one far away."""
    rng = np.random.default_rng(seed)
    scenes = []
    for _ in range(count):
        y, w, h = rng.integers(0, 9), *rng.integers(20, 40, 2)
        left = WindowMask.filled((0, y, w, y + h))
        right = WindowMask.filled((w + gap, y + 3, 2 * w + gap, y + h + 5))
        scenes.append([left, right, WindowMask.filled((300, 300, 320, 320))])
    return scenes


def census_of(scenes) -> GapCensus:
    return sum((GapCensus.of_scene(masks) for masks in scenes), GapCensus.empty())


@pytest.mark.parametrize("gap", [1, 2, 3, 5, 8])
def test_the_gap_of_what_was_laid_out(gap):
    census = census_of(laid_out(gap))
    assert gap <= census.closing() < gap + 3
    assert census.pairs[gap] == 12 == census.pairs.sum() and census.touching == 0


@pytest.mark.parametrize("gap", [0, 18, 200])
def test_nothing_to_close(gap):
    assert census_of(laid_out(gap)).closing() == 0


def test_the_back_of_a_thin_object_is_no_seam():
    """Poles of 3 px, 2 px beside boxes: not 2 + 3."""
    scenes = []
    for height in range(30, 42):
        pole, box = WindowMask.filled((0, 0, 3, height)), WindowMask.filled((5, 2, 40, height))
        scenes.append([pole, box])
    assert 2 <= census_of(scenes).closing() <= 3


def test_what_is_near_by_chance_is_no_seam():
    """Boxes at distances that are all as frequent, up to 40 px."""
    rng = np.random.default_rng(0)
    scenes = [laid_out(int(gap), 1, seed)[0] for seed, gap in enumerate(rng.integers(1, 40, 200))]
    assert census_of(scenes).closing() == 0
    touching = laid_out(0, 100, 1)
    assert census_of(scenes + touching).closing() == 0


@pytest.mark.parametrize("eroded", [1, 2, 3])
def test_masks_that_shrank_are_closed_about_twice_as_far(eroded):
    """Discs cut by discs in front of them, then all eroded; and others by chance."""
    rng = np.random.default_rng(eroded)
    kernel = np.ones((2 * eroded + 1, 2 * eroded + 1), np.uint8)
    scenes = []
    for _ in range(30):
        free, masks = np.ones((120, 160), np.uint8), []
        for _ in range(6):
            disc = np.zeros_like(free)
            centre = int(rng.integers(20, 140)), int(rng.integers(20, 100))
            cv2.circle(disc, centre, int(rng.integers(12, 24)), 1, -1)
            masks.append(WindowMask.from_array(cv2.erode(disc & free, kernel)))
            free &= 1 - disc
        scenes.append(masks)
    assert 2 * eroded <= census_of(scenes).closing() <= 3 * eroded + 1


def test_a_census_by_hand():
    """Of a 4 x 4 box: 1 px beside it a 2 x 2 box, below it, in it and sharing 4 of 8 pixels."""
    box = WindowMask.filled((10, 10, 14, 14))
    beside, below = WindowMask.filled((15, 10, 17, 12)), WindowMask.filled((10, 14, 12, 16))
    inside, half = WindowMask.filled((11, 11, 13, 13)), WindowMask.filled((8, 10, 12, 12))
    census = census_of([[box, other] for other in (beside, below, inside, half)])
    assert (census.scenes, census.masks, census.touching) == (4, 8, 3)
    assert census.pairs.tolist() == [1, 1, *[0] * 22]
    # The shares 1 and 1/2 of the smaller mask.
    assert census.overlaps.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    # Beside: 2 pixels at 1. Below: 2 at 0. Inside: 4 at 0. Half: 4 inside.
    assert census.borders.tolist() == [10, 2, *[0] * 22]
    assert census.near_pairs(0) == 3 and census.near_pairs(1) == 4


def test_censuses_add_up_and_survive_json():
    scenes = laid_out(2, 5) + laid_out(0, 3)
    whole = census_of(scenes)
    assert census_of(scenes[:4]) + census_of(scenes[4:]) == whole != census_of(scenes[:4])
    assert GapCensus.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    assert census_of([]).closing() == 0 == GapCensus.of_scene([]).closing()
    assert GapCensus.of_scene([WindowMask.empty()]).masks == 0


def test_the_order_of_masks_does_not_matter():
    masks = [WindowMask.from_array(box_mask(60, 90, x, 4, x + 14, 30)) for x in (0, 16, 33, 50)]
    assert GapCensus.of_scene(masks) == GapCensus.of_scene(masks[::-1])


def test_predicted_masks_are_two_pixels_apart_at_least():
    """Whatever is measured; not where annotated ones are among them."""
    pair = [WindowMask.filled((0, 0, 10, 10)), WindowMask.filled((10, 0, 20, 10))]
    predicted, drawn = GapCensus.of_scene(pair, predicted=True), GapCensus.of_scene(pair)
    assert (predicted.closing(), drawn.closing()) == (2, 0)
    assert (predicted + predicted).closing() == 2 and (predicted + drawn).closing() == 0
    # An image without predictions says nothing.
    assert (predicted + GapCensus.of_scene([])).closing() == 2
    assert GapCensus.empty().closing() == 0
    assert GapCensus.from_json(predicted.to_json()).closing() == 2
    older = {k: v for k, v in predicted.to_json().items() if k != "predicted"}
    assert GapCensus.from_json(older).closing() == 0
