"""Every way a JSON writes a mask -> one checked, compressed COCO RLE.

pycocotools trusts what it is given: a damaged RLE makes it read beyond the string, two points
become a box, and a polygon that crosses itself is filled by the even-odd rule. Everything that
comes from a file therefore passes through ``to_rle``.

Shape shorthand: H, W: image height and width in pixels; R: number of runs of an RLE.
"""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import shapely
from pycocotools import mask as mask_util

from ...errors import UserError

# Characters that a compressed RLE is made of: 6 bits each, offset by 48 ('0' to 'o').
_FIRST, _LAST = 48, 111
# 7 groups of 5 bits hold any run of an image that fits in memory, far inside int64.
_MAX_GROUPS = 7


class InvalidAnnotation(UserError):
    """An annotation, image or file that cannot be read; the message is one line for the user."""


def to_rle(segmentation: object, height: int, width: int) -> dict:
    """Check a mask of an annotation file and write it as compressed RLE.

    Args:
        segmentation: a list of polygons [[x0, y0, x1, y1, ...], ...] (their union), one flat
            polygon [x0, y0, ...], an uncompressed RLE ``{"size": [H, W], "counts": [n0, n1, ...]}``
            or a compressed one (``counts`` str or bytes). ``[]`` is an empty mask. Coordinates are
            in pixels; what lies outside the image is cut. A polygon that crosses itself is
            repaired.
        height, width: image size in pixels.

    Returns:
        ``{"size": [H, W], "counts": str}``, decoding to exactly H * W pixels. A compressed RLE that
        is sound keeps its counts as they are.

    Raises:
        InvalidAnnotation: with the reason, without the place (the caller knows it).
    """
    if isinstance(segmentation, dict):
        return _check_rle(segmentation, height, width)
    if isinstance(segmentation, (list, tuple)):
        flat = bool(segmentation) and isinstance(segmentation[0], Real)
        return _rasterise([segmentation] if flat else segmentation, height, width)
    raise InvalidAnnotation(
        f"segmentation is a {type(segmentation).__name__}, not a list of polygons or an RLE"
    )


def empty_rle(height: int, width: int) -> dict:
    """The mask without foreground, as compressed RLE."""
    return _as_str(mask_util.encode(np.zeros((height, width), np.uint8, order="F")))


def is_empty(rle: dict) -> bool:
    """Whether a compressed RLE has no foreground."""
    return int(mask_util.area(rle)) == 0


def subtract(rle: dict, other: dict) -> dict:
    """Pixels of one compressed RLE that another of the same size does not hold."""
    rest = mask_util.decode(rle) & (1 - mask_util.decode(other))
    return _as_str(mask_util.encode(np.asfortranarray(rest)))


def box_of(rle: dict) -> list[float]:
    """Tight box [x, y, w, h] of a compressed RLE in pixels; zeros when it is empty."""
    return [float(v) for v in mask_util.toBbox(rle)]


# -------------------------------------------------------------------- RLE


def _check_rle(rle: dict, height: int, width: int) -> dict:
    if "size" not in rle or "counts" not in rle:
        raise InvalidAnnotation("the RLE has no 'size' or no 'counts'")
    size = [height, width]
    if not isinstance(rle["size"], (list, tuple)) or list(rle["size"]) != size:
        raise InvalidAnnotation(
            f"the RLE's size {rle['size']} is not the image's [{height}, {width}] (height, width)"
        )
    counts = rle["counts"]
    if isinstance(counts, (str, bytes)):
        runs = _decode_counts(counts)
        text = counts if isinstance(counts, str) else counts.decode("ascii")
        checked = {"size": size, "counts": text}
    elif isinstance(counts, (list, tuple)):
        runs = _integer_counts(counts)
        checked = None
    else:
        raise InvalidAnnotation(f"the RLE's counts are a {type(counts).__name__}")
    if runs.size and int(runs.min()) < 0:
        raise InvalidAnnotation("the RLE's counts hold a negative run")
    if int(runs.sum()) != height * width:
        raise InvalidAnnotation(
            f"the RLE's counts add up to {int(runs.sum())} pixels, "
            f"the image has {height} x {width} = {height * width}"
        )
    # Runs of zero pixels after the first are legal, but pycocotools' toBbox takes them for pixels.
    if checked is None or not runs[1:].all():
        checked = _as_str(mask_util.frPyObjects(_canonical(runs, size), height, width))
    return checked


