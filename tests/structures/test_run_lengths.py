"""RLE in and out of windows: pixels and bytes are those of pycocotools, or known by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pytest
from pycocotools import mask as mask_util

from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.structures.run_lengths import (
    area_of,
    box_of,
    empty_rle,
    rle_of_runs,
    sound_rle,
    subtract,
)


def encoded(full: np.ndarray) -> dict:
    rle = mask_util.encode(np.asfortranarray(full.astype(np.uint8)))
    return {"size": list(full.shape), "counts": rle["counts"].decode("ascii")}


def runs_of(full: np.ndarray) -> list[int]:
    """Lengths of the runs, background first, by walking over the pixels."""
    groups = [(value, len(list(run))) for value, run in groupby(full.ravel(order="F").tolist())]
    return [0] * bool(groups and groups[0][0]) + [length for _, length in groups]


def hostile_masks() -> Iterator[np.ndarray]:
    """Every mask of a few tiny images, then larger ones of all kinds."""
    for height, width in [(1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (3, 3)]:
        for bits in range(2 ** (height * width)):
            yield (bits >> np.arange(height * width) & 1).astype(bool).reshape(height, width)
    rng = np.random.default_rng(0)
    for case in range(240):
        height, width = rng.integers(1, 60, 2)
        y, x = rng.integers(height), rng.integers(width)
        inner = np.zeros((height, width), bool)
        inner[y : y + rng.integers(1, 30), x : x + rng.integers(1, 30)] = True
        noise = rng.random((height, width)) < rng.random()
        corners = np.zeros((height, width), bool)
        corners[[0, 0, -1, -1], [0, -1, 0, -1]] = rng.random(4) < 0.5
        columns = np.zeros((height, width), bool)
        columns[:, x:] = True  # runs that go on in the next column
        yield (inner, inner & noise, noise, corners, columns, columns ^ inner)[case % 6]


def test_windows_and_bytes_are_those_of_pycocotools() -> None:
    for full in hostile_masks():
        height, width = full.shape
        rle = encoded(full)
        mask = WindowMask.from_rle(rle)
        assert mask == WindowMask.from_array(full)
        assert mask.array.dtype == bool and mask.array.flags.c_contiguous
        assert WindowMask.from_rle({**rle, "counts": rle["counts"].encode()}) == mask
        assert mask.to_rle(height, width) == rle
        assert area_of(rle) == full.sum()
        assert box_of(rle) == [float(v) for v in mask.xywh]
        assert rle_of_runs(np.array(runs_of(full)), height, width) == rle


def test_what_leaves_the_image_is_cut() -> None:
    rng = np.random.default_rng(1)
    empty = 0
    for _ in range(200):
        array = rng.random(rng.integers(1, 12, 2)) < 0.7
        mask = WindowMask.from_array(array, *(int(v) for v in rng.integers(-14, 14, 2)))
        height, width = (int(v) for v in rng.integers(0, 12, 2))
        full = mask.to_array(height, width)
        assert mask.to_rle(height, width) == encoded(full)
        empty += not full.any()
    assert 20 < empty < 180  # both kinds occur


def test_subtraction() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        size = rng.integers(1, 30, 2)
        first, second = rng.random(size) < 0.8, rng.random(size) < rng.random()
        assert subtract(encoded(first), encoded(second)) == encoded(first & ~second)


@pytest.mark.parametrize(
    ("height", "width", "y", "x"),
    [
        (1, 2**31 - 1, 0, 2**31 - 8),
        (1, 2**31 - 1, 0, 2**24 + 1),  # no float32 holds this column
        (2**31 - 1, 1, 2**31 - 8, 0),
        (46340, 46340, 46333, 46333),
        (46340, 46340, 0, 2**15 + 1),
    ],
)
def test_huge_images_cost_no_more_than_their_window(height: int, width: int, y: int, x: int):
    array = np.ones((min(height, 7), min(width, 7)), bool)
    array[array.shape[0] // 2, array.shape[1] // 2] = False
    runs = []
    end = 0  # of what is written
    for column, pixels in enumerate(array.T):
        for row, pixel in enumerate(pixels):
            place = (x + column) * height + y + row
            if pixel and place == end and runs:
                runs[-1] += 1
            elif pixel:
                runs += [place - end, 1]
            else:
                continue
            end = place + 1
    runs += [height * width - end] if end < height * width else []
    counts = mask_util.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    tracemalloc.start()
    rle = WindowMask(x, y, array).to_rle(height, width)
    mask = WindowMask.from_rle(rle)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rle == {"size": [height, width], "counts": counts["counts"].decode("ascii")}
    assert mask == WindowMask(x, y, array)
    assert box_of(rle) == [x, y, *array.shape[::-1]] and area_of(rle) == array.sum()
    assert peak < 1_000_000


def test_empty_masks_of_any_size() -> None:
    assert empty_rle(1, 2**31) == {"size": [1, 2**31], "counts": "PPPPPP2"}
    assert WindowMask.from_rle(empty_rle(46340, 46340)).is_empty
    assert empty_rle(0, 5)["counts"] == WindowMask.empty().to_rle(0, 5)["counts"] == "0"


@pytest.mark.parametrize(
    ("counts", "runs"),
    [
        ([0, 12], [0, 12]),
        ([3, 2, 0, 4, 3], [3, 6, 3]),  # two runs of foreground with nothing between
        ([3, 0, 2, 7], [5, 7]),
        ([0, 0, 3, 9], [3, 9]),
        ([5, 7, 0], [5, 7]),
        ([5, 7, 0, 0], [5, 7]),
        ([12, 0], [12]),
    ],
)
def test_runs_of_zero_pixels_are_joined(counts: list[int], runs: list[int]) -> None:
    full = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(3, 4, order="F")
    assert runs_of(full) == runs
    # pycocotools writes them as they are.
    rle = mask_util.frPyObjects({"size": [3, 4], "counts": counts}, 3, 4)
    assert WindowMask.from_rle(rle) == WindowMask.from_array(full)
    assert sound_rle(rle["counts"], 3, 4) == encoded(full)
    assert area_of(rle) == full.sum()


def test_a_number_with_more_groups_than_it_needs_is_read() -> None:
    # "P0" is "0" in two groups; a sound text stays as it is.
    assert WindowMask.from_rle({"size": [3, 4], "counts": "P0<"}).area == 12
    assert sound_rle("P0<", 3, 4) == {"size": [3, 4], "counts": "P0<"}


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ("", "add up to 0 pixels, the image has 3 x 4 = 12"),
        ("0", "add up to 0 pixels"),
        ("=", "add up to 13 pixels"),
        ("0<P", "end in the middle of a number"),
        ("0<\0", "outside its alphabet"),
        ("0\u03bb", "outside its alphabet"),
        ("\ud800", "outside its alphabet"),
        ("p<", "outside its alphabet"),  # its low 5 bits would be 0
        ("N>", "a negative run"),
        ("0\\PPPPP4", "add up to 4294967308"),  # 12 modulo 2^32
        ("PPPPPPP0<", "a number larger than any image"),
        ([12], "the RLE's counts are a list"),
        (None, "the RLE's counts are a NoneType"),
    ],
)
def test_damaged_counts_are_refused(counts: object, reason: str) -> None:
    as_bytes = counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts
    for given in (counts, as_bytes):
        with pytest.raises(UserError, match=reason):
            WindowMask.from_rle({"size": [3, 4], "counts": given})
        with pytest.raises(UserError, match=reason):
            sound_rle(given, 3, 4)


@pytest.mark.parametrize("size", [[12], [3, -4], [3, 4.5], [3, "4"], [2**31, 2**31], [4, 4]])
def test_sizes_that_are_none_are_refused(size: list) -> None:
    with pytest.raises(UserError):
        WindowMask.from_rle({"size": size, "counts": "0<"})
