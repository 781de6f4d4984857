"""Amodal polygons and amodal masks of every object.

The amodal mask *is* what pycocotools makes of the stored polygons, so the two agree to the pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from pycocotools import mask as mask_api

from .solids import Patch

_SHIFT = 4  # sub-pixel bits of cv2's polygon filling


def fill_patch(canvas: np.ndarray, polygon: np.ndarray, colour: float | tuple[float, ...]) -> None:
    """Fills a polygon (M, 2), in pixels of ``canvas`` with pixel centres at integers, in place."""
    spots = np.round(np.clip(polygon, -20000, 20000) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [spots], colour, lineType=cv2.LINE_8, shift=_SHIFT)


def amodal_polygons(patches: Sequence[Patch], height: int, width: int) -> list[list[float]]:
    """Outline of the union of patches, cut at the image border.

    Args:
        patches: what an object consists of, in pixel coordinates (0, 0 is the image's upper left
            corner).
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        COCO polygons [x1, y1, x2, y2, ...] with coordinates in [0, width] and [0, height], rounded
        to 0.01 px; outer outlines only, so that holes are filled. Empty if nothing lies in the
        image.
    """
    spots = np.concatenate([patch.polygon for patch in patches])
    low = np.floor(np.maximum(spots.min(axis=0) - 1, 0)).astype(int)
    high = np.ceil(np.minimum(spots.max(axis=0) + 1, [width, height])).astype(int)
    size = high - low
    if (size < 1).any():
        return []
    scale = int(np.clip(900 // size.max(), 2, 6))
    canvas = np.zeros((size[1] * scale, size[0] * scale), dtype=np.uint8)
    for patch in patches:
        fill_patch(canvas, (patch.polygon - low) * scale - 0.5, 1)
    outlines, _ = cv2.findContours(canvas, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    polygons = []
    for outline in outlines:
        outline = cv2.approxPolyDP(outline, 0.25 * scale, True)[:, 0]
        if len(outline) < 3 or cv2.contourArea(outline) < 3 * scale * scale:
            continue
        corners = np.clip((outline + 0.5) / scale + low, 0, [width, height])
        polygons.append([round(float(value), 2) for value in corners.ravel()])
    return polygons


def rasterise(polygons: list[list[float]], height: int, width: int) -> np.ndarray:
    """The (height, width) bool mask that pycocotools makes of COCO polygons."""
    runs = mask_api.merge(mask_api.frPyObjects(polygons, height, width))
    return mask_api.decode(runs).astype(bool)
