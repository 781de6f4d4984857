"""Every way a JSON writes a mask -> one checked, compressed COCO RLE.

pycocotools trusts what it is given: two points become a box, and a polygon that crosses itself is
filled by the even-odd rule. Everything that comes from a file therefore passes through ``to_rle``.
What has one meaning is read; what had to be assumed or left out for that is said.

Shape shorthand: H, W: image height and width in pixels; R: number of runs of an RLE.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from numbers import Integral, Real

import numpy as np
import shapely
from pycocotools import mask as mask_util

from ...errors import UserError
from ...structures.run_lengths import (
    MAX_PIXELS,
    DamagedRle,
    empty_rle,
    is_empty,
    rle_of_runs,
    sound_rle,
    subtract,
)
from .winding import TooTangled, estimate_crossings, fill_runs, walk_length

# A polygon that crosses itself is repaired, which takes time and memory by the crossing: 20,000
# take some 2 s and 50 MB. With more, it is filled as it is. So many points cannot have more.
_MAX_CROSSINGS = 20_000
_FEW_POINTS = 200
# Characters of the longest run.
_LONGEST_RUN = 7
# pycocotools keeps 8 bytes per fifth of a pixel of an outline, and counts fifths in 32 bits.
_MAX_WALK = 1 << 25
_MAX_COORDINATE = 4e8
# Types of numbers that a JSON holds.
_PLAIN_NUMBERS = frozenset({int, float})
# Masks that are united at once.
_UNITED = 32

# What ``to_rle`` may have to say.
NO_MASK = "it has no mask"
NO_PIXELS = "its polygons hold no pixel of the image"
EMPTY_PART = "an empty part of a polygon is left out"
SHORT_PART = "a part of a polygon with fewer than 3 points is left out"
POINT_PAIRS = "a polygon is written as a list of points [x, y]"
RLE_IN_LIST = "an RLE is written as a list of one RLE"
BYTES_TEXT = "an RLE's counts are written as Python's text of bytes, b'...'"


class InvalidAnnotation(UserError):
    """An annotation, image or file that cannot be read; the message is one line for the user."""


def to_rle(segmentation: object, height: int, width: int, assumed: list[str] | None = None) -> dict:
    """Check a mask of an annotation file and write it as compressed RLE.

    Args:
        segmentation: a list of polygons [[x0, y0, x1, y1, ...], ...] (their union), one flat
            polygon [x0, y0, ...], an uncompressed RLE ``{"size": [H, W], "counts": [n0, n1, ...]}``
            or a compressed one (``counts`` str or bytes, or the text of bytes, "b'...'"). A polygon
            may be points [[x0, y0], [x1, y1], ...], an RLE stand in a list of its own. ``[]``,
            ``[[]]`` and None are an empty mask. Coordinates are in pixels; what lies outside the
            image is cut. Of several polygons those with fewer than 3 points are left out.
            What the outline of a polygon surrounds is filled, also where it crosses itself: it is
            repaired, or, with more than about 20,000 crossings, filled as it is, in bounded memory.
            The two differ along the outline alone (of random scribbles in 0.3 % of the pixels of
            the image on average, in 2 % at most).
        height, width: image size in pixels.
        assumed: gets what had to be assumed or left out, a constant sentence each.

    Returns:
        ``{"size": [H, W], "counts": str}``, decoding to exactly H * W pixels. A compressed RLE that
        is sound keeps its counts as they are.

    Raises:
        InvalidAnnotation: with the reason, without the place (the caller knows it).
    """
    assumed = [] if assumed is None else assumed
    check_pixels(height, width)
    if _is_mapping(segmentation):
        return _check_rle(segmentation, height, width, assumed)
    if segmentation is None:
        segmentation = ()
    if not isinstance(segmentation, (list, tuple)):
        hint = ""
        if isinstance(segmentation, str) and segmentation.lstrip()[:1] in ("[", "{"):
            hint = ": write the JSON in this text as JSON itself"
        raise InvalidAnnotation(
            f"segmentation is a {type(segmentation).__name__}, not a list of polygons or an RLE"
            f"{hint}"
        )
    if len(segmentation) == 1 and _is_lone_mapping(segmentation[0]):
        segmentation = segmentation[0]
    if segmentation and all(_is_mapping(part) for part in segmentation):
        if len(segmentation) > 1 and not any("counts" in part for part in segmentation):
            raise InvalidAnnotation(
                "segmentation is a list of objects that are no RLEs: write polygons as "
                "[[x0, y0, x1, y1, ...], ...]"
            )
        if len(segmentation) > 1:
            raise InvalidAnnotation(
                f"a list of {len(segmentation)} RLEs: write their union as one RLE"
            )
        assumed.append(RLE_IN_LIST)
        return _check_rle(segmentation[0], height, width, assumed)
    return _rasterise(segmentation, height, width, assumed)


def _is_mapping(value: object) -> bool:
    # Asking an abstract class about a list takes longer than most of what is done to a short mask.
    return isinstance(value, dict) or (type(value) is not list and isinstance(value, Mapping))


def _is_lone_mapping(part: object) -> bool:
    return isinstance(part, (list, tuple)) and len(part) == 1 and _is_mapping(part[0])


def check_pixels(height: int, width: int) -> None:
    """Raise InvalidAnnotation for an image size that no mask can have."""
    if height < 1 or width < 1:
        raise InvalidAnnotation(f"{shown(height)} x {shown(width)} pixels are no image")
    if height * width > MAX_PIXELS:
        raise InvalidAnnotation(
            f"{shown(height)} x {shown(width)} pixels are more than the {MAX_PIXELS} that masks "
            "can have"
        )


def looks_normalised(segmentation: object) -> bool:
    """Whether polygons lie in [0, 1] x [0, 1], as if divided by the image's size; within a
    twentieth, as annotators draw a little beyond the edge.

    Args:
        segmentation: as for ``to_rle``, which has taken it.
    """
    if not isinstance(segmentation, (list, tuple)):
        return False
    found, rest = False, [segmentation]
    while rest:
        value = rest.pop()
        if isinstance(value, (list, tuple)):
            rest.extend(value)
        elif not isinstance(value, Real) or not -0.05 <= value <= 1.05:
            return False
        else:
            found = True
    return found


# The ways to write a mask, see ``written_as``.
WAYS = ("polygons", "compressed RLE", "uncompressed RLE", "none")


def written_as(segmentation: object) -> str:
    """Which of ``WAYS`` a mask is written in.

    Args:
        segmentation: as for ``to_rle``, which has taken it.
    """
    while isinstance(segmentation, (list, tuple)) and len(segmentation) == 1:
        segmentation = segmentation[0]
    if _is_mapping(segmentation):
        is_list = isinstance(segmentation["counts"], (list, tuple))
        return "uncompressed RLE" if is_list else "compressed RLE"
    return "polygons" if segmentation else "none"


def are_polygons_of(segmentation: object, rle: Mapping) -> bool:
    """Whether a segmentation is a list of polygons that pycocotools fills to exactly this mask.

    Args:
        segmentation: as for ``to_rle``, which has taken it.
        rle: compressed RLE, ``counts`` as str.
    """
    if not isinstance(segmentation, (list, tuple)) or not segmentation:
        return False
    if not all(isinstance(part, (list, tuple)) for part in segmentation):
        return False
    said: list[str] = []
    shapes, of_points = _outlines(segmentation, said)
    height, width = rle["size"]
    if said or of_points or len(shapes) != len(segmentation):
        return False
    if any(not _is_near(s, height, width) or _is_long(s, height, width) for s in shapes):
        return False
    rings = [shape.ravel().tolist() for shape in shapes]
    return _union(mask_util.frPyObjects(rings, height, width))["counts"] == rle["counts"]


class _Short(reprlib.Repr):
    """Bounds the length and depth of what messages quote."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict = 3, 8, 8, 4
        self.maxstring = self.maxother = 80

    def repr_int(self, value: int, level: int) -> str:
        # Python writes no integer of more than 4,300 digits.
        bits = value.bit_length()
        return f"an integer of {bits} bits" if bits > 128 else repr(value)


