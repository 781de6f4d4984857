"""A soft seam between a photo and what a network has filled in.

A network's colours differ a little from the photo's, and where its patch was enlarged they are
blurred: at the border of the hole a step would show. The difference between the photo and the
network's output is known at the visible pixels; it is carried into the hole and added there.

Shape shorthand: h, w: height and width of a window in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np


def correct_seam(
    filled: np.ndarray, photo: np.ndarray, visible: np.ndarray, missing: np.ndarray, reach: float
) -> np.ndarray:
    """Add the difference photo - filled of the visible pixels near by to the missing ones.

    At distance d of the nearest visible pixel, the difference is a mean over visible pixels with
    weights that reach about 2 d far, times exp(-d / reach): next to a visible pixel it is nearly
    that pixel's own, deep inside it is smooth, and fades.

    Args:
        filled: (h, w, 3) float32, the network's output on every pixel.
        photo: (h, w, 3) uint8.
        visible: (h, w) bool, pixels whose difference counts.
        missing: (h, w) bool, pixels to be corrected; none of them is visible.
        reach: pixels.

    Returns:
        (h, w, 3) float32: ``filled`` with the missing pixels corrected. Unchanged where no pixel
        is visible.
    """
    if not visible.any() or not missing.any():
        return filled
    difference = np.where(visible[..., None], photo - filled, np.float32(0))
    distance = cv2.distanceTransform((~visible).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    # Level k of the pyramid averages over about 2^k pixels; level 1 reaches the next pixels.
    level = np.log2(np.maximum(distance, 1.0)) + 1.0
    deepest = int(np.ceil(level[missing].max())) + 1
    total = np.zeros((*visible.shape, 4), dtype=np.float32)
    blurred = np.dstack([difference, visible.astype(np.float32)])
    height, width = visible.shape
    for k in range(1, deepest + 1):
        blurred = cv2.pyrDown(blurred)
        weight = np.maximum(1.0 - np.abs(level - k), 0.0)
        total += weight[..., None] * _enlarge(blurred, 2**k, height, width)
    mean = total[..., :3] / np.maximum(total[..., 3:], 1e-12)
    mean *= np.exp(-(distance - 1.0) / reach)[..., None]
    return np.where(missing[..., None], filled + mean, filled)


def _enlarge(level: np.ndarray, factor: int, height: int, width: int) -> np.ndarray:
    """A pyramid level at full size: its pixel n lies on pixel n * factor of the window."""
    back = np.array([[1 / factor, 0, 0], [0, 1 / factor, 0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(level, back, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
