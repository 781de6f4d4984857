"""Soft edges of layers: alpha that falls off, and an object's own colours up to its border.

In a photo the pixels at a border mix what lies on both sides. Cut out along its mask, an object
carries a rim of its old surroundings along and ends in steps.

Shape shorthand: h, w: height and width of a layer's window in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..structures import WindowMask
from ..structures.window_mask import intersect_boxes

# One dimension of the blur: a border is spread over two pixels on either side.
_KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_SIDE = len(_KERNEL)


def feathered_alpha(mask: WindowMask, core: WindowMask, size: tuple[int, int]) -> np.ndarray:
    """Alpha of an object: 255 inside, about half on its border, above 0 in all of ``mask``.

    It is the blurred core as a share of its greatest value near by, so that thin parts stay as
    opaque as they are. The image's border is no border of the object.

    Args:
        mask: the pixels of the layer, not empty; alpha is 0 elsewhere.
        core: the object's own, not those that it only shines into.
        size: H, W of the image.

    Returns:
        (h, w) uint8, the window of ``mask``.
    """
    x0, y0, x1, y1 = mask.box
    around = (x0 - _SIDE, y0 - _SIDE, x1 + _SIDE, y1 + _SIDE)
    box = intersect_boxes(around, (0, 0, size[1], size[0]))
    solid = core.crop(box).astype(np.float32)
    blurred = cv2.sepFilter2D(solid, -1, _KERNEL, _KERNEL, borderType=cv2.BORDER_REPLICATE)
    greatest = cv2.dilate(blurred, np.ones((_SIDE, _SIDE), np.uint8))
    share = blurred / np.maximum(greatest, 1e-6)
    share = share[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
    alpha = np.clip(np.rint(255 * share), 1, 255)
    return np.where(mask.array, alpha, 0).astype(np.uint8)


def own_colours(rgb: np.ndarray, mixed: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Colours of an object without what its surroundings add to them at its border.

    Ring by ring, a mixed pixel takes the mean of those beside it that are known.

    Args:
        rgb: (h, w, 3) uint8.
        mixed: (h, w) bool, pixels to be replaced.
        known: (h, w) bool, pixels whose colours are the object's own.

    Returns:
        (h, w, 3) uint8, ``rgb`` where nothing is mixed, or no known pixel can be reached.
    """
    out = rgb.astype(np.float32)
    known = known & ~mixed
    left = mixed.copy()
    while left.any():
        share = known.astype(np.float32)
        sums = cv2.boxFilter(
            np.dstack([out * share[..., None], share]),
            -1,
            (3, 3),
            normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        )
        ring = left & (sums[..., 3] > 0.5)
        if not ring.any():
            break
        out[ring] = sums[ring, :3] / sums[ring, 3:]
        known |= ring
        left &= ~ring
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)
