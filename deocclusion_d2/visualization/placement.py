"""Where the nodes, tags and arrows of a drawn graph go. Points are (x, y) in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..structures import WindowMask

Point = tuple[float, float]


@dataclass(frozen=True)
class Node:
    """A point well inside a mask.

    Attributes:
        x, y: centre of a foreground pixel; pixel (0, 0) has its centre at (0.5, 0.5).
        radius: distance in pixels over which everything around the point is foreground.
    """

    x: float
    y: float
    radius: float

    def scaled(self, scale: float) -> Node:
        return Node(self.x * scale, self.y * scale, self.radius * scale)

    def distance(self, point: Point) -> float:
        return float(np.hypot(self.x - point[0], self.y - point[1]))


def interior_node(mask: WindowMask) -> Node | None:
    """A point deep inside the visible part: close to the pole of inaccessibility.

    The centroid of a bent or split mask can lie outside of it. Of all pixels at least 0.85 as far
    from the boundary as the farthest one, the one nearest to the centroid is taken.

    Returns:
        The point in image pixels; None for an empty mask.
    """
    if mask.is_empty:
        return None
    padded = np.pad(mask.array.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    rows, columns = np.nonzero(depth >= 0.85 * depth.max())
    centre_row, centre_column = (v.mean() for v in np.nonzero(mask.array))
    best = int(np.argmin((rows - centre_row) ** 2 + (columns - centre_column) ** 2))
    row, column = int(rows[best]), int(columns[best])
    # The transform measures to the centre of the nearest background pixel, at least half a pixel
    # beyond the boundary.
    radius = float(depth[row, column]) - 0.5
    return Node(mask.x0 + column + 0.5, mask.y0 + row + 0.5, radius)


def arc_points(start: Point, end: Point, bend: float, count: int = 24) -> np.ndarray:
    """Points along Matplotlib's ``arc3`` connection, a quadratic Bezier curve: (count, 2)."""
    (x0, y0), (x1, y1) = start, end
    control = ((x0 + x1) / 2 + bend * (y1 - y0), (y0 + y1) / 2 - bend * (x1 - x0))
    t = np.linspace(0, 1, count)[:, None]
    return (
        (1 - t) ** 2 * np.array(start) + 2 * t * (1 - t) * np.array(control) + t**2 * np.array(end)
    )


def choose_bend(start: Node, end: Node, others: Sequence[Node], clearance: float) -> float:
    """The gentlest bend with which an arrow keeps clear of all other nodes.

    Returns:
        0 for a straight arrow; where no bend keeps clear, the one that stays farthest away.
    """
    best, best_gap = 0.0, -1.0
    for bend in (0.0, 0.2, -0.2, 0.4, -0.4):
        arc = arc_points((start.x, start.y), (end.x, end.y), bend)
        gap = min(
            (np.hypot(arc[:, 0] - o.x, arc[:, 1] - o.y).min() for o in others), default=np.inf
        )
        if gap >= clearance:
            return bend
        if gap > best_gap:
            best, best_gap = bend, gap
    return best


def place_tags(
    nodes: Sequence[Node],
    sizes: Sequence[Point],
    arcs: Sequence[np.ndarray],
    picture: tuple[int, int],
    dot_radius: float,
) -> list[Point]:
    """Centres of number tags that cover neither each other nor another node, nor leave the picture.

    A tag sits on its node when it fits into the mask there; otherwise beside it, as near as
    possible, preferably where no arrow passes.

    Args:
        nodes: N points in picture pixels.
        sizes: N tag sizes (width, height) in picture pixels.
        arcs: arrows as (K, 2) points.
        picture: height and width of the picture.
        dot_radius: radius that is kept free around nodes whose tag is elsewhere.
    """
    centres: list[Point] = [(0.0, 0.0)] * len(nodes)
    taken = np.zeros((0, 4))
    dots = np.array([[n.x, n.y] for n in nodes]).reshape(-1, 2)
    strokes = np.concatenate(arcs) if arcs else np.zeros((0, 2))
    # The deepest nodes first: they can take their tag on the spot.
    for i in sorted(range(len(nodes)), key=lambda i: (-nodes[i].radius, i)):
        others = np.delete(dots, i, axis=0)
        options = _tag_options(nodes[i], sizes[i], dot_radius)
        boxes = _boxes_around(options, sizes[i])
        costs = np.arange(len(options), dtype=float)
        costs += 1000.0 * _overlaps(boxes, taken)
        costs += 300.0 * _points_within(others, boxes, dot_radius)
        costs += 1e6 * _outside(boxes, picture)
        crossed = 5.0 * _points_within(strokes, boxes, 0.0)
        if tag_fits(nodes[i], sizes[i]):
            crossed[0] = 0.0
        best = int(np.argmin(costs + crossed))
        centres[i] = options[best]
        taken = np.concatenate([taken, boxes[best : best + 1]])
    return centres


