"""to_rle: every way to write a mask, against pixels known by hand."""

import numpy as np
import pytest
from pycocotools import mask as mask_util

from deocclusion_d2.data.datasets import InvalidAnnotation, to_rle
from deocclusion_d2.data.datasets.segmentation import looks_normalised
from deocclusion_d2.structures.run_lengths import box_of, is_empty, subtract


def pixels(rle: dict) -> np.ndarray:
    return mask_util.decode(rle).astype(bool)


def rectangle(height: int, width: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def runs_of(mask: np.ndarray) -> list[int]:
    """Uncompressed counts by walking over the pixels, column by column."""
    runs, value, count = [], 0, 0
    for pixel in mask.ravel(order="F"):
        if pixel != value:
            runs.append(count)
            value, count = pixel, 0
        count += 1
    return [*runs, count]


# ---------------------------------------------------------------- polygons


@pytest.mark.parametrize(
    "polygon", [[1, 2, 4, 2, 4, 6, 1, 6], [1.0, 6.0, 4.0, 6.0, 4.0, 2.0, 1.0, 2.0]]
)
def test_polygon_is_filled(polygon: list) -> None:
    expected = rectangle(8, 10, 1, 2, 4, 6)
    rle = to_rle([polygon], 8, 10)
    assert rle["size"] == [8, 10] and isinstance(rle["counts"], str)
    assert np.array_equal(pixels(rle), expected)
    assert np.array_equal(pixels(to_rle(polygon, 8, 10)), expected), "one flat polygon"


def test_polygons_are_united() -> None:
    rle = to_rle([[0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 6, 2, 6, 6, 2, 6]], 8, 10)
    assert np.array_equal(pixels(rle), rectangle(8, 10, 0, 0, 4, 4) | rectangle(8, 10, 2, 2, 6, 6))


def test_no_polygons_are_an_empty_mask() -> None:
    rle = to_rle([], 3, 5)
    assert pixels(rle).shape == (3, 5) and is_empty(rle) and box_of(rle) == [0, 0, 0, 0]


def test_bow_tie_keeps_both_triangles() -> None:
    # Two triangles that meet at (40, 40): base 80, height 40 each, 3,200 px in all. The outline's
    # signed area is zero.
    area = int(pixels(to_rle([[0, 0, 80, 80, 80, 0, 0, 80]], 100, 100)).sum())
    assert abs(area - 3200) <= 80


def test_area_that_is_surrounded_twice_is_filled() -> None:
    # Once around a 20 x 20 square, then around its inner 10 x 10 one, in the same direction.
    outline = [0, 0, 20, 0, 20, 20, 0, 20, 0, 0, 5, 5, 15, 5, 15, 15, 5, 15, 5, 5]
    assert np.array_equal(pixels(to_rle([outline], 30, 30)), rectangle(30, 30, 0, 0, 20, 20))


def test_degenerate_polygon_is_empty() -> None:
    assert is_empty(to_rle([[0, 0, 5, 5, 9, 9]], 10, 10))


@pytest.mark.parametrize("far", [3, 25, 1e4, 1e8, 1e300])
def test_polygon_is_cut_at_the_border(far: float) -> None:
    rle = to_rle([[-far, -far, 5, -far, 5, 4, -far, 4]], 10, 12)
    assert np.array_equal(pixels(rle), rectangle(10, 12, 0, 0, 5, 4))
    rle = to_rle([[7, 6, 12 + far, 6, 12 + far, 10 + far, 7, 10 + far]], 10, 12)
    assert np.array_equal(pixels(rle), rectangle(10, 12, 7, 6, 12, 10))
    assert is_empty(to_rle([[12 + far, 0, 20 + far, 0, 20 + far, 9]], 10, 12))


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[0, 0, 5, 5]], "fewer than 3 points"),
        ([[5, 5]], "a polygon of 2 numbers has fewer than 3 points"),
        ([[0, 0, 5, 5], [], [1, 1]], "fewer than 3 points"),
        ([[5, 5], [6, 6]], "fewer than 3 points"),
        ([0, 0, 5, 5], "fewer than 3 points"),
        ([[0, 0, 5, 0, 5, 5, 1]], "odd count"),
        ([[0, 0, 5, 0, 5, float("nan")]], "NaN or infinite"),
        ([[0, 0, 5, 0, 5, float("inf")]], "NaN or infinite"),
        ([["a", 0, 5, 0, 5, 5]], "not a number"),
        ([[0, 0, 5, 0, True, 5]], "holds True, which is not a number"),
        ([[0, 0, 5, 0, "5", 5]], "holds '5', which is not a number"),
        ([[0, 0, 5, 0, None, 5]], "holds None, which is not a number"),
        ([[0, 0, 5, 0, 10**400, 5]], "a number larger than any coordinate"),
        ([[0, 0, 5, 0, [5], 5]], "not a number"),
        ([[[0, 0, 1], [5, 0, 1], [5, 5, 1]]], "nor of points"),
        ([[[[0, 0], [5, 0], [5, 5]]]], "nested too deeply"),
        ([{"x": 1, "y": 2}], "the RLE has no 'size' or no 'counts'"),
        ([{"size": [10, 10], "counts": [100]}] * 2, "a list of 2 RLEs: write their union"),
        ([[0, 0, 5, 0, 5, 5], {"size": [10, 10], "counts": [100]}], "a polygon is a dict"),
        ("[[0, 0, 5, 0, 5, 5]]", "segmentation is a str, .*: write the JSON in this text as JSON"),
        (["012345"], "a polygon is a str"),
        ("0123", "segmentation is a str"),
        (7, "segmentation is a int"),
    ],
)
def test_bad_polygons(segmentation: object, reason: str) -> None:
    with pytest.raises(InvalidAnnotation, match=reason):
        to_rle(segmentation, 10, 10)


