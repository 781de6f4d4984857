"""Where an occluder can lie: counts by hand, and against a loop over all places."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.synthesis.occlusion_pairs import PlacementSettings, places
from deocclusion_d2.synthesis.occlusion_pairs.placement import shared_pixels

SQUARE = np.ones((10, 10), bool)


@pytest.mark.parametrize(
    ("measure", "grid", "count"),
    [
        # (10 - |dx|) (10 - |dy|) between 20 and 50.
        ("hidden_share", 1, 140),
        ("hidden_share", 2, 36),
        # c / (200 - c) between 0.2 and 0.5: c from 34 to 66.
        ("mask_iou", 1, 96),
        ("box_iou", 1, 96),
    ],
)
def test_two_squares(measure: str, grid: int, count: int):
    settings = PlacementSettings(measure=measure, grid=grid)
    assert len(places(SQUARE, (20, 20), SQUARE, (60, 60), settings)) == count


@pytest.mark.parametrize(
    ("shift", "fits"), [(4, False), (5, True), (6, True), (8, True), (9, False)]
)
def test_limits_are_inclusive(shift: int, fits: bool):
    found = places(SQUARE, (20, 20), SQUARE, (60, 60), PlacementSettings(grid=1))
    assert ([20 + shift, 20] in found.tolist()) == fits
    assert ([20 - shift, 20] in found.tolist()) == fits


def test_shared_pixels_of_all_shifts():
    rng = np.random.default_rng(0)
    first, second = rng.random((13, 9)) < 0.5, rng.random((5, 11)) < 0.5
    found = shared_pixels(first, second)
    assert found.shape == (17, 19)
    framed = np.pad(first, ((4, 4), (10, 10)))
    for y in range(17):
        for x in range(19):
            assert found[y, x] == (framed[y : y + 5, x : x + 11] & second).sum()


@pytest.mark.parametrize("measure", ["hidden_share", "mask_iou", "box_iou"])
def test_places_against_a_loop(measure: str):
    """Any outlines, near the border of the image; both windows tight."""
    rng = np.random.default_rng(1)
    height, width, corner = 22, 30, (3, 8)
    occludee, occluder = rng.random((9, 12)) < 0.6, rng.random((7, 8)) < 0.6
    settings = PlacementSettings(overlap=(0.15, 0.45), measure=measure, grid=3)
    whole = np.zeros((height, width), bool)
    whole[corner[1] : corner[1] + 9, corner[0] : corner[0] + 12] = occludee
    expected = []
    for y in range(0, height - 7 + 1, 3):
        for x in range(0, width - 8 + 1, 3):
            other = np.zeros_like(whole)
            other[y : y + 7, x : x + 8] = occluder
            shared = (whole & other).sum()
            if measure == "hidden_share":
                overlap = shared / whole.sum()
            elif measure == "mask_iou":
                overlap = shared / (whole | other).sum()
            else:
                across = max(min(x + 8, corner[0] + 12) - max(x, corner[0]), 0)
                down = max(min(y + 7, corner[1] + 9) - max(y, corner[1]), 0)
                overlap = across * down / (108 + 56 - across * down)
            if 0.15 <= overlap <= 0.45 and shared:
                expected.append([x, y])
    assert expected
    assert places(occludee, corner, occluder, (height, width), settings).tolist() == expected


def test_no_place():
    """An occluder larger than the image, and one that hides too little wherever it lies."""
    settings = PlacementSettings(grid=1)
    assert not len(places(SQUARE, (2, 2), np.ones((61, 5), bool), (60, 60), settings))
    assert not len(places(SQUARE, (2, 2), np.ones((3, 3), bool), (60, 60), settings))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"overlap": (0.5, 0.2)},
            "overlap must be two numbers of 0 < LOW <= HIGH <= 1, got 0.5 0.2",
        ),
        ({"overlap": (0.0, 0.2)}, "got 0 0.2"),
        ({"measure": "area"}, "measure must be one of hidden_share, mask_iou, box_iou"),
        ({"grid": 0}, "grid must be at least 1 px, got 0"),
    ],
)
def test_settings_that_make_no_sense(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        PlacementSettings(**options)
