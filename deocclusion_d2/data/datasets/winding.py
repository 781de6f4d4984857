"""Filling polygons that are too tangled, or too long, for their outline to be repaired or walked.

The bits are those of pycocotools: vertices are rounded to a fifth of a pixel, and whether a pixel
belongs to a polygon is told on its column's centre line. Two things differ. A pixel is filled where
the outline surrounds it, however often (the nonzero winding rule; pycocotools fills by the even-odd
rule). And memory is bounded by the strips of the image that are in hand, not by the outline's
length or the number of its crossings.

Shape shorthand: N: points of a polygon, which are its edges too; H, W: image height and width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# What is in hand at once: crossings (or those of one column), pairs of edges.
_CROSSINGS = 1 << 21
_PAIRS = 1 << 18
# pycocotools' grid: fifths of a pixel; column c is crossed between 5c + 2 and 5c + 3.
_SCALE = 5
# A crossing takes some 250 ns, and at most a run of 16 bytes: half a minute, 2 GB.
MAX_CROSSINGS = 1 << 27


class TooTangled(ValueError):
    """An outline that no image needs; the message says how it exceeds the bounds."""


def walk_length(coordinates: np.ndarray) -> float:
    """Steps of a fifth of a pixel that pycocotools needs to walk along a closed outline.

    Args:
        coordinates: (N, 2) float64, in pixels.
    """
    steps = np.abs(coordinates - np.roll(coordinates, -1, axis=0)).max(axis=1)
    return _SCALE * float(steps.sum()) + len(coordinates)


def estimate_crossings(coordinates: np.ndarray) -> float:
    """About how many pairs of a closed outline's edges meet, neighbours left out.

    Exact as long as no more than 260,000 pairs of edges share a column; then from evenly spaced
    edges.

    Args:
        coordinates: (N, 2) float64.
    """
    start, end = coordinates, np.roll(coordinates, -1, axis=0)
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = np.argsort(low[:, 0], kind="stable")
    start, end, low, high = start[order], end[order], low[order], high[order]
    count = len(order)
    # Edge i meets none but those from i + 1 on that begin before it ends.
    partners = np.searchsorted(low[:, 0], high[:, 0], side="right") - np.arange(count) - 1
    rows = np.arange(count)
    if (total := int(partners.sum())) > _PAIRS:
        rows = np.linspace(0, count - 1, max(32, count * _PAIRS // total), dtype=np.int64)
    met = 0
    for part in _portions(partners[rows], _PAIRS):
        some = rows[part]
        each = partners[some]
        a = np.repeat(some, each)
        b = a + 1 + np.arange(len(a)) - np.repeat(np.cumsum(each) - each, each)
        near = (low[a, 1] <= high[b, 1]) & (low[b, 1] <= high[a, 1])
        a, b = a[near], b[near]
        apart = (order[a] - order[b]) % count
        far = (apart != 1) & (apart != count - 1)
        a, b = a[far], b[far]
        with np.errstate(over="ignore", invalid="ignore"):
            meet = (_side(start[a], end[a], start[b]) * _side(start[a], end[a], end[b]) <= 0) & (
                _side(start[b], end[b], start[a]) * _side(start[b], end[b], end[a]) <= 0
            )
        met += int(np.count_nonzero(meet))
    return met * count / len(rows)


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Signs: on which side of a line points lie."""
    along, to = end - start, point - start
    return np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0])