_SHORT = _Short()


def shown(value: object) -> str:
    """``repr`` as messages quote it: of bounded length, and in one line."""
    # An id, as nearly always: every annotation's place is written down before it is read.
    if type(value) is int and -(2**63) < value < 2**63:
        return repr(value)
    return _SHORT.repr(value)


# -------------------------------------------------------------------- RLE


def _check_rle(rle: Mapping, height: int, width: int, assumed: list[str]) -> dict:
    if "size" not in rle or "counts" not in rle:
        raise InvalidAnnotation("the RLE has no 'size' or no 'counts'")
    size = [height, width]
    if not isinstance(rle["size"], (list, tuple)) or list(rle["size"]) != size:
        turned = height != width and rle["size"] in ([width, height], (width, height))
        hint = ": it is turned, write [height, width]" if turned else ""
        raise InvalidAnnotation(
            f"the RLE's size {shown(rle['size'])} is not the image's [{height}, {width}] "
            f"(height, width){hint}"
        )
    counts = rle["counts"]
    if isinstance(counts, str) and counts[:2] in ("b'", 'b"'):
        counts = _bytes_of_text(counts)
        assumed.append(BYTES_TEXT)
    try:
        if isinstance(counts, (str, bytes)):
            return sound_rle(counts, height, width)
        if isinstance(counts, (list, tuple)):
            return rle_of_runs(_integer_counts(counts), height, width)
    except DamagedRle as error:
        raise InvalidAnnotation(str(error)) from None
    raise InvalidAnnotation(f"the RLE's counts are a {type(counts).__name__}")


