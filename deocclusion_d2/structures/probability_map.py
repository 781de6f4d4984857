"""How sure a completion is of each pixel of a hidden region."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np


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
        left, top, width, height = cv2.boundingRect(levels)
        window = levels[top : top + height, left : left + width].copy()
        return cls(x0 + left, y0 + top, window)

    @property
    def xywh(self) -> list[int]:
        """The window as COCO's [x, y, width, height] in pixels."""
        h, w = self.array.shape
        return [self.x0, self.y0, w, h]

    def crop(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """The probabilities inside a box (x0, y0, x1, y1): (y1 - y0, x1 - x0) float32 in [0, 1]."""
        x0, y0, x1, y1 = box
        out = np.zeros((y1 - y0, x1 - x0), dtype=np.float32)
        h, w = self.array.shape
        left, right = max(x0, self.x0), min(x1, self.x0 + w)
        top, bottom = max(y0, self.y0), min(y1, self.y0 + h)
        if left < right and top < bottom:
            out[top - y0 : bottom - y0, left - x0 : right - x0] = (
                self.array[top - self.y0 : bottom - self.y0, left - self.x0 : right - self.x0] / 255
            )
        return out

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
