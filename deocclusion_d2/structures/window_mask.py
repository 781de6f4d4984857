"""A binary mask kept as the smallest window that holds its foreground.

Street scenes hold many small objects in a large image; keeping, dilating and intersecting only the
windows makes all of this proportional to the objects, not to the image.

Shape shorthand: H, W: image height and width in pixels; h, w: window height and width.
Boxes are (x0, y0, x1, y1) in pixels, integer, x1 and y1 exclusive, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .run_lengths import rle_of_window, window_of

Box = tuple[int, int, int, int]

_PAIRS_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class WindowMask:
    """A binary mask of an image, stored as a window of it.

    Attributes:
        x0: column of the window's left edge in the image. May be negative or beyond the image.
        y0: row of the window's top edge in the image.
        array: (h, w) bool, the window's pixels; everything outside the window is background. An
            empty mask has shape (0, 0).
    """

    x0: int
    y0: int
    array: np.ndarray

    # ---------------------------------------------------------------- construction

    @classmethod
    def empty(cls) -> WindowMask:
        """A mask without foreground."""
        return cls(0, 0, np.zeros((0, 0), dtype=bool))

    @classmethod
    def from_array(cls, array: np.ndarray, x0: int = 0, y0: int = 0) -> WindowMask:
        """Keep the tight window of an array.

        Args:
            array: (H, W), any dtype; non-zero is foreground.
            x0, y0: image position of the array's top left pixel.
        """
        array = np.asarray(array)
        if array.dtype == bool:
            return cls._tight(array, x0, y0, is_own=False)
        return cls._tight(array != 0, x0, y0)

    @classmethod
    def _tight(cls, array: np.ndarray, x0: int, y0: int, is_own: bool = True) -> WindowMask:
        """Keep the tight window of a bool array; one that nobody else holds may stay as it is."""
        box = tight_box(array)
        if box is None:
            return cls.empty()
        left, top, right, bottom = box
        if is_own and array.shape == (bottom - top, right - left):
            return cls(x0, y0, array)
        # A copy, so that a small window does not keep a full image alive.
        return cls(x0 + left, y0 + top, array[top:bottom, left:right].copy())

    @classmethod
    def from_rle(cls, rle: dict) -> WindowMask:
        """Decode a compressed COCO RLE dict (``size`` [H, W], ``counts`` bytes or str).

        Raises:
            UserError: the counts are damaged, or those of another size.
        """
        return cls(*window_of(rle))

    @classmethod
    def filled(cls, box: Box) -> WindowMask:
        """All pixels of a box."""
        return cls(box[0], box[1], np.ones((box[3] - box[1], box[2] - box[0]), dtype=bool))

    # ---------------------------------------------------------------- properties

    @property
    def box(self) -> Box:
        """Tight box; (0, 0, 0, 0) when empty."""
        h, w = self.array.shape
        return (self.x0, self.y0, self.x0 + w, self.y0 + h)

    @property
    def xywh(self) -> list[int]:
        """Tight box as COCO's [x, y, width, height] in pixels."""
        h, w = self.array.shape
        return [self.x0, self.y0, w, h]

    @property
    def is_empty(self) -> bool:
        return self.array.size == 0

    @property
    def area(self) -> int:
        """Number of foreground pixels."""
        return int(np.count_nonzero(self.array))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WindowMask):
            return NotImplemented
        return self.box == other.box and np.array_equal(self.array, other.array)

    __hash__ = None  # type: ignore[assignment]

    # ---------------------------------------------------------------- conversion

    def to_array(self, height: int, width: int) -> np.ndarray:
        """(height, width) bool mask of the full image; what lies outside the image is cut."""
        return self.crop((0, 0, width, height))

    def to_rle(self, height: int, width: int) -> dict:
        """Compressed COCO RLE of the full image, ``counts`` as str (ready for JSON).

        What lies outside the image is cut.
        """
        return rle_of_window(self.array, self.x0, self.y0, height, width)

    def crop(self, box: Box) -> np.ndarray:
        """The mask inside a box, zero padded where the box leaves the window.

        Returns:
            (y1 - y0, x1 - x0) bool, a new array.
        """
        return crop_window(self.array, self.x0, self.y0, box)

    # ---------------------------------------------------------------- set operations

    def intersection_area(self, other: WindowMask) -> int:
        """Number of pixels that both masks hold."""
        box = intersect_boxes(self.box, other.box)
        if box is None:
            return 0
        return int(np.count_nonzero(self._inside(box) & other._inside(box)))

    def iou(self, other: WindowMask) -> float:
        """Intersection over union; 0 for two empty masks."""
        both = self.intersection_area(other)
        total = self.area + other.area - both
        return both / total if total else 0.0

    def __and__(self, other: WindowMask) -> WindowMask:
        box = intersect_boxes(self.box, other.box)
        if box is None:
            return WindowMask.empty()
        return WindowMask._tight(self._inside(box) & other._inside(box), box[0], box[1])

    def __or__(self, other: WindowMask) -> WindowMask:
        return union([self, other])

    def __sub__(self, other: WindowMask) -> WindowMask:
        """Pixels of this mask that the other does not hold."""
        return self.without([other])

    def without(self, others: Iterable[WindowMask]) -> WindowMask:
        """Pixels of this mask that none of the others holds; itself where no box meets its."""
        rest = None
        for other in others:
            box = intersect_boxes(self.box, other.box)
            if box is None:
                continue
            if rest is None:
                rest = WindowMask(self.x0, self.y0, self.array.copy())
            part = rest._inside(box)
            np.greater(part, other._inside(box), out=part)
        return self if rest is None else WindowMask._tight(rest.array, self.x0, self.y0)

    def dilate(self, kernel_size: int) -> WindowMask:
        """Dilate by a square kernel.

        Args:
            kernel_size: side of the kernel in pixels, odd; 0 or 1 changes nothing.
        """
        if kernel_size <= 1 or self.is_empty:
            return self
        margin = kernel_size // 2
        x0, y0, x1, y1 = self.box
        around = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
        return WindowMask(around[0], around[1], _dilated(self.crop(around), kernel_size))

    def opened(self, thickness: float) -> WindowMask:
        """The parts that are thick: the union of the discs of a diameter that fit into the mask.

        Args:
            thickness: diameter in pixels; what is thinner goes (of an even one, what is thinner by
                more than a pixel), and corners are rounded. At 1 or less nothing changes.
        """
        if thickness <= 1 or self.is_empty:
            return self
        padded = np.pad(self.array, 1)
        # Distances between centres of pixels: one row of pixels is 1 from the background.
        inside = cv2.distanceTransform(padded.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        centres = inside >= thickness / 2
        if not centres.any():
            return WindowMask.empty()
        to_centres = cv2.distanceTransform(
            (~centres).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        kept = padded & (to_centres <= thickness / 2)
        return WindowMask.from_array(kept[1:-1, 1:-1], self.x0, self.y0)

    def touches(self, other: WindowMask, dilation: int = 0) -> bool:
        """Whether two masks are neighbours: they meet after a dilation of one of them.

        The method's neighbour test dilates by the 3x3 cross: pixels that share an edge, or overlap.

        Args:
            dilation: side of a square kernel that is applied before, odd, or 0. It bridges gaps of
                ``dilation // 2`` pixels between predicted masks.
        """
        reach = neighbour_reach(dilation)
        x0, y0, x1, y1 = self.box
        box = intersect_boxes((x0 - reach, y0 - reach, x1 + reach, y1 + reach), other.box)
        if box is None or self.is_empty:
            return False
        # Only pixels within `reach` of the common window can reach into it.
        near = self.crop((box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach))
        if dilation > 1:
            margin = reach - 1
            near = _dilated(near, dilation)[margin:-margin, margin:-margin]
        reached = near[1:-1, 1:-1] | near[:-2, 1:-1]
        for moved in (near[2:, 1:-1], near[1:-1, :-2], near[1:-1, 2:]):
            reached |= moved
        reached &= other._inside(box)
        return bool(reached.any())

    def _inside(self, box: Box) -> np.ndarray:
        """What the mask holds in a box that lies within its window: a view."""
        x0, y0, x1, y1 = box
        return self.array[y0 - self.y0 : y1 - self.y0, x0 - self.x0 : x1 - self.x0]


def tight_box(array: np.ndarray) -> Box | None:
    """The box of what a bool array holds; None for nothing."""
    if not array.size:
        return None
    rows = array.any(axis=1)
    top = int(rows.argmax())
    if not rows[top]:
        return None
    bottom = rows.tobytes().rfind(1) + 1
    columns = array[top:bottom].any(axis=0)
    return int(columns.argmax()), top, columns.tobytes().rfind(1) + 1, bottom


def _dilated(array: np.ndarray, kernel_size: int) -> np.ndarray:
    """A bool array dilated by a square kernel of odd side."""
    kernel = np.ones((kernel_size, kernel_size), np.uint8)
    return cv2.dilate(array.view(np.uint8), kernel).view(bool)


def crop_window(array: np.ndarray, x0: int, y0: int, box: Box) -> np.ndarray:
    """What a window of an image holds inside a box, zero where the box leaves the window.

    Args:
        array: (h, w), the window.
        x0, y0: image position of its top left pixel.

    Returns:
        (box height, box width) of the same dtype, a new array.
    """
    left, top, right, bottom = box
    h, w = array.shape
    common = intersect_boxes(box, (x0, y0, x0 + w, y0 + h))
    if common == box:
        return array[top - y0 : bottom - y0, left - x0 : right - x0].copy()
    out = np.zeros((bottom - top, right - left), dtype=array.dtype)
    if common is not None:
        cx0, cy0, cx1, cy1 = common
        out[cy0 - top : cy1 - top, cx0 - left : cx1 - left] = array[
            cy0 - y0 : cy1 - y0, cx0 - x0 : cx1 - x0
        ]
    return out


def neighbour_reach(dilation: int = 0) -> int:
    """How far, in pixels along either axis, a neighbour's pixel can be; see ``touches``."""
    return dilation // 2 + 1


def intersect_boxes(a: Box, b: Box) -> Box | None:
    """Common part of two boxes, or None when they have none."""
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def meeting_pairs(boxes: np.ndarray, reach: int = 0) -> np.ndarray:
    """Which of N boxes have a common part; empty ones have none.

    Args:
        boxes: (N, 4) int64 of (x0, y0, x1, y1).
        reach: how much one of the two is enlarged before, on all sides.

    Returns:
        (K, 2) int64, rows i < j of the pairs, sorted.
    """
    x0, y0, x1, y1 = boxes.T
    # From left to right, after each box stand those that start before its end, then all others.
    rows = x0.argsort(kind="stable")
    rows = rows[((x0 < x1) & (y0 < y1))[rows]]
    x0, y0, x1, y1 = x0[rows], y0[rows], x1[rows] + reach, y1[rows] + reach
    count, all_rows = len(rows), len(boxes)
    counts = x0.searchsorted(x1) - np.arange(1, count + 1)
    until = counts.cumsum()
    found, start = [np.zeros(0, np.int64)], 0
    while start < count:
        # In portions, as there can be N * N / 2 of them.
        limit = until[start] - counts[start] + _PAIRS_AT_ONCE
        stop = max(start + 1, int(until.searchsorted(limit, side="right")))
        part = np.arange(start, stop)
        first = part.repeat(counts[start:stop])
        second = np.arange(len(first)) + (part + 1 + counts[part] - until[part])[first - start]
        second += until[start] - counts[start]
        meets = (y0[first] < y1[second]) & (y0[second] < y1[first])
        a, b = rows[first[meets]], rows[second[meets]]
        found.append(np.minimum(a, b) * all_rows + np.maximum(a, b))
        start = stop
    return np.stack(np.divmod(np.sort(np.concatenate(found)), max(all_rows, 1)), axis=1)


def common_box(first: WindowMask, second: WindowMask) -> Box:
    """The tight box around two masks that are not empty."""
    return box_around([first.box, second.box])


def box_around(boxes: Iterable[Box]) -> Box:
    """The tight box around others, of which empty ones do not count; (0, 0, 0, 0) for none."""
    boxes = [box for box in boxes if box[0] < box[2] and box[1] < box[3]]
    if not boxes:
        return (0, 0, 0, 0)
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def union(masks: Iterable[WindowMask]) -> WindowMask:
    """Pixels that any of the masks holds; empty for no masks."""
    parts: Sequence[WindowMask] = [m for m in masks if not m.is_empty]
    if len(parts) <= 1:
        return parts[0] if parts else WindowMask.empty()
    boxes = [m.box for m in parts]
    x0, y0 = min(b[0] for b in boxes), min(b[1] for b in boxes)
    x1, y1 = max(b[2] for b in boxes), max(b[3] for b in boxes)
    whole = WindowMask(x0, y0, np.zeros((y1 - y0, x1 - x0), dtype=bool))
    for mask, box in zip(parts, boxes, strict=True):
        part = whole._inside(box)
        part |= mask.array
    return whole