def fill_runs(coordinates: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fill what a closed outline surrounds.

    Args:
        coordinates: (N, 2) float64, in pixels, within 1e9; what lies outside the image is cut.

    Returns:
        Runs of an uncompressed RLE, uint32: background first, column by column.

    Raises:
        TooTangled: more than ``MAX_CROSSINGS``.
    """
    edges = _Edges.of(coordinates, width)
    total = int(edges.counts.sum())
    if total > MAX_CROSSINGS:
        raise TooTangled(f"its outline crosses the columns {total:,} times: write an RLE")
    changes = [np.zeros(0, np.int64)]
    for column, row, sign in edges.strips(height):
        # Where, from top to bottom of column after column, inside begins and ends. All signs of a
        # column add up to zero, as the outline is closed.
        place = column * (height + 1) + row
        order = np.argsort(place, kind="stable")
        place, winding = place[order], np.cumsum(sign[order])
        last = np.append(place[1:] != place[:-1], True)
        place, inside = place[last], winding[last] != 0
        place = place[inside != np.append(False, inside[:-1])]
        changes.append(place - place // (height + 1))
    # What ends at the foot of a column and goes on at the head of the next one is one run.
    places, times = np.unique(np.concatenate(changes), return_counts=True)
    places = places[(times == 1) & (places < height * width)]
    return np.diff(places, prepend=0, append=height * width).astype(np.uint32)


@dataclass(frozen=True)
class _Edges:
    """The edges of an outline that cross the centre line of a column, as pycocotools walks them.

    Attributes:
        x, y: (E,) int64, where the walk starts, in fifths of a pixel.
        slope: (E,) float64, of the slower coordinate by the faster.
        steep: (E,) bool, whether y is the faster.
        sign: (E,) +1 where the outline goes to the right, -1 to the left.
        first, counts: (E,) int64, the first column that is crossed, and how many are.
    """

    x: np.ndarray
    y: np.ndarray
    slope: np.ndarray
    steep: np.ndarray
    sign: np.ndarray
    first: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, coordinates: np.ndarray, width: int) -> _Edges:
        points = np.trunc(_SCALE * coordinates + 0.5).astype(np.int64)
        (xs, ys), (xe, ye) = points.T, np.roll(points, -1, axis=0).T
        first = np.maximum(-((2 - np.minimum(xs, xe)) // _SCALE), 0)
        last = np.minimum((np.maximum(xs, xe) - 3) // _SCALE, width - 1)
        used = last >= first
        xs, ys, xe, ye, first, last = (v[used] for v in (xs, ys, xe, ye, first, last))
        sign = np.where(xe > xs, 1, -1)
        dx, dy = np.abs(xe - xs), np.abs(ye - ys)
        steep = dx < dy
        flip = np.where(steep, ys > ye, xs > xe)
        xs, xe = np.where(flip, xe, xs), np.where(flip, xs, xe)
        ys, ye = np.where(flip, ye, ys), np.where(flip, ys, ye)
        slope = np.where(steep, xe - xs, ye - ys) / np.maximum(dx, dy)
        return cls(xs, ys, slope, steep, sign, first, last - first + 1)

    def strips(self, height: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Columns, rows (0 to H: the first pixel below) and signs of all crossings, strip of the
        image after strip, from left to right.
        """
        if not len(self.first):
            return
        ends = self.first + self.counts
        rest = [(int(self.first.min()), int(ends.max()), np.arange(len(ends)))]
        while rest:
            left, right, edges = rest.pop()
            first = np.maximum(self.first[edges], left)
            counts = np.minimum(ends[edges], right) - first
            here = counts > 0
            edges, first, counts = edges[here], first[here], counts[here]
            if not len(edges):
                continue
            if right - left > 1 and int(counts.sum()) > _CROSSINGS:
                middle = (left + right) // 2
                rest += [(middle, right, edges), (left, middle, edges)]
                continue
            edge = np.repeat(edges, counts)
            within = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
            column = np.repeat(first, counts) + within
            yield column, self._rows(edge, column, height), self.sign[edge]

    def _rows(self, edge: np.ndarray, column: np.ndarray, height: int) -> np.ndarray:
        x, y, slope, steep = self.x[edge], self.y[edge], self.slope[edge], self.steep[edge]
        # y at both sides of the centre line, of which the smaller counts.
        v = np.empty(len(edge), np.int64)
        flat = ~steep
        step = _SCALE * column[flat] + 2 - x[flat]
        v[flat] = np.minimum(
            np.trunc(y[flat] + slope[flat] * step + 0.5),
            np.trunc(y[flat] + slope[flat] * (step + 1) + 0.5),
        )
        v[steep] = y[steep] - 1 + _first_step(x[steep], slope[steep], _SCALE * column[steep] + 3)
        return np.ceil(np.clip((v + 0.5) / _SCALE - 0.5, 0, height)).astype(np.int64)


def _first_step(x: np.ndarray, slope: np.ndarray, line: np.ndarray) -> np.ndarray:
    """The first step t at which trunc(x + slope * t + 0.5) has come to the other side of a line.

    To ``line`` or beyond where the slope is positive, below it where it is negative.
    """
    up = slope > 0
    step = np.ceil((line - 0.5 - x) / slope)
    for change in (-1.0, 1.0):  # a float's last bit may have put it one step too far, or short
        at = x + slope * (step + min(change, 0)) + 0.5
        there = np.where(up, at >= line, at < line)
        step += np.where(there if change < 0 else ~there, change, 0)
    return step.astype(np.int64)


def _portions(counts: np.ndarray, limit: int) -> Iterator[slice]:
    """Slices whose counts add up to the limit at most, or that are of one element."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + limit, side="right")))
        yield slice(start, stop)
        start = stop