def _bytes_of_text(text: str) -> str:
    """What stands between the quotes of Python's text of bytes; of an RLE's characters it escapes
    the backslash alone.
    """
    inner = text[2:-1]
    if text[-1] != text[1] or len(text) < 3 or not re.fullmatch(r"(?:[^\\]|\\\\)*", inner):
        raise InvalidAnnotation(
            "the RLE's counts are a damaged text of bytes: write counts.decode('ascii')"
        )
    return inner.replace("\\\\", "\\")


def _integer_counts(counts: list | tuple) -> np.ndarray:
    if not {int}.issuperset(map(type, counts)) and not all(
        isinstance(n, Integral) and not isinstance(n, bool) for n in counts
    ):
        raise InvalidAnnotation("the RLE's counts hold something that is not an integer")
    if counts and max(max(counts), -min(counts)) >= 1 << 40:
        raise InvalidAnnotation("the RLE's counts hold a number larger than any image")
    return np.asarray(counts, dtype=np.int64)


# -------------------------------------------------------------------- polygons


def _rasterise(parts: list | tuple, height: int, width: int, assumed: list[str]) -> dict:
    said: list[str] = []
    if _is_bitmap(parts, height, width) or (
        len(parts) == 1 and _is_bitmap(parts[0], height, width)
    ):
        raise InvalidAnnotation(
            "segmentation is a picture of rows of pixels: write it as RLE (pycocotools.mask.encode)"
        )
    shapes, rings_of_points = _outlines(parts, said)
    assumed.extend(said)
    if not shapes:
        if NO_MASK not in said:
            assumed.append(NO_MASK)
        return empty_rle(height, width)
    if rings_of_points > 1:
        _check_no_holes(shapes, height, width)
    rle = _fill(shapes, height, width)
    # One run: no pixel.
    if len(rle["counts"]) <= _LONGEST_RUN and is_empty(rle):
        assumed.append(NO_PIXELS)
    return rle


def _is_bitmap(rows: object, height: int, width: int) -> bool:
    """Whether a list holds the pixels of the image, which as polygons would be a speck."""
    return (
        isinstance(rows, (list, tuple))
        and len(rows) == height
        and all(isinstance(row, (list, tuple)) and len(row) == width for row in rows)
        and all(isinstance(v, Real) and v in (0, 1, 255) for row in rows for v in row)
    )