# ---------------------------------------------------------------- RLE


def test_sound_rle_keeps_its_counts() -> None:
    mask = rectangle(8, 10, 3, 2, 7, 5)
    coded = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))
    for counts in (coded["counts"], coded["counts"].decode()):
        rle = to_rle({"size": [8, 10], "counts": counts}, 8, 10)
        assert rle == {"size": [8, 10], "counts": coded["counts"].decode()}


def test_uncompressed_rle() -> None:
    # 2 rows, 3 columns, column by column: . # # . . #
    rle = to_rle({"size": [2, 3], "counts": [1, 2, 2, 1]}, 2, 3)
    assert pixels(rle).tolist() == [[False, True, False], [True, False, True]]


def test_runs_of_zero_pixels_are_joined() -> None:
    # pycocotools' toBbox would count the empty run at pixel 0 as a pixel.
    rle = to_rle({"size": [2, 4], "counts": [0, 0, 4, 2, 2]}, 2, 4)
    assert np.array_equal(pixels(rle), rectangle(2, 4, 2, 0, 3, 2))
    assert box_of(rle) == [2, 0, 1, 2]
    assert to_rle({"size": [2, 4], "counts": [4, 2, 2, 0]}, 2, 4) == rle


def test_random_rles_compressed_and_not() -> None:
    random = np.random.default_rng(0)
    for case in range(200):
        height, width = random.integers(1, 40, 2)
        mask = random.random((height, width)) < random.random()
        if case % 2:
            mask[:] = mask[:, :1]  # long runs, which need several characters
        coded = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))
        size = [int(height), int(width)]
        expected = {"size": size, "counts": coded["counts"].decode()}
        assert to_rle({"size": size, "counts": coded["counts"]}, *size) == expected
        assert to_rle({"size": size, "counts": runs_of(mask)}, *size) == expected


