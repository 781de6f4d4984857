"""Corners of a picture that show, enlarged, what is too small to see in it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Scene, WindowMask
from ..structures.window_mask import Box, union
from .canvas import SceneCanvas
from .palette import PAPER

# Hidden parts that are nowhere so many units thick are hard to see.
_SMALL = 9.0
_SIDE = 0.27  # of an inset, as a share of the picture's shorter side
_LEAST_SIDE, _LEAST_FACTOR = 70, 2.5
# Sides of a hidden part, and pixels of the image, that an inset shows.
_CONTEXT, _LEAST_WINDOW = 1.7, 16
_MOST_COVERED = 0.3  # of a corner, by objects


def small_parts(hidden: Sequence[WindowMask], scale: float, unit: float) -> list[int]:
    """Instances with a hidden part that is hard to see, the largest first."""
    small = [
        i
        for i, mask in enumerate(hidden)
        if not mask.is_empty and _thickness(mask) * scale < _SMALL * unit
    ]
    return sorted(small, key=lambda i: (-hidden[i].area, i))


def _depth(mask: WindowMask) -> np.ndarray:
    """Of each pixel of a mask's window, the distance to the nearest pixel outside the mask."""
    padded = np.pad(mask.array.astype(np.uint8), 1)
    return cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]


def _thickness(mask: WindowMask) -> float:
    """Pixels across a mask where it is thickest."""
    return 2.0 * float(_depth(mask).max()) - 1.0


def _deepest_point(mask: WindowMask) -> tuple[int, int]:
    """The pixel (x, y) where a mask is thickest; of several the one nearest to its middle."""
    depth = _depth(mask)
    rows, columns = np.nonzero(depth >= depth.max() - 1e-3)
    h, w = depth.shape
    best = int(np.argmin((rows - h / 2) ** 2 + (columns - w / 2) ** 2))
    return mask.x0 + int(columns[best]), mask.y0 + int(rows[best])


def inset_windows(
    scene: Scene, hidden: Sequence[WindowMask], scale: float, unit: float
) -> list[tuple[Box, Box]]:
    """What is shown enlarged, and where.

    Args:
        hidden: of N instances the hidden part.
        scale: picture pixels per image pixel.
        unit: see ``SceneCanvas``.

    Returns:
        Up to four pairs of boxes (x0, y0, x1, y1): square windows of the image in image pixels, and
        corners of the picture in its pixels. None where objects take up the corners, or where the
        picture is too small.
    """
    height, width = round(scene.height * scale), round(scene.width * scale)
    side = round(_SIDE * min(height, width))
    if side < _LEAST_SIDE:
        return []
    margin = max(round(4 * unit), 2)
    xs, ys = (margin, width - margin - side), (margin, height - margin - side)
    free: list[Box] = [(x, y, x + side, y + side) for y in ys for x in xs]
    busy = union((*scene.modal_masks, *hidden)).to_array(scene.height, scene.width)
    placed: list[tuple[Box, Box]] = []
    for i in small_parts(hidden, scale, unit):
        x, y = _deepest_point(hidden[i])
        if any(x0 <= x < x1 and y0 <= y < y1 for (x0, y0, x1, y1), _ in placed):
            continue
        h, w = hidden[i].array.shape
        most = min(side / (_LEAST_FACTOR * scale), scene.height, scene.width)
        length = int(min(max(_CONTEXT * max(h, w), _LEAST_WINDOW), most))
        if length < 1:
            continue
        left = min(max(x - length // 2, 0), scene.width - length)
        top = min(max(y - length // 2, 0), scene.height - length)
        window = (left, top, left + length, top + length)
        costs = []
        for corner in free:
            x0, y0, x1, y1 = (round(v / scale) for v in corner)
            covered = float(busy[y0:y1, x0:x1].mean()) + _meet((x0, y0, x1, y1), window)
            away = np.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y) / np.hypot(*busy.shape)
            # Of corners that are free, the nearest: lines to it cross little.
            costs.append(covered + 0.3 * away if covered <= _MOST_COVERED else np.inf)
        if not costs or min(costs) == np.inf:
            continue
        placed.append((window, free.pop(int(np.argmin(costs)))))
    return placed


def paste_insets(
    picture: np.ndarray, windows: Sequence[tuple[Box, np.ndarray, Box]], scale: float
) -> np.ndarray:
    """Put enlarged windows into corners, each joined to what it shows.

    Args:
        picture: (h, w, 3) uint8.
        windows: the window in image pixels, its enlarged picture, and the corner.
        scale: picture pixels per image pixel.
    """
    picture = picture.copy()
    for _, enlarged, (x0, y0, x1, y1) in windows:
        picture[y0:y1, x0:x1] = cv2.resize(
            enlarged, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA
        )
    h, w = picture.shape[:2]
    canvas = SceneCanvas(Scene(h, w, [], np.zeros(0), image=picture))
    for window, _, corner in windows:
        shown = np.array(window) * scale
        canvas.line(_nearest(shown, corner), PAPER, 0.9, dotted=False)
        canvas.rectangle(shown, PAPER, width=1.2, dashed=False)
        canvas.rectangle(np.array(corner), PAPER, width=1.8, dashed=False)
        size = float(np.clip(0.12 * (corner[2] - corner[0]), 8, 15))
        factor = (corner[2] - corner[0]) / (shown[2] - shown[0])
        text = f"{factor:.1f}".removesuffix(".0")
        at = (corner[0] + 0.4 * size, corner[3] - 0.8 * size)
        canvas.text(at, f"\N{MULTIPLICATION SIGN}{text}", size, PAPER)
    return canvas.render()


def cropped(scene: Scene, masks: Sequence[WindowMask], box: Box) -> tuple[Scene, list[WindowMask]]:
    """The part of a scene in a box, and of N masks."""
    x0, y0, x1, y1 = box
    modal, others = (
        [WindowMask.from_array(mask.crop(box)) for mask in group]
        for group in (scene.modal_masks, masks)
    )
    image = None if scene.image is None else scene.image[y0:y1, x0:x1]
    part = Scene(
        y1 - y0, x1 - x0, modal, scene.category_ids, list(scene.instance_ids), image, scene.image_id
    )
    return part, others


def _meet(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def _nearest(a: Box | np.ndarray, b: Box) -> list[tuple[float, float]]:
    """The shortest line between two boxes."""
    ends = []
    for k in (0, 1):
        low, high = max(a[k], b[k]), min(a[k + 2], b[k + 2])
        middle = (low + high) / 2
        if low <= high:
            ends.append((middle, middle))
        else:
            ends.append((a[k + 2], b[k]) if a[k + 2] < b[k] else (a[k], b[k + 2]))
    (ax, bx), (ay, by) = ends
    return [(ax, ay), (bx, by)]
