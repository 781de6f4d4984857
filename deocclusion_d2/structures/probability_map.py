"""How sure a completion is of each pixel of a hidden region."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .window_mask import Box, WindowMask, crop_window, tight_box


@dataclass(frozen=True, eq=False)
class ProbabilityMap:
    """Probabilities of the pixels of an image, stored as the window of those above 0.

    Attributes:
        x0, y0: image position of the window's top left pixel.
        array: (h, w) uint8: the probability is its 255th part. Outside the window it is 0.
    """

    x0: int
    y0: int
    array: np.ndarray

    @classmethod
    def from_array(cls, array: np.ndarray, x0: int = 0, y0: int = 0) -> ProbabilityMap:
        """Keep the tight window of an array.

        Args:
            array: (h, w) float in [0, 1].
            x0, y0: image position of its top left pixel.
        """
        levels = np.rint(array * 255).astype(np.uint8)
        left, top, right, bottom = tight_box(levels > 0) or (0, 0, 0, 0)
        return cls(x0 + left, y0 + top, levels[top:bottom, left:right].copy())

    @property
    def xywh(self) -> list[int]:
        """The window as COCO's [x, y, width, height] in pixels."""
        h, w = self.array.shape
        return [self.x0, self.y0, w, h]

    @property
    def box(self) -> Box:
        """The window; (0, 0, 0, 0) or another empty box when all probabilities are 0."""
        h, w = self.array.shape
        return (self.x0, self.y0, self.x0 + w, self.y0 + h)

    def crop(self, box: Box) -> np.ndarray:
        """The probabilities inside a box (x0, y0, x1, y1): (y1 - y0, x1 - x0) float32 in [0, 1]."""
        return self.crop_levels(box) / np.float32(255)

    def crop_levels(self, box: Box) -> np.ndarray:
        """The same in 255th parts: (y1 - y0, x1 - x0) uint8, a new array."""
        return crop_window(self.array, self.x0, self.y0, box)

    def with_certain(self, mask: WindowMask) -> ProbabilityMap:
        """The same with probability 1 at a mask's pixels."""
        if mask.is_empty:
            return self
        box = mask.box
        if self.array.size:
            h, w = self.array.shape
            box = (
                min(self.x0, box[0]),
                min(self.y0, box[1]),
                max(self.x0 + w, box[2]),
                max(self.y0 + h, box[3]),
            )
        levels = crop_window(self.array, self.x0, self.y0, box)
        levels[mask.crop(box)] = 255
        return ProbabilityMap(box[0], box[1], levels)

    def to_json(self) -> dict[str, Any]:
        """``bbox``, the window [x, y, width, height], and ``png``, it as an 8-bit PNG in base64."""
        if not self.array.size:
            return {"bbox": self.xywh, "png": ""}
        png = cv2.imencode(".png", self.array)[1]
        return {"bbox": self.xywh, "png": base64.b64encode(png).decode("ascii")}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> ProbabilityMap:
        """Read what ``to_json`` has made.

        Raises:
            ValueError: the PNG is none, or of another size than ``bbox``.
        """
        x, y, w, h = entry["bbox"]
        array = np.zeros((h, w), np.uint8)
        if array.size:
            code = np.frombuffer(base64.b64decode(entry["png"]), np.uint8)
            array = cv2.imdecode(code, cv2.IMREAD_UNCHANGED) if code.size else None
            if array is None or array.shape != (h, w):
                raise ValueError(f"no 8-bit PNG of {w} x {h} pixels")
        return cls(x, y, array)
