"""Masks by the lengths of their runs, as COCO's compressed RLE writes them.

An RLE holds the runs of the pixels, column by column, background first. Nothing here touches the
image: the cost goes by the runs and by the window of what a mask holds, in images of up to
``MAX_PIXELS``. The bytes are those that pycocotools writes, whose own functions take time and
memory by the image.

Whatever reads a mask does it here, so that damaged counts are refused in one place: the library
cares for its memory, but takes characters for others and numbers modulo 2^32. Counts that it would
write itself are sound; all others are looked at number by number.

Shape shorthand: H, W: image height and width in pixels; h, w: window height and width; R: number of
runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral

import numpy as np
from rlemasklib import RLEMask

from ..errors import UserError

# pycocotools, which others read our files with, counts pixels in 32 bits.
MAX_PIXELS = 2**31
# Characters that a compressed RLE is made of: 6 bits each, offset by 48 ('0' to 'o').
_FIRST, _LAST = 48, 111
# 7 groups of 5 bits hold any run of an image that fits in memory, far inside int64.
_MAX_GROUPS = 7


class DamagedRle(UserError):
    """Counts that are no mask of their image; one line, without the place (the caller knows it)."""


# -------------------------------------------------------------------- windows


def window_of(rle: Mapping) -> tuple[int, int, np.ndarray]:
    """The tight window of a mask.

    Args:
        rle: compressed RLE, ``size`` [H, W] and ``counts`` bytes or str.

    Returns:
        Column x0 and row y0 of the window's top left pixel, and the window, (h, w) bool; (0, 0) and
        a (0, 0) array when the mask is empty.

    Raises:
        DamagedRle: the counts are no mask of this size.
    """
    window, box = _read(rle).tight_crop()
    return int(box[0]), int(box[1]), window.to_array(order="C").view(bool)


def rle_of_window(array: np.ndarray, x0: int, y0: int, height: int, width: int) -> dict:
    """Compressed RLE of a window of an image; what lies outside the image is cut.

    Args:
        array: (h, w) bool, the window.
        x0, y0: image position of its top left pixel.
        height, width: of the image.

    Returns:
        ``{"size": [H, W], "counts": str}``.
    """
    h, w = array.shape
    left, top = min(max(-x0, 0), w), min(max(-y0, 0), h)
    right, bottom = max(min(width - x0, w), left), max(min(height - y0, h), top)
    if (left, top, right, bottom) != (0, 0, w, h):
        array = np.ascontiguousarray(array[top:bottom, left:right])
        x0, y0 = x0 + left, y0 + top
    if not array.size:
        return empty_rle(height, width)
    h, w = array.shape
    mask = RLEMask.from_array(array).pad(y0, height - y0 - h, x0, width - x0 - w)
    return _written(mask, height, width)


# -------------------------------------------------------------------- runs


def sound_rle(counts: str | bytes, height: int, width: int) -> dict:
    """Compressed RLE whose counts are checked.

    Args:
        counts: sound ones stay as they are, but for runs of zero pixels after the first: these are
            legal, and joined, as pycocotools' toBbox takes them for pixels.
        height, width: of the image.

    Returns:
        ``{"size": [H, W], "counts": str}``, decoding to exactly H * W pixels.

    Raises:
        DamagedRle: the counts are no mask of this size.
    """
    mask, stays = _parsed(counts, height, width)
    if not stays:
        return _written(mask, height, width)
    text = counts if isinstance(counts, str) else counts.decode("ascii")
    return {"size": [height, width], "counts": text}


def rle_of_runs(runs: np.ndarray, height: int, width: int) -> dict:
    """Compressed RLE of run lengths; runs of zero pixels after the first are joined.

    Args:
        runs: (R,) int64 or uint32.
        height, width: of the image.

    Raises:
        DamagedRle: a run is negative, or they do not add up to the image.
    """
    return _written(_of_runs(runs, height, width), height, width)


def empty_rle(height: int, width: int) -> dict:
    """The mask without foreground, as compressed RLE."""
    return rle_of_runs(np.array([height * width]), height, width)


def area_of(rle: Mapping) -> int:
    """Number of foreground pixels of a compressed RLE."""
    return int(_read(rle).area())


def is_empty(rle: Mapping) -> bool:
    """Whether a compressed RLE has no foreground."""
    return area_of(rle) == 0


def box_of(rle: Mapping) -> list[float]:
    """Tight box [x, y, w, h] of a compressed RLE in pixels; zeros when it is empty."""
    return _read(rle).tight_crop()[1].astype(float).tolist()


def subtract(rle: Mapping, other: Mapping) -> dict:
    """Pixels of one compressed RLE that another of the same size does not hold."""
    height, width = (int(v) for v in rle["size"])
    return _written(_read(rle) - _read(other), height, width)


# -------------------------------------------------------------------- reading and checking


def _read(rle: Mapping) -> RLEMask:
    size = rle["size"]
    if len(size) != 2 or not all(isinstance(n, Integral) and n >= 0 for n in size):
        raise DamagedRle(f"the RLE's size {size!r} is not [height, width]")
    return _parsed(rle["counts"], int(size[0]), int(size[1]))[0]


def _parsed(counts: str | bytes, height: int, width: int) -> tuple[RLEMask, bool]:
    """The mask, and whether its counts can stay as they are."""
    if not isinstance(counts, (str, bytes)):
        raise DamagedRle(f"the RLE's counts are a {type(counts).__name__}")
    try:
        mask = RLEMask.from_dict({"size": (height, width), "counts": counts})
    except ValueError:  # a wrong sum, or a character that is not even UTF-8
        pass
    else:
        text = mask.to_dict()["counts"]
        if text == counts or (isinstance(counts, str) and text.decode("ascii") == counts):
            return mask, True
    runs = _numbers(counts)
    return _of_runs(runs, height, width), bool(runs[1:].all())


def _of_runs(runs: np.ndarray, height: int, width: int) -> RLEMask:
    if runs.size and int(runs.min()) < 0:
        raise DamagedRle("the RLE's counts hold a negative run")
    total = int(runs.sum(dtype=np.int64))
    if total != height * width:
        raise DamagedRle(
            f"the RLE's counts add up to {total} pixels, "
            f"the image has {height} x {width} = {height * width}"
        )
    if total > MAX_PIXELS:
        raise DamagedRle(
            f"{height} x {width} pixels are more than the {MAX_PIXELS} that masks can have"
        )
    return RLEMask.from_counts(runs.astype(np.uint32), (height, width))


def _numbers(counts: str | bytes) -> np.ndarray:
    """Runs of a compressed RLE: (R,) int64, signs and sum unchecked."""
    try:
        data = counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        raise DamagedRle("the RLE's counts hold a character outside its alphabet") from None
    if not data:
        return np.zeros(0, dtype=np.int64)
    codes = np.frombuffer(data, dtype=np.uint8).astype(np.int64)
    if int(codes.min()) < _FIRST or int(codes.max()) > _LAST:
        hint = ""
        if re.fullmatch(rb"[\s\[\],0-9]+", data):
            hint = ": write numbers as a list, [n0, n1, ...]"
        raise DamagedRle(f"the RLE's counts hold a character outside its alphabet{hint}")
    codes -= _FIRST
    ends = np.flatnonzero((codes & 0x20) == 0)
    if ends.size == 0 or ends[-1] != codes.size - 1:
        raise DamagedRle("the RLE's counts end in the middle of a number")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if int(lengths.max()) > _MAX_GROUPS:
        raise DamagedRle("the RLE's counts hold a number larger than any image")
    shift = 5 * (np.arange(codes.size) - np.repeat(starts, lengths))
    values = np.add.reduceat((codes & 0x1F) << shift, starts)
    values -= ((codes[ends] >> 4) & 1) << (5 * lengths)
    # From the fourth number on, each is the difference from the number two places before.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _written(mask: RLEMask, height: int, width: int) -> dict:
    return {"size": [int(height), int(width)], "counts": mask.to_dict()["counts"].decode("ascii")}