def test_every_damaged_character_is_found_or_harmless() -> None:
    """Whatever comes through decodes to exactly H * W pixels."""
    mask = rectangle(50, 60, 7, 3, 41, 44)
    mask[10:20, 20:30] = False
    text = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    refused = 0
    for place in range(len(text)):
        for character in "0oPO? z~\u00e9\0":
            damaged = text[:place] + character + text[place + 1 :]
            try:
                rle = to_rle({"size": [50, 60], "counts": damaged}, 50, 60)
            except InvalidAnnotation:
                refused += 1
                continue
            assert pixels(rle).shape == (50, 60)
            assert sum(runs_of(pixels(rle))) == 3000
    assert refused > 5 * len(text)


@pytest.mark.parametrize(
    ("rle", "reason"),
    [
        ({"size": [9, 10], "counts": [90]}, r"size \[9, 10\] is not the image's \[10, 10\]"),
        ({"size": [10], "counts": [100]}, "is not the image's"),
        ({"size": [10, 10, 3], "counts": [100]}, "is not the image's"),
        ({"size": [10, 10], "counts": "b'T3"}, "a damaged text of bytes"),
        ({"size": [10, 10], "counts": "b'"}, "a damaged text of bytes"),
        ({"size": [10, 10], "counts": "b'T3\\x41'"}, "a damaged text of bytes"),
        ({"size": [10, 10], "counts": "b'T3 '"}, "outside its alphabet"),
        ({"size": [10, 10], "counts": "[50, 50]"}, r"write numbers as a list, \[n0, n1, ...\]"),
        ({"size": "ab", "counts": [100]}, "is not the image's"),
        ({"size": None, "counts": [100]}, "is not the image's"),
        ({"counts": [100]}, "no 'size' or no 'counts'"),
        ({"size": [10, 10]}, "no 'size' or no 'counts'"),
        ({"size": [10, 10], "counts": [50, 49]}, "add up to 99 pixels"),
        ({"size": [10, 10], "counts": []}, "add up to 0 pixels"),
        ({"size": [10, 10], "counts": ""}, "add up to 0 pixels"),
        ({"size": [10, 10], "counts": [110, -10]}, "negative run"),
        ({"size": [10, 10], "counts": [50.0, 50]}, "not an integer"),
        ({"size": [10, 10], "counts": [99, True]}, "not an integer"),
        ({"size": [10, 10], "counts": ["100"]}, "not an integer"),
        ({"size": [10, 10], "counts": [10**30]}, "larger than any image"),
        ({"size": [10, 10], "counts": 100}, "counts are a int"),
        ({"size": [10, 10], "counts": None}, "counts are a NoneType"),
        ({"size": [10, 10], "counts": "T3 "}, "outside its alphabet"),
        ({"size": [10, 10], "counts": "T3z"}, "outside its alphabet"),
        ({"size": [10, 10], "counts": "T3\u00e9"}, "outside its alphabet"),
        ({"size": [10, 10], "counts": b"T3\xff"}, "outside its alphabet"),
        ({"size": [10, 10], "counts": "T"}, "end in the middle of a number"),
        ({"size": [10, 10], "counts": "o" * 40 + "0"}, "larger than any image"),
        ({"size": [10, 10], "counts": "T30T3"}, "add up to 200 pixels"),
    ],
)
def test_bad_rles(rle: dict, reason: str) -> None:
    with pytest.raises(InvalidAnnotation, match=reason):
        to_rle(rle, 10, 10)


def test_the_sound_neighbour_of_the_bad_rles() -> None:
    assert is_empty(to_rle({"size": [10, 10], "counts": "T3"}, 10, 10))  # one run of 100


def test_subtract_and_box() -> None:
    big = to_rle([[0, 0, 6, 0, 6, 6, 0, 6]], 8, 10)
    small = to_rle([[0, 0, 3, 0, 3, 8, 0, 8]], 8, 10)
    rest = subtract(big, small)
    assert np.array_equal(pixels(rest), rectangle(8, 10, 3, 0, 6, 6))
    assert box_of(rest) == [3, 0, 3, 6]
    # One that is filled from the first pixel on, and all and nothing of a mask.
    whole = to_rle({"size": [8, 10], "counts": [0, 80]}, 8, 10)
    assert np.array_equal(pixels(subtract(whole, big)), ~pixels(big))
    assert is_empty(subtract(big, whole)) and subtract(whole, to_rle([], 8, 10)) == whole


