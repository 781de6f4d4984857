"""Shapes of masks: convex hull and centre of mass."""

from __future__ import annotations

import cv2
import numpy as np

from .window_mask import WindowMask


def convex_hull(mask: WindowMask) -> WindowMask:
    """The convex hull of a mask's pixels, as a mask in the same window."""
    if mask.is_empty:
        return mask
    # The hull of all pixels is the hull of the two ends of every row.
    left = mask.array.argmax(axis=1)
    right = mask.array.shape[1] - 1 - mask.array[:, ::-1].argmax(axis=1)
    rows = np.arange(len(left))
    ends = np.empty((2, len(left), 2), dtype=np.int32)
    ends[0, :, 0], ends[1, :, 0], ends[:, :, 1] = left, right, rows
    # A row without pixels seems to start where the window does.
    ends = ends[:, mask.array[rows, left]].reshape(-1, 2)
    hull = np.zeros(mask.array.shape, dtype=np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(ends), 1)
    # The filled outline may miss a pixel of its own vertices' rows; a hull never loses any.
    return WindowMask(mask.x0, mask.y0, hull.view(bool) | mask.array)


def centre_y(mask: WindowMask) -> float:
    """The row of a mask's centre of mass, in pixels; -inf for an empty mask."""
    if mask.is_empty:
        return float("-inf")
    rows = mask.array.sum(axis=1)
    return mask.y0 + float(rows @ np.arange(len(rows))) / float(rows.sum())