def _outlines(parts: list | tuple, said: list[str]) -> tuple[list[np.ndarray], int]:
    """The outlines (n, 2) float64 of polygons, checked, and how many were written as points."""
    first = parts[0] if parts else None
    if type(first) in _PLAIN_NUMBERS or (type(first) is not list and isinstance(first, Real)):
        parts = [parts]
    elif len(parts) > 2 and _are_pairs(parts):
        # As a list of polygons, each would be a stray point.
        parts = [parts]
    shapes, of_points, short = [], 0, None
    for part in parts:
        if part is None:
            part = ()
        if not isinstance(part, (list, tuple)):
            raise InvalidAnnotation(f"a polygon is a {type(part).__name__}, not a list of numbers")
        if not part:
            said.append(EMPTY_PART)
            continue
        if isinstance(part[0], (list, tuple)):
            part = _flat_points(part)
            of_points += 1
        values = _numbers(part)
        if len(values) < 6:
            said.append(SHORT_PART)
            short = len(values)
            continue
        if len(values) % 2:
            raise InvalidAnnotation(f"a polygon has an odd count of numbers ({len(values)})")
        shapes.append(values.reshape(-1, 2))
    if not shapes:
        if short is not None:
            raise InvalidAnnotation(
                f"a polygon of {short} numbers has fewer than 3 points (6 numbers)"
            )
        said[:] = [NO_MASK]
    elif of_points:
        said.append(POINT_PAIRS)
    return shapes, of_points


def _are_pairs(points: Sequence) -> bool:
    """Whether all elements are [x, y] (of numbers or not)."""
    return all(
        isinstance(p, (list, tuple))
        and len(p) == 2
        and not isinstance(p[0], (list, tuple))
        and not isinstance(p[1], (list, tuple))
        for p in points
    )


def _flat_points(points: Sequence) -> list:
    if not _are_pairs(points):
        raise InvalidAnnotation(
            "a polygon is neither a list of numbers nor of points [x, y], or nested too deeply: "
            "write [[x0, y0, x1, y1, ...], ...]"
        )
    return [v for point in points for v in point]


def _numbers(part: Sequence) -> np.ndarray:
    """(n,) float64, checked."""
    if not _PLAIN_NUMBERS.issuperset(map(type, part)):
        for value in part:
            if isinstance(value, bool) or not isinstance(value, Real):
                raise InvalidAnnotation(f"a polygon holds {shown(value)}, which is not a number")
    try:
        values = np.asarray(part, dtype=np.float64)
    except OverflowError:
        raise InvalidAnnotation("a polygon holds a number larger than any coordinate") from None
    if not np.isfinite(values).all():
        raise InvalidAnnotation("a polygon holds a coordinate that is NaN or infinite")
    return values


def _check_no_holes(shapes: Sequence[np.ndarray], height: int, width: int) -> None:
    """Refuse rings of points of which one lies inside others: elsewhere that is how holes are
    written, in COCO polygons it is nothing.
    """
    masks = [_fill([shape], height, width) for shape in shapes]
    areas = [int(mask_util.area(mask)) for mask in masks]
    if sum(areas) == int(mask_util.area(_union(masks))):
        return
    for row, mask in enumerate(masks):
        others = _union(masks[:row] + masks[row + 1 :])
        if areas[row] and areas[row] == int(mask_util.area(mask_util.merge([mask, others], True))):
            raise InvalidAnnotation(
                "a ring of points lies inside another: COCO's polygons have no holes, write an RLE"
            )
        if row == _UNITED:
            raise InvalidAnnotation(
                "many rings of points overlap: write [[x0, y0, x1, y1, ...], ...], or an RLE"
            )