def test_random_masks_are_subtracted() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        masks = random.random((2, *random.integers(1, 12, 2))) < random.random()
        size = [int(v) for v in masks.shape[1:]]
        a, b = (to_rle({"size": size, "counts": runs_of(m)}, *size) for m in masks)
        assert np.array_equal(pixels(subtract(a, b)), masks[0] & ~masks[1])


# ---------------------------------------------------------------- other ways to write a mask

SQUARE = [2, 1, 6, 1, 6, 5, 2, 5]
SQUARE_PIXELS = rectangle(8, 10, 2, 1, 6, 5)
POINTS = [[2, 1], [6, 1], [6, 5], [2, 5]]
POINTS_SAID = "a polygon is written as a list of points [x, y]"
SHORT_SAID = "a part of a polygon with fewer than 3 points is left out"
EMPTY_SAID = "an empty part of a polygon is left out"


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ([SQUARE], []),
        ([SQUARE, [9, 9]], [SHORT_SAID]),
        ([[9, 9], SQUARE, [9, 7, 8, 8], [0]], [SHORT_SAID] * 3),
        ([SQUARE, []], [EMPTY_SAID]),
        ([[], SQUARE, [9, 9]], [EMPTY_SAID, SHORT_SAID]),
        (POINTS, [POINTS_SAID]),
        ([POINTS], [POINTS_SAID]),
        ([POINTS, [[9, 7]]], [SHORT_SAID, POINTS_SAID]),
        ([tuple(map(tuple, POINTS))], [POINTS_SAID]),
        # Two parts; an edge is shared.
        ([[[2, 1], [4, 1], [4, 5], [2, 5]], [4, 1, 6, 1, 6, 5, 4, 5]], [POINTS_SAID]),
    ],
)
def test_what_has_one_meaning_is_read_and_said(segmentation: list, said: list) -> None:
    assumed: list[str] = []
    assert np.array_equal(pixels(to_rle(segmentation, 8, 10, assumed)), SQUARE_PIXELS)
    assert assumed == said


@pytest.mark.parametrize("nothing", [None, [], [[]], [[], []], ()])
def test_no_mask_is_empty_and_said(nothing: object) -> None:
    assumed: list[str] = []
    assert to_rle(nothing, 8, 10, assumed) == to_rle({"size": [8, 10], "counts": [80]}, 8, 10)
    assert assumed == ["it has no mask"]


def test_polygons_without_a_pixel_are_said() -> None:
    for outline in ([1, 1, 1, 1, 1, 1], [20, 20, 25, 20, 25, 25]):
        assumed: list[str] = []
        assert is_empty(to_rle([outline], 8, 10, assumed))
        assert assumed == ["its polygons hold no pixel of the image"]


def test_a_ring_of_points_in_another_is_no_part() -> None:
    """In GeoJSON, the second ring is a hole."""
    outer, inner = [[0, 0], [8, 0], [8, 8], [0, 8]], [[2, 2], [6, 2], [6, 6], [2, 6]]
    with pytest.raises(InvalidAnnotation, match="a ring of points lies inside another"):
        to_rle([outer, inner], 8, 10)
    # Partly inside, it is a part.
    beside = [[6, 2], [10, 2], [10, 6], [6, 6]]
    expected = rectangle(8, 10, 0, 0, 8, 8) | rectangle(8, 10, 6, 2, 10, 6)
    assert np.array_equal(pixels(to_rle([outer, beside], 8, 10)), expected)