def _decode_counts(counts: str | bytes) -> np.ndarray:
    """Runs of a compressed RLE: (R,) int64, signs and sum unchecked."""
    try:
        data = counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        raise InvalidAnnotation("the RLE's counts hold a character outside its alphabet") from None
    if not data:
        return np.zeros(0, dtype=np.int64)
    codes = np.frombuffer(data, dtype=np.uint8).astype(np.int64)
    if int(codes.min()) < _FIRST or int(codes.max()) > _LAST:
        raise InvalidAnnotation("the RLE's counts hold a character outside its alphabet")
    codes -= _FIRST
    ends = np.flatnonzero((codes & 0x20) == 0)
    if ends.size == 0 or ends[-1] != codes.size - 1:
        raise InvalidAnnotation("the RLE's counts end in the middle of a number")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if int(lengths.max()) > _MAX_GROUPS:
        raise InvalidAnnotation("the RLE's counts hold a number larger than any image")
    shift = 5 * (np.arange(codes.size) - np.repeat(starts, lengths))
    values = np.add.reduceat((codes & 0x1F) << shift, starts)
    values -= ((codes[ends] >> 4) & 1) << (5 * lengths)
    # From the fourth number on, each is the difference from the number two places before.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _integer_counts(counts: list | tuple) -> np.ndarray:
    if not all(isinstance(n, Integral) and not isinstance(n, bool) for n in counts):
        raise InvalidAnnotation("the RLE's counts hold something that is not an integer")
    if any(abs(n) >= 1 << 40 for n in counts):
        raise InvalidAnnotation("the RLE's counts hold a number larger than any image")
    return np.asarray(counts, dtype=np.int64)


def _canonical(runs: np.ndarray, size: list[int]) -> dict:
    """Uncompressed RLE of the same pixels without runs of zero pixels (but for the first)."""
    edges = np.cumsum(runs)
    # An edge that is met an even number of times is no change of colour.
    places, times = np.unique(edges[:-1], return_counts=True)
    kept = places[(times % 2 == 1) & (places < edges[-1])]
    return {"size": size, "counts": np.diff(kept, prepend=0, append=edges[-1]).tolist()}


# -------------------------------------------------------------------- polygons


def _rasterise(polygons: list | tuple, height: int, width: int) -> dict:
    shapes = [_polygon(p) for p in polygons]
    if not shapes:
        return empty_rle(height, width)
    rings: list[list[float]] = []
    with_holes: list[shapely.Polygon] = []
    for coordinates in shapes:
        shape = shapely.polygons(coordinates)
        near = _is_near(coordinates, height, width)
        if near and shapely.is_valid(shape):
            rings.append(coordinates.ravel().tolist())
            continue
        if not near:
            # pycocotools walks along the whole outline, in ints: it must not be a million px long.
            coordinates = coordinates.clip(-1e9, 1e9)
            shape = shapely.polygons(coordinates)
        for part in _valid_parts(shape, None if near else (height, width)):
            if part.interiors:
                with_holes.append(part)
            else:
                rings.append(_flat(part.exterior))
    rles = mask_util.frPyObjects(rings, height, width) if rings else []
    for part in with_holes:
        outer = mask_util.frPyObjects([_flat(part.exterior)], height, width)[0]
        holes = mask_util.frPyObjects([_flat(r) for r in part.interiors], height, width)
        rles.append(subtract(outer, mask_util.merge(holes)))
    if not rles:
        return empty_rle(height, width)
    return _as_str(rles[0] if len(rles) == 1 else mask_util.merge(rles))


def _polygon(polygon: object) -> np.ndarray:
    """Coordinates (n, 2) float64 of one polygon, checked."""
    if not isinstance(polygon, (list, tuple)):
        raise InvalidAnnotation(f"a polygon is a {type(polygon).__name__}, not a list of numbers")
    if len(polygon) < 6:
        raise InvalidAnnotation(
            f"a polygon of {len(polygon)} numbers has fewer than 3 points (6 numbers)"
        )
    if len(polygon) % 2:
        raise InvalidAnnotation(f"a polygon has an odd count of numbers ({len(polygon)})")
    try:
        values = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidAnnotation("a polygon holds something that is not a number") from None
    if values.ndim != 1:
        raise InvalidAnnotation("a polygon holds something that is not a number")
    if not np.isfinite(values).all():
        raise InvalidAnnotation("a polygon holds a coordinate that is NaN or infinite")
    return values.reshape(-1, 2)


def _is_near(coordinates: np.ndarray, height: int, width: int) -> bool:
    """Whether a polygon stays within one image size around the image."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    return bool(
        low[0] >= -width and low[1] >= -height and high[0] <= 2 * width and high[1] <= 2 * height
    )


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