def _fill(shapes: Sequence[np.ndarray], height: int, width: int) -> dict:
    """The union of polygons, each (n, 2) float64 in pixels."""
    rings: list[list[float]] = []
    rles: list[dict] = []
    with_holes: list[shapely.Polygon] = []
    for coordinates in shapes:
        near = _is_near(coordinates, height, width)
        if not near:
            # pycocotools walks along the whole outline, in ints: it must not be a million px long.
            coordinates = coordinates.clip(-1e9, 1e9)
        if _is_long(coordinates, height, width):
            rles.append(_fill_as_it_is(coordinates, height, width))
            continue
        shape = shapely.polygons(coordinates)
        if near and shapely.is_valid(shape):
            rings.append(coordinates.ravel().tolist())
            continue
        if len(coordinates) > _FEW_POINTS and estimate_crossings(coordinates) > _MAX_CROSSINGS:
            rles.append(_fill_as_it_is(coordinates, height, width))
            continue
        try:
            parts = _valid_parts(shape, None if near else (height, width))
        except shapely.errors.GEOSException:
            rles.append(_fill_as_it_is(coordinates, height, width))
            continue
        for part in parts:
            if part.interiors:
                with_holes.append(part)
            else:
                rings.append(_flat(part.exterior))
    if rings:
        rles = [*mask_util.frPyObjects(rings, height, width), *rles]
    for part in with_holes:
        outer = mask_util.frPyObjects([_flat(part.exterior)], height, width)[0]
        holes = mask_util.frPyObjects([_flat(r) for r in part.interiors], height, width)
        rles.append(subtract(outer, mask_util.merge(holes)))
    if not rles:
        return empty_rle(height, width)
    return _union(rles)


def _union(rles: list[dict]) -> dict:
    """Pixels that any mask holds; in portions, as each union costs as much as what there is."""
    while len(rles) > _UNITED:
        rles = [mask_util.merge(rles[k : k + _UNITED]) for k in range(0, len(rles), _UNITED)]
    return _as_str(rles[0] if len(rles) == 1 else mask_util.merge(rles))


def _is_near(coordinates: np.ndarray, height: int, width: int) -> bool:
    """Whether a polygon stays within one image size around the image."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    return bool(
        low[0] >= -width and low[1] >= -height and high[0] <= 2 * width and high[1] <= 2 * height
    )


def _is_long(coordinates: np.ndarray, height: int, width: int) -> bool:
    """Whether pycocotools needs too much memory to walk along an outline, or shapely too long for a
    scribble that covers the image twice. Where the outline is sound, the bits are the same.
    """
    count, side = len(coordinates), max(height, width)
    bound = 3 * side * count
    if 5 * bound + count <= _MAX_WALK and (count <= _FEW_POINTS or bound <= 2 * height * width):
        return False
    around = np.array([width, height])
    steps = walk_length(coordinates.clip(-around, 2 * around))
    return (
        steps > _MAX_WALK
        or 2 * side > _MAX_COORDINATE
        or (count > _FEW_POINTS and steps > 10 * height * width)
    )


def _fill_as_it_is(coordinates: np.ndarray, height: int, width: int) -> dict:
    try:
        return rle_of_runs(fill_runs(coordinates, height, width), height, width)
    except TooTangled as error:
        raise InvalidAnnotation(f"a polygon of {len(coordinates)} points: {error}") from None


def _valid_parts(shape: shapely.Polygon, cut: tuple[int, int] | None) -> list[shapely.Polygon]:
    """Polygons without self-crossings that cover the same area, optionally cut to the image."""
    # "structure" keeps what the outline surrounds, also where it surrounds it twice.
    valid = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    if cut is not None:
        valid = shapely.intersection(valid, shapely.box(0, 0, cut[1], cut[0]))
    return [p for p in shapely.get_parts(valid) if p.geom_type == "Polygon" and not p.is_empty]


def _flat(ring: shapely.LinearRing) -> list[float]:
    return shapely.get_coordinates(ring)[:-1].ravel().tolist()


def _as_str(rle: dict) -> dict:
    counts = rle["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(v) for v in rle["size"]], "counts": text}
