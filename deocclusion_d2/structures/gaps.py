"""Gaps between the masks of neighbours: closed by seams, and measured from masks alone.

The method knows two instances as neighbours where their masks touch. Masks that were predicted, or
drawn with care, leave a seam of free pixels between objects that touch. The gap of two masks is the
Euclidean distance of their nearest pixels, less 1: 0 where two pixels share an edge, g where g free
pixels lie between parallel borders.

A pixel of no mask belongs to the seam of two masks when its distances to them sum up to the gap to
be closed, plus 1, or less. A seam of that width is filled whole, a wider one not at all, in any
direction. (Of masks that were eroded by hand this gave back more of what was lost, and as little
else, as a morphological closing with a disc, which leaves the ends of a slanting seam open.)

How wide seams are shows in what faces what: of the borders that face another mask, the pixels that
lie g free pixels from another mask are equally many for all g where objects are near by chance or
part at an angle; seams stand out above that.

Shape shorthand: G: gaps that are counted, in pixels, from 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from .window_mask import WindowMask, intersect_boxes, meeting_pairs, tight_box, union

# Gaps up to this many pixels are counted; of these the widest third shows what is there by chance.
_COUNTED = 24
_BY_CHANCE = slice(2 * _COUNTED // 3, _COUNTED)
# The widest gap that is closed without being asked for.
WIDEST_MEASURED = 2 * _COUNTED // 3
# The widest gap that can be asked for.
WIDEST = 64
# The least gap that is closed between predicted masks, in pixels. Those of a Mask R-CNN on the
# synthetic KINS gain 6 to 8 points of order by it, and lose pixels from 3 px on.
PREDICTED_GAP = 2
# Share of the border along seams that lies within the closing.
_CLOSED_SHARE = 0.95
# A gap that is this many times as frequent as by chance is one of seams; and by so many standard
# deviations of counts that come in runs of so many pixels, one pair's.
_STANDS_OUT = 1.3
_DEVIATIONS = 3.0
_RUN = 10
# With fewer pairs that touch or are up to so many pixels apart, nothing is known of the gaps.
FEWEST_NEAR_PAIRS = 8
_NEAR = 8
# Pairs beyond those by chance: at least so many, and so many standard deviations.
FEWEST_PAIRS = 5
# Of a pair's border so many pixels count at most: no single pair decides.
_LONGEST = 100
# Bins of the share of the smaller of two masks that both hold.
_SHARES = 10
_FAR = np.uint16(np.iinfo(np.uint16).max // 2)


# -------------------------------------------------------------------- seams


def seam(first: WindowMask, second: WindowMask, gap: int) -> WindowMask:
    """The free pixels between two masks that are at most a gap apart.

    A pixel of neither is in it when the Euclidean distances to the nearest pixel of each sum up to
    ``gap + 1`` or less. The cost is that of the pixels near both, not of the masks.

    Args:
        gap: in pixels, 0 to ``WIDEST``; with 0 there is no seam.

    Returns:
        The same whichever mask is the first; empty where the masks are further apart.

    Example:
        >>> import numpy as np
        >>> row = lambda *columns: WindowMask.from_array(np.isin(np.arange(9), columns)[None])
        >>> seam(row(0, 1), row(4, 5), 2).xywh
        [2, 0, 2, 1]
        >>> seam(row(0, 1), row(4, 5), 1).is_empty
        True
    """
    if gap <= 0 or first.is_empty or second.is_empty:
        return WindowMask.empty()
    box = intersect_boxes(_grown(first.box, gap), _grown(second.box, gap))
    if box is None:
        return WindowMask.empty()
    # A square's reach is a disc's and more: what is left is seldom more than the seam.
    free = ~(first.crop(box) | second.crop(box))
    free &= _near(first, box, gap) & _near(second, box, gap)
    tight = tight_box(free)
    if tight is None:
        return WindowMask.empty()
    x0, y0 = box[0] + tight[0], box[1] + tight[1]
    box = (x0, y0, box[0] + tight[2], box[1] + tight[3])
    free = free[tight[1] : tight[3], tight[0] : tight[2]]
    rows, columns = np.nonzero(free)
    total = sum(
        np.sqrt(_squared_distances(mask.crop(_grown(box, gap)), gap)[rows, columns])
        for mask in (first, second)
    )
    # Roots of whole numbers sum up to a whole number only where they are whole: this is exact.
    between = np.zeros_like(free)
    between[rows, columns] = total <= gap + 1
    return WindowMask.from_array(between, x0, y0)


def _grown(box: tuple[int, int, int, int], reach: int) -> tuple[int, int, int, int]:
    return box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach


def _near(mask: WindowMask, box: tuple[int, int, int, int], reach: int) -> np.ndarray:
    """The pixels of a box that a square around some pixel of a mask holds."""
    around = mask.crop(_grown(box, reach)).view(np.uint8)
    side = 2 * reach + 1
    near = cv2.dilate(around, np.ones((side, side), np.uint8))
    return near[reach:-reach, reach:-reach].view(bool)


def _squared_distances(array: np.ndarray, reach: int) -> np.ndarray:
    """Squared distances to the nearest pixel of a mask, where that is at most ``reach`` away.

    Args:
        array: (h + 2 reach, w + 2 reach) bool.

    Returns:
        (h, w) float64 of the middle; elsewhere more than ``reach`` squared.
    """
    squared = np.where(array, np.uint16(0), _FAR)
    # Along columns, then along rows: few passes over small windows, where OpenCV's exact transform
    # costs many times more.
    for _ in range(2):
        length = len(squared) - 2 * reach
        least = squared[reach : reach + length].copy()
        for step in range(1, reach + 1):
            ahead = squared[reach + step : reach + step + length]
            behind = squared[reach - step : reach - step + length]
            np.minimum(least, np.minimum(ahead, behind) + np.uint16(step * step), out=least)
        squared = np.ascontiguousarray(least.T)
    return squared.astype(np.float64)


class Seams:
    """The seams of one scene's masks, each made when it is first asked for.

    Args:
        masks: N masks, which may overlap.
        size: the image's (height, width) in pixels; nothing outside is closed.
        gap: the widest gap that is closed, in pixels; with 0 nothing is, and masks are neighbours
            where they touch.
    """

    def __init__(self, masks: Sequence[WindowMask], size: tuple[int, int], gap: int) -> None:
        self.masks = masks
        self._image = (0, 0, size[1], size[0])
        self.gap = gap
        self._seams: dict[tuple[int, int], WindowMask] = {}

    @cached_property
    def _near_pairs(self) -> list[tuple[int, int]]:
        boxes = np.array([mask.box for mask in self.masks]).reshape(-1, 4)
        return [(i, j) for i, j in meeting_pairs(boxes, self.gap + 1).tolist()]

    @cached_property
    def _near(self) -> list[list[int]]:
        """Of every mask those whose boxes are within the gap of its own."""
        near: list[list[int]] = [[] for _ in self.masks]
        for i, j in self._near_pairs:
            near[i].append(j)
            near[j].append(i)
        return near

    def pairs(self) -> list[tuple[int, int]]:
        """The neighbours (i, j), i < j, sorted: they touch, or free pixels between them close the
        gap."""
        return [
            (i, j)
            for i, j in self._near_pairs
            if self.masks[i].touches(self.masks[j]) or not self.between(i, j).is_empty
        ]

    def between(self, i: int, j: int) -> WindowMask:
        """The seam of two masks, without what any mask of the scene holds."""
        key = (min(i, j), max(i, j))
        if key not in self._seams:
            found = seam(self.masks[i], self.masks[j], self.gap)
            inside = intersect_boxes(found.box, self._image)
            if inside is None:
                found = WindowMask.empty()
            else:
                if inside != found.box:
                    found = WindowMask.from_array(found.crop(inside), *inside[:2])
                # Every pixel of the seam is within the gap of either.
                found = found.without(self.masks[k] for k in self._near[i] if k != j)
            self._seams[key] = found
        return self._seams[key]

    def eraser(self, target: int, hiding: Iterable[int]) -> WindowMask:
        """What may hide a mask: the union of others, and of their seams with it."""
        hiding = list(hiding)
        parts = [self.masks[j] for j in hiding]
        if self.gap:
            near = set(self._near[target])
            parts += [self.between(target, j) for j in hiding if j in near]
        return union(parts)


# -------------------------------------------------------------------- census


@dataclass(frozen=True, eq=False)
class GapCensus:
    """What lies between the masks of some scenes, in counts; those of several scenes add up.

    Attributes:
        scenes: how many were looked at.
        masks: how many of their masks are not empty.
        predicted: how many scenes hold no masks but those that a network predicted.
        pairs: (G,) int64, pairs of masks by gap in pixels, rounded up; 0: they touch. Pairs that
            share pixels are not among them.
        overlaps: (10,) int64, pairs that share pixels, by the share of the smaller mask that is
            shared: above 0 to 0.1, to 0.2, and so on.
        borders: (G,) int64, pixels on the border of the smaller of two masks that face the other,
            by their gap to it, of all pairs; 0: next to it, or inside. Long ones count in part.
    """

    scenes: int
    masks: int
    predicted: int
    pairs: np.ndarray
    overlaps: np.ndarray
    borders: np.ndarray

    @classmethod
    def empty(cls) -> GapCensus:
        return cls(0, 0, 0, *(np.zeros(n, np.int64) for n in (_COUNTED, _SHARES, _COUNTED)))

    @classmethod
    def of_scene(cls, masks: Sequence[WindowMask], predicted: bool = False) -> GapCensus:
        """Count the gaps of one scene's modal masks, as they were given.

        Args:
            predicted: whether a network has predicted them.
        """
        # Of two masks the smaller one's border is looked at: its window is the smaller one, too.
        masks = sorted((mask for mask in masks if not mask.is_empty), key=lambda mask: mask.area)
        found = cls.empty()
        boxes = np.array([mask.box for mask in masks]).reshape(-1, 4)
        for i, j in meeting_pairs(boxes, _COUNTED).tolist():
            gaps = _facing(masks[i], masks[j])
            counts = np.bincount(gaps, minlength=_COUNTED)
            found.borders[:] += counts * _LONGEST // max(len(gaps), _LONGEST)
            shared = masks[i].intersection_area(masks[j])
            if shared:
                found.overlaps[math.ceil(_SHARES * shared / masks[i].area) - 1] += 1
            elif len(gaps):
                found.pairs[gaps.min()] += 1
        return cls(
            1, len(masks), int(predicted or not masks), found.pairs, found.overlaps, found.borders
        )

    def __add__(self, other: GapCensus) -> GapCensus:
        return GapCensus(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(GapCensus))
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GapCensus) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    @property
    def touching(self) -> int:
        """Pairs without a gap: they touch or overlap."""
        return int(self.pairs[0] + self.overlaps.sum())

    def near_pairs(self, gap: int) -> int:
        """Pairs of which the gap is at most so many pixels, those that touch or overlap too."""
        return int(self.pairs[: gap + 1].sum() + self.overlaps.sum())

    def closing(self) -> int:
        """The gap to close, in pixels: the smallest one that closes 95 % of all seams.

        Seams are what faces each other clearly more often than by chance. 0 where neighbours touch,
        where nothing is near, and where too few pairs are to tell seams from chance. Of predicted
        masks it is ``PREDICTED_GAP`` at least: the borders of two that touch are as often a pixel
        or two apart, here more and there less, which no count of gaps tells from chance.
        """
        least = PREDICTED_GAP if self.masks and self.predicted == self.scenes else 0
        return max(self._measured_closing(), least)

    def _measured_closing(self) -> int:
        if self.near_pairs(_NEAR) < FEWEST_NEAR_PAIRS:
            return 0
        counts = self.borders[: WIDEST_MEASURED + 1]
        # Small objects face nothing that is far.
        by_chance = float(max(np.median(self.borders[_BY_CHANCE]), np.median(self.borders)))
        limit = _STANDS_OUT * by_chance + _DEVIATIONS * math.sqrt(_RUN * by_chance)
        seams = np.cumsum(np.where(counts > limit, counts - by_chance, 0.0))
        if not seams[-1]:
            return 0
        gap = int(np.argmax(seams >= _CLOSED_SHARE * seams[-1]))
        # What touches is no sign of a seam: others have to be nearer than by chance.
        apart = int(self.pairs[1 : gap + 1].sum())
        expected = float(np.mean(self.pairs[_BY_CHANCE])) * gap
        enough = max(FEWEST_PAIRS, _DEVIATIONS * math.sqrt(expected))
        return gap if apart - expected >= enough else 0

    def to_json(self) -> dict[str, Any]:
        """Numbers and lists, for JSON; ``from_json`` reads them."""
        values = {f.name: getattr(self, f.name) for f in fields(GapCensus)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> GapCensus:
        return cls(
            int(values["scenes"]),
            int(values["masks"]),
            int(values.get("predicted", 0)),
            *(np.asarray(values[name], np.int64) for name in ("pairs", "overlaps", "borders")),
        )


def _facing(mask: WindowMask, other: WindowMask) -> np.ndarray:
    """Gaps to another mask of the pixels on the border that faces it: (K,) int, if counted."""
    box = intersect_boxes(mask.box, _grown(other.box, _COUNTED))
    if box is None:
        return np.zeros(0, np.int64)
    around = mask.crop(_grown(box, 1)).view(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    border = (around > cv2.erode(around, cross))[1:-1, 1:-1]
    near = other.crop(_grown(box, _COUNTED))
    if not near.any():
        return np.zeros(0, np.int64)
    distances = cv2.distanceTransform((~near).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distances = distances[_COUNTED - 1 : 1 - _COUNTED, _COUNTED - 1 : 1 - _COUNTED]
    # The back of a thin object faces nothing: a step out of it leads away from the other mask.
    outside = np.where(around, np.float32(np.inf), distances)
    step = np.minimum(
        np.minimum(outside[:-2, 1:-1], outside[2:, 1:-1]),
        np.minimum(outside[1:-1, :-2], outside[1:-1, 2:]),
    )
    distances = distances[1:-1, 1:-1]
    border &= (step < distances) | (distances == 0)
    gaps = np.maximum(np.ceil(distances[border]).astype(np.int64) - 1, 0)
    return gaps[gaps < _COUNTED]
