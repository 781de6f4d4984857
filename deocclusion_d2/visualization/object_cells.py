"""Cells of sheets that show one object by several methods: its part of the photo, and a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..structures import Scene, WindowMask
from ..structures.window_mask import Box
from .canvas import SceneCanvas
from .insets import cropped
from .palette import PAPER, lighten
from .scene import draw_amodal_masks

# How much of the surroundings of an object is shown.
_CONTEXT, _LEAST_WINDOW = 1.6, 40
# Height of the letters as a share of the cell's.
_LETTERS = 1 / 12


@dataclass(frozen=True)
class FoundObject:
    """A true object, and what methods take it for.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        modal_mask, amodal_mask: the true ones; the amodal one is not empty.
        found: a mask per method; None where it has found nothing.
    """

    image: np.ndarray
    modal_mask: WindowMask
    amodal_mask: WindowMask
    found: Sequence[WindowMask | None]


@dataclass(frozen=True)
class CellStyle:
    """How objects of a sheet are drawn.

    Attributes:
        height, width: of a cell in pixels.
    """

    height: int
    width: int

    def window(self, item: FoundObject) -> Box:
        """The part of the image that is shown: of a cell's shape, if the image is large enough."""
        height, width = item.image.shape[:2]
        x0, y0, x1, y1 = item.amodal_mask.box
        across = _CONTEXT * (y1 - y0) * self.width / self.height
        w = max(_CONTEXT * (x1 - x0), across, _LEAST_WINDOW)
        w = min(w, width, height * self.width / self.height)
        h = max(round(w * self.height / self.width), 1)
        w = max(round(w), 1)
        left = min(max(round((x0 + x1 - w) / 2), 0), width - w)
        top = min(max(round((y0 + y1 - h) / 2), 0), height - h)
        return left, top, left + w, top + h

    def truth(self, item: FoundObject, color) -> np.ndarray:
        """The true mask, its hidden part hatched."""
        part, (amodal,) = cropped(_scene(item), [item.amodal_mask], self.window(item))
        return self._sized(draw_amodal_masks(part, [amodal], self.width / part.width, [color]))

    def mask(self, item: FoundObject, mask: WindowMask | None, color) -> np.ndarray:
        """A mask, and its IoU with the true one, whose outline is dashed."""
        shown = [item.amodal_mask, mask or WindowMask.empty()]
        part, (amodal, found) = cropped(_scene(item), shown, self.window(item))
        canvas = SceneCanvas(part, self.width / part.width, brightness=0.75, saturation=0.3)
        canvas.fill(found, color, 0.62)
        canvas.outline(found, color, width=4)
        canvas.outline(amodal, lighten(color, 0.7), width=3, dashed=True)
        text = "not found" if mask is None else f"IoU {mask.iou(item.amodal_mask):.2f}"
        letters = round(self.height * _LETTERS)
        canvas.text((8, canvas.height - letters + 1), text, letters, PAPER)
        return self._sized(canvas.render())

    def picture(self, item: FoundObject, picture: np.ndarray | None) -> np.ndarray:
        """The same part of another picture of the image's size; nothing where there is none."""
        if picture is None:
            return np.full((self.height, self.width, 3), PAPER, np.uint8)
        x0, y0, x1, y1 = self.window(item)
        return self._sized(picture[y0:y1, x0:x1])

    def _sized(self, picture: np.ndarray) -> np.ndarray:
        shrinks = picture.shape[1] >= self.width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        return cv2.resize(picture, (self.width, self.height), interpolation=how)


def _scene(item: FoundObject) -> Scene:
    height, width = item.image.shape[:2]
    return Scene(height, width, [item.modal_mask], np.ones(1), image=item.image)