def covered_tags(centres: Sequence[Point], sizes: Sequence[Point]) -> list[int]:
    """Tags that lie on one before them, in part at least."""
    kept = np.zeros((0, 4))
    covered = []
    for i, (centre, size) in enumerate(zip(centres, sizes, strict=True)):
        box = _boxes_around([centre], size)
        if _overlaps(box, kept)[0]:
            covered.append(i)
        else:
            kept = np.concatenate([kept, box])
    return covered


def place_texts(
    arcs: Sequence[np.ndarray],
    sizes: Sequence[Point],
    tags: Sequence[tuple[Point, Point]],
    nodes: Sequence[Node],
    picture: tuple[int, int],
) -> list[Point | None]:
    """Centres of texts on arrows, None for those for which there is no room.

    A text stands on the middle part of its arrow, where it covers no tag, node or other text, nor
    leaves the picture.

    Args:
        arcs: E arrows as (K, 2) points.
        sizes: E text sizes (width, height) in picture pixels.
        tags: centre and size of what is there already.
        nodes: points that stay free.
        picture: height and width of the picture.
    """
    taken = np.concatenate([np.zeros((0, 4)), *(_boxes_around([at], size) for at, size in tags)])
    dots = np.array([[n.x, n.y] for n in nodes]).reshape(-1, 2)
    places: list[Point | None] = []
    for arc, size in zip(arcs, sizes, strict=True):
        shares = np.array([0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74])
        points = arc[np.rint(shares * (len(arc) - 1)).astype(int)]
        boxes = _boxes_around(points, size)
        blocked = _overlaps(boxes, taken) + _outside(boxes, picture)
        free = np.flatnonzero(blocked + _points_within(dots, boxes, 2.0) == 0)
        if not free.size:
            places.append(None)
            continue
        places.append((float(points[free[0], 0]), float(points[free[0], 1])))
        taken = np.concatenate([taken, boxes[free[:1]]])
    return places


def tag_fits(node: Node, size: Point) -> bool:
    """Whether a tag centred on a node stays inside the node's mask."""
    return bool(np.hypot(*size) / 2 <= node.radius)


def _tag_options(node: Node, size: Point, dot_radius: float) -> list[Point]:
    """Possible centres, best first."""
    options: list[Point] = []
    if tag_fits(node, size):
        options.append((node.x, node.y))
    for ring in (1.0, 1.6, 2.4, 3.4, 4.6, 6.0):
        # Above first: roofs and heads are followed by road and sky, where a tag hides little.
        for angle in (-90, -45, -135, 0, 180, 45, 135, 90):
            x, y = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
            reach_x = size[0] / 2 + dot_radius * 1.3 + (ring - 1) * size[1]
            reach_y = size[1] / 2 + dot_radius * 1.3 + (ring - 1) * size[1]
            options.append((float(node.x + x * reach_x), float(node.y + y * reach_y)))
    return options


def _boxes_around(centres: Sequence[Point] | np.ndarray, size: Point) -> np.ndarray:
    """(K, 4) boxes (x0, y0, x1, y1) of one size."""
    points, half = np.asarray(centres, float).reshape(-1, 2), np.array(size) / 2
    return np.concatenate([points - half, points + half], axis=1)


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(K,) common areas of K boxes with all others, plus one for each that they meet, in pixels."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    w, h = np.moveaxis(high - low, -1, 0)
    return np.where((w > 0) & (h > 0), 1.0 + w * h, 0.0).sum(axis=1)


def _points_within(points: np.ndarray, boxes: np.ndarray, margin: float) -> np.ndarray:
    """(K,) numbers of points in K boxes, grown by a margin."""
    inside = (points > boxes[:, None, :2] - margin) & (points < boxes[:, None, 2:] + margin)
    return inside.all(axis=2).sum(axis=1).astype(float)


def _outside(boxes: np.ndarray, picture: tuple[int, int]) -> np.ndarray:
    """(K,) by how many pixels K boxes leave the picture."""
    height, width = picture
    beyond = boxes[:, 2:] - np.array([width, height])
    return np.maximum(-boxes[:, :2], 0).sum(axis=1) + np.maximum(beyond, 0).sum(axis=1)
