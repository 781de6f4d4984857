"""One picture of several detectors: what each of them sees of the same hidden objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..structures import Scene, WindowMask
from ..structures.window_mask import Box
from .canvas import SceneCanvas, captions, side_by_side
from .insets import cropped
from .palette import PAPER, instance_color, lighten
from .scene import draw_amodal_masks

# Of a cell, in pixels; and how much of the surroundings of an object it shows.
_HEIGHT, _WIDTH = 180, 240
_CONTEXT, _LEAST_WINDOW = 1.6, 40
_MARGIN, _TITLE = 6, 30


@dataclass(frozen=True)
class FoundObject:
    """A true object, and what detectors take it for.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        modal_mask, amodal_mask: the true ones; the amodal one is not empty.
        found: a mask per detector; None where it has found nothing.
    """

    image: np.ndarray
    modal_mask: WindowMask
    amodal_mask: WindowMask
    found: Sequence[WindowMask | None]


def draw_found_objects(objects: Sequence[FoundObject], detectors: Sequence[str]) -> np.ndarray:
    """A row per object: the truth, its hidden part hatched; then the mask of every detector.

    The true amodal outline is dashed in all cells; the number is the IoU with it.

    Args:
        objects: at least one, with a mask, or None, of each detector.
        detectors: their names.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    titles = captions(["Truth", *detectors], _WIDTH, _TITLE)
    rows = [titles]
    for number, item in enumerate(objects):
        color = instance_color(number)
        box = _window(item)
        rows.append([_truth(item, box, color), *(_cell(item, m, box, color) for m in item.found)])
    return np.concatenate([side_by_side(cells, _MARGIN) for cells in rows])


def _window(item: FoundObject) -> Box:
    """The part of the image that is shown: of a cell's shape where the image is large enough."""
    height, width = item.image.shape[:2]
    x0, y0, x1, y1 = item.amodal_mask.box
    w = max(_CONTEXT * (x1 - x0), _CONTEXT * (y1 - y0) * _WIDTH / _HEIGHT, _LEAST_WINDOW)
    w = min(w, width, height * _WIDTH / _HEIGHT)
    h = max(round(w * _HEIGHT / _WIDTH), 1)
    w = max(round(w), 1)
    left = min(max(round((x0 + x1 - w) / 2), 0), width - w)
    top = min(max(round((y0 + y1 - h) / 2), 0), height - h)
    return left, top, left + w, top + h


def _truth(item: FoundObject, box: Box, color) -> np.ndarray:
    part, (amodal,) = cropped(_scene(item), [item.amodal_mask], box)
    return _sized(draw_amodal_masks(part, [amodal], _WIDTH / part.width, [color]))


def _cell(item: FoundObject, mask: WindowMask | None, box: Box, color) -> np.ndarray:
    shown = [item.amodal_mask, mask or WindowMask.empty()]
    part, (amodal, found) = cropped(_scene(item), shown, box)
    canvas = SceneCanvas(part, _WIDTH / part.width, brightness=0.75, saturation=0.3)
    canvas.fill(found, color, 0.62)
    canvas.outline(found, color, width=4)
    canvas.outline(amodal, lighten(color, 0.7), width=3, dashed=True)
    text = "not found" if mask is None else f"IoU {_iou(mask, item.amodal_mask):.2f}"
    canvas.text((8, canvas.height - 14), text, 15, PAPER)
    return _sized(canvas.render())


def _scene(item: FoundObject) -> Scene:
    height, width = item.image.shape[:2]
    return Scene(height, width, [item.modal_mask], np.ones(1), image=item.image)


def _iou(first: WindowMask, second: WindowMask) -> float:
    both = first.intersection_area(second)
    return both / (first.area + second.area - both)


def _sized(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