def test_an_rle_in_a_list_and_the_text_of_bytes() -> None:
    # A column of 63 and a backslash are characters of RLEs; repr doubles the backslash.
    mask = np.zeros((50, 60), bool)
    mask[:44, 1:3] = True
    counts = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    assert b"\\" in counts
    sound = {"size": [50, 60], "counts": counts.decode()}
    assumed: list[str] = []
    assert to_rle([sound], 50, 60, assumed) == sound
    assert to_rle({**sound, "counts": str(counts)}, 50, 60, assumed) == sound
    assert to_rle({**sound, "size": [50.0, 60.0]}, 50, 60, assumed) == sound
    assert assumed == [
        "an RLE is written as a list of one RLE",
        "an RLE's counts are written as Python's text of bytes, b'...'",
    ]


def test_an_rle_that_is_turned_is_named() -> None:
    with pytest.raises(InvalidAnnotation, match=r"\[10, 8\] is not .* turned, write \[height, w"):
        to_rle({"size": [10, 8], "counts": [80]}, 8, 10)


def test_images_of_any_size_are_bounded() -> None:
    for height, width in ((2**31, 1), (1, 2**31)):
        assert to_rle([], height, width)["size"] == [height, width]
        square = to_rle([[0, 0, 3, 0, 3, 1, 0, 1], [5, 0]], height, width)
        assert mask_util.area(square) == (3 if height == 1 else 1)
    for height, width in ((2**16, 2**15 + 1), (10**300, 1), (0, 4)):
        with pytest.raises(InvalidAnnotation, match="pixels"):
            to_rle([], height, width)


def test_deep_nesting_is_one_line() -> None:
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for segmentation in (deep, [SQUARE, deep], [[*SQUARE, deep, 1]], {"size": deep, "counts": ""}):
        with pytest.raises(InvalidAnnotation) as caught:
            to_rle(segmentation, 8, 10)
        assert len(str(caught.value)) < 200
    while deep:  # or else Python takes it apart recursively
        deep = deep.pop()


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        ([[0.1, 0.2, 0.9, 0.2, 1, 1]], True),
        ([[0, 0, 1, 0, 1, 1], [0.5, 0.5, 1, 0.5, 1, 1]], True),
        ([[[0.1, 0.2], [0.9, 0.2], [1, 1]]], True),
        ([[-0.01, 0.2, 0.9, 0.2, 1.01, 1]], True),
        ([[0.1, 0.2, 0.9, 0.2, 1.1, 1]], False),
        ([[-0.1, 0.2, 0.9, 0.2, 1, 1]], False),
        ([[0.1, 0.2, 0.9, 0.2, 1, 1], [3, 3, 5, 3, 5, 5]], False),
        ([], False),
        ([[]], False),
        (None, False),
        ({"size": [1, 1], "counts": [0, 1]}, False),
    ],
)
def test_coordinates_that_look_normalised(segmentation: object, expected: bool) -> None:
    assert looks_normalised(segmentation) is expected


def test_pixels_as_a_list_of_rows_are_no_polygons() -> None:
    rows = [[int(2 <= x < 5 and 1 <= y < 4) for x in range(8)] for y in range(6)]
    for segmentation in (rows, [rows]):
        with pytest.raises(InvalidAnnotation, match="rows of pixels: write it as RLE"):
            to_rle(segmentation, 6, 8)


def test_an_rle_in_two_lists_is_read_and_objects_that_are_none_are_told() -> None:
    rle = {"size": [2, 3], "counts": [1, 4, 1]}
    assert to_rle([[rle]], 2, 3) == to_rle(rle, 2, 3)
    with pytest.raises(InvalidAnnotation, match="objects that are no RLEs: write polygons as"):
        to_rle([{"x": 1, "y": 2}, {"x": 5, "y": 2}, {"x": 5, "y": 6}], 8, 8)


def test_a_part_that_is_null_is_an_empty_part() -> None:
    said: list[str] = []
    square = [1, 1, 4, 1, 4, 4, 1, 4]
    assert to_rle([square, None], 6, 8, said) == to_rle([square], 6, 8)
    assert said == ["an empty part of a polygon is left out"]
    assert to_rle([None], 6, 8) == to_rle([], 6, 8)
