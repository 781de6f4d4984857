"""Corners of a picture that show, enlarged, what is too small to see in it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Scene, WindowMask
from ..structures.window_mask import Box
from .canvas import SceneCanvas
from .palette import PAPER

# Hidden parts that are nowhere so many units thick are hard to see.
_SMALL = 9.0
_SIDE = 0.27  # of an inset, as a share of the picture's shorter side
_LEAST_SIDE, _LEAST_FACTOR = 70, 1.8
_CONTEXT = 1.7  # sides of a hidden part that an inset shows
_MOST_COVERED = 0.3  # of a corner, by objects


def small_parts(hidden: Sequence[WindowMask], scale: float, unit: float) -> list[int]:
    """Instances with a hidden part that is hard to see, the largest first."""
    small = [
        i
        for i, mask in enumerate(hidden)
        if not mask.is_empty and _thickness(mask) * scale < _SMALL * unit
    ]
    return sorted(small, key=lambda i: (-hidden[i].area, i))


def _thickness(mask: WindowMask) -> float:
    """Pixels across a mask where it is thickest."""
    padded = np.pad(mask.array.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 2.0 * float(depth.max()) - 1.0


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
    busy = np.zeros((scene.height, scene.width), bool)
    for mask in (*scene.modal_masks, *hidden):
        busy |= mask.to_array(scene.height, scene.width)
    placed: list[tuple[Box, Box]] = []
    for i in small_parts(hidden, scale, unit):
        window = _window_around(hidden[i], scene.height, scene.width)
        is_shown = any(_holds(shown, hidden[i].box) for shown, _ in placed)
        if is_shown or side < _LEAST_FACTOR * scale * (window[2] - window[0]):
            continue
        costs = []
        for corner in free:
            x0, y0, x1, y1 = (round(v / scale) for v in corner)
            costs.append(float(busy[y0:y1, x0:x1].mean()) + _meet((x0, y0, x1, y1), window))
        if not costs or min(costs) > _MOST_COVERED:
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


def _window_around(mask: WindowMask, height: int, width: int) -> Box:
    """A square around a mask with some of what is about it, inside the image."""
    x0, y0, x1, y1 = mask.box
    side = min(max(round(_CONTEXT * max(x1 - x0, y1 - y0)), 16), height, width)
    left = min(max(round((x0 + x1 - side) / 2), 0), width - side)
    top = min(max(round((y0 + y1 - side) / 2), 0), height - side)
    return left, top, left + side, top + side


def _holds(outer: Box, inner: Box) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and outer[2] >= inner[2]
        and outer[3] >= inner[3]
    )


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
