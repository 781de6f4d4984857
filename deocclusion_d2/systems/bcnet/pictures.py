"""What the two layers make of regions, drawn as in the supplement's Fig. 4."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np
from detectron2.structures import Instances

from ...visualization.canvas import captions, side_by_side

# Of a cell, of the titles, and between cells, in pixels.
_SIDE, _TITLE, _MARGIN = 128, 24, 4
# Objects of a photo that are drawn: those with most in front of them.
_MOST_OBJECTS = 16
_COLORS = "inferno"

TITLES = ("occluders", "their boundary", "object", "its boundary")
# What they are called in a region's result.
FIELDS = (
    "pred_occluder_masks",
    "pred_occluder_boundaries",
    "pred_object_masks",
    "pred_object_boundaries",
)


def draw_layers(columns: Sequence[tuple[str, Sequence[np.ndarray]]]) -> np.ndarray:
    """Regions one below the other, and what there is of each side by side.

    Args:
        columns: (title, R parts), each part a picture, (h, w, 3) uint8 RGB, or probabilities,
            (h, w) float or bool, which become a heat map.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    cells = [
        captions([title for title, _ in columns], _SIDE, _TITLE),
        *([_cell(p) for p in row] for row in zip(*(parts for _, parts in columns), strict=True)),
    ]
    return np.concatenate([side_by_side(row, _MARGIN) for row in cells])


def draw_regions(
    image: np.ndarray, instances: Instances, names: Sequence[str]
) -> np.ndarray | None:
    """The regions of a photo's objects with the masks and boundaries of both layers.

    Args:
        image: (H, W, 3) uint8 RGB.
        instances: with ``pred_boxes``, in pixels of the photo, and what
            ``MODEL.BCNET.KEEP_EXTRAS`` keeps.
        names: of their categories.

    Returns:
        (h, w, 3) uint8 RGB, the objects with most in front of them first; None without these
        fields, or without an object.
    """
    if not len(instances) or not instances.has("pred_occluder_masks"):
        return None
    parts = [instances.get(field)[:, 0].float().cpu().numpy() for field in FIELDS]
    in_front = parts[0].mean(axis=(1, 2))
    rows = np.argsort(-in_front, kind="stable")[:_MOST_OBJECTS]
    boxes = instances.pred_boxes.tensor.cpu().numpy()
    photos = [_named(_cropped(image, boxes[row]), names[row]) for row in rows]
    shown = [part[rows] for part in parts]
    return draw_layers([("region", photos), *zip(TITLES, shown, strict=True)])


def _cropped(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x0, y0 = (max(int(np.floor(v)), 0) for v in box[:2])
    x1, y1 = (max(int(np.ceil(v)), low + 1) for v, low in zip(box[2:], (x0, y0), strict=True))
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    return image[y0 : min(y1, height), x0 : min(x1, width)]


def _named(picture: np.ndarray, name: str) -> np.ndarray:
    """A region's picture with the name of its category below it."""
    cell = _sized(picture)
    (label,) = captions([name], _SIDE, 18)
    cell[-len(label) :] = label
    return cell


def _cell(part: np.ndarray) -> np.ndarray:
    if part.ndim == 3:
        return _sized(part)
    colors = matplotlib.colormaps[_COLORS](part.astype(np.float32))[:, :, :3]
    return cv2.resize(np.uint8(colors * 255), (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)


def _sized(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
