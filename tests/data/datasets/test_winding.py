"""Outlines that are filled without being repaired, against pycocotools and shapely."""

import numpy as np
import pytest
import shapely
from pycocotools import mask as mask_util

from deocclusion_d2.data.datasets import InvalidAnnotation, to_rle, winding
from deocclusion_d2.data.datasets.winding import estimate_crossings, fill_runs, walk_length


def decode(rle: dict) -> np.ndarray:
    return mask_util.decode(rle).astype(bool)


def filled(outline: np.ndarray, height: int, width: int) -> np.ndarray:
    runs = fill_runs(outline, height, width)
    assert int(runs.sum()) == height * width
    return decode(mask_util.frPyObjects({"size": [height, width], "counts": runs}, height, width))


def star(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """An outline without crossings around a point of the image, partly outside of it."""
    count = int(random.integers(3, 12))
    angles = np.sort(random.random(count)) * 2 * np.pi
    radii = random.random(count) * max(height, width) * 0.8
    centre = random.random(2) * [width, height]
    return centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_sound_outlines_have_the_bits_of_pycocotools(decimals: int, monkeypatch) -> None:
    monkeypatch.setattr(winding, "_CROSSINGS", 16)
    random = np.random.default_rng(decimals)
    checked = 0
    for case in range(150):
        height, width = (int(v) for v in random.integers(2, 50, 2))
        outline = star(random, height, width).round(decimals)[:: 1 - 2 * (case % 2)]
        if shapely.is_valid(shapely.polygons(outline)):
            expected = decode(mask_util.frPyObjects([outline.ravel().tolist()], height, width)[0])
            assert np.array_equal(filled(outline, height, width), expected)
            checked += 1
    assert checked > 100


def test_what_is_surrounded_in_either_direction_or_twice_is_filled() -> None:
    bow_tie = np.array([[0, 0], [80, 80], [80, 0], [0, 80]], float)
    assert abs(int(filled(bow_tie, 100, 100).sum()) - 3200) <= 80
    twice = [0, 0, 20, 0, 20, 20, 0, 20, 0, 0, 5, 5, 15, 5, 15, 15, 5, 15, 5, 5]
    square = np.zeros((30, 30), bool)
    square[:20, :20] = True
    assert np.array_equal(filled(np.array(twice, float).reshape(-1, 2), 30, 30), square)
    assert not filled(np.array([[40.0, 1], [50, 1], [50, 9]]), 30, 30).any()
    everything = np.array([[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]])
    assert filled(everything, 30, 40).all()


def test_scribbles_are_filled_as_they_would_be_repaired() -> None:
    """Up to pixels along the outline: of the image 1 in 50 at most, 1 in 200 on average."""
    random = np.random.default_rng(3)
    shares = []
    for _ in range(12):
        height, width = (int(v) for v in random.integers(80, 300, 2))
        outline = random.random((int(random.integers(5, 60)), 2)) * [width, height]
        repaired = decode(to_rle([outline.ravel().tolist()], height, width))
        shares.append(float((filled(outline, height, width) != repaired).mean()))
    assert max(shares) < 0.02 and np.mean(shares) < 0.005


def meets(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    return bool(shapely.intersects(shapely.linestrings([a, b]), shapely.linestrings([c, d])))


def test_crossings_are_counted() -> None:
    random = np.random.default_rng(4)
    for _ in range(5):
        p = random.random((14, 2)) * 10
        n = len(p)
        expected = sum(
            meets(p[i], p[(i + 1) % n], p[j], p[(j + 1) % n])
            for i in range(n)
            for j in range(i + 2, n)
            if (i, j) != (0, n - 1)
        )
        assert estimate_crossings(p) == expected
    square = np.array([[0.0, 0], [9, 0], [9, 9], [0, 9]])
    assert estimate_crossings(square) == 0 and walk_length(square) == 5 * 36 + 4


def test_crossings_of_many_are_estimated(monkeypatch) -> None:
    p = np.random.default_rng(5).random((600, 2)) * 100
    exact = estimate_crossings(p)
    monkeypatch.setattr(winding, "_PAIRS", 20_000)
    assert exact != estimate_crossings(p) == pytest.approx(exact, rel=0.25)


def test_a_scribble_of_5000_points_is_filled_not_repaired(monkeypatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("would take gigabytes")

    monkeypatch.setattr(shapely, "make_valid", never)
    random = np.random.default_rng(6)
    for height, width in ((48, 64), (1200, 1000)):
        outline = random.random((5000, 2)) * [width, height]
        mask = decode(to_rle([outline.ravel().tolist()], height, width))
        # Here and there, the outline turns back as often as it has gone around.
        assert 0.8 < mask.mean() < 1
    # An outline of as many points with a few crossings is repaired as ever.
    angles = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    ring = 100 + 80 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ring[[10, 40]] = ring[[40, 10]]
    with pytest.raises(AssertionError, match="gigabytes"):
        to_rle([ring.ravel().tolist()], 200, 200)


def test_an_outline_that_no_image_needs_is_one_line(monkeypatch) -> None:
    monkeypatch.setattr(winding, "MAX_CROSSINGS", 10_000)
    outline = np.random.default_rng(7).random((5000, 2)) * [64, 48]
    with pytest.raises(InvalidAnnotation, match="of 5000 points: its outline crosses the columns"):
        to_rle([outline.ravel().tolist()], 48, 64)


def test_many_parts_are_united() -> None:
    parts = [[x, y, x + 1, y, x + 1, y + 1, x, y + 1] for x in range(0, 60, 2) for y in range(50)]
    expected = np.zeros((50, 60), bool)
    expected[:, ::2] = True
    assert np.array_equal(decode(to_rle(parts, 50, 60)), expected)
