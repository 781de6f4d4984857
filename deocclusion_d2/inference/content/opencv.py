"""Fills of a hole that need no training: OpenCV's two inpainting methods and a mean colour.

Shape shorthand: h, w: height and width of a part of an image in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from ...structures.window_mask import intersect_boxes
from .filler import ContentFiller
from .holes import Hole

# Pixels around a pixel from which OpenCV's methods take its colour.
INPAINT_RADIUS = 3.0


def telea(image: np.ndarray, hole: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """OpenCV's fast marching method (Telea, 2004), from all pixels that are not in the hole.

    Args:
        image: (h, w, 3) uint8 RGB; what the hole contains is not used.
        hole: (h, w) bool, True where colours are wanted.
        visible: (h, w) bool, the pixels of the object; not used.

    Returns:
        (h, w, 3) uint8 RGB, equal to ``image`` outside the hole.
    """
    return _inpaint(image, hole, cv2.INPAINT_TELEA)


def navier_stokes(image: np.ndarray, hole: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """OpenCV's method after Navier and Stokes (Bertalmio et al., 2001); see ``telea``."""
    return _inpaint(image, hole, cv2.INPAINT_NS)


def mean_colour(image: np.ndarray, hole: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The mean colour of the object's visible pixels, rounded, everywhere in the hole.

    Args:
        image, hole: see ``telea``.
        visible: (h, w) bool, the pixels of the object. Without one outside the hole, all pixels
            outside the hole count.

    Returns:
        See ``telea``.

    Raises:
        ValueError: the hole is everywhere.
    """
    source = visible & ~hole
    if not source.any():
        source = ~hole
    if not source.any():
        raise ValueError("the hole holds every pixel: there is no colour to fill it with")
    filled = image.copy()
    filled[hole] = np.rint(image[source].mean(axis=0))
    return filled


# Name -> fill, in the order in which results are reported.
FILLS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "telea": telea,
    "navier_stokes": navier_stokes,
    "mean_colour": mean_colour,
}


class PlainFiller(ContentFiller):
    """One of ``FILLS`` at the photo's resolution, without the seam's correction: a baseline.

    Args:
        name: of the fill.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        return [self._window(hole) for hole in holes]

    def describe(self) -> dict[str, Any]:
        return {"content": self.name}

    def _window(self, hole: Hole) -> np.ndarray:
        height, width = hole.image.shape[:2]
        box = intersect_boxes(hole.square.box, (0, 0, width, height))
        left, top, right, bottom = box
        seen, visible = hole.sources(box)
        known = hole.image[top:bottom, left:right].copy()
        known[~seen] = 0
        filled = FILLS[self.name](known, ~seen, visible)
        x0, y0, x1, y1 = hole.missing.box
        return filled[y0 - top : y1 - top, x0 - left : x1 - left]


def _inpaint(image: np.ndarray, hole: np.ndarray, method: int) -> np.ndarray:
    # OpenCV looks at pixels of a hole that touches the first rows or columns (seen with 5.0.0), so
    # they get a colour that does not stand out.
    neutral = image.copy()
    if not hole.all():
        neutral[hole] = np.rint(image[~hole].mean(axis=0))
    return cv2.inpaint(neutral, hole.astype(np.uint8), INPAINT_RADIUS, method)
