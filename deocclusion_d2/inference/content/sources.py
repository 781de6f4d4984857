"""Pixels whose colour is that of one thing alone: those some way inside a mask.

A lens and a photo's compression mix the colours on both sides of a border, and a mask misses it by
a pixel or two. What is filled from pixels at the border takes over colours of the neighbour.

Shape shorthand: h, w: height and width of a window in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

DEFAULT_INSET = 2
"""How far from its border, in pixels, a mask's colours count as its own."""


def inner_pixels(mask: np.ndarray, inset: int) -> np.ndarray:
    """The pixels of a mask with ``inset`` further pixels of it on all sides.

    Where a mask is too thin for that, the pixels deepest inside count: a pixel is kept that lies as
    deep as any other of the mask within ``inset`` pixels of it. So every part keeps some.

    Args:
        mask: (h, w) bool. What lies beyond the window is no border.
        inset: in pixels along rows, columns and diagonals; 0 keeps all.

    Returns:
        (h, w) bool.
    """
    if inset == 0 or not mask.any() or mask.all():
        return mask
    depth = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_C, 3)
    depth = np.minimum(depth, inset + 1)
    side = 2 * inset + 1
    return mask & (depth >= cv2.dilate(depth, np.ones((side, side), np.uint8)))
