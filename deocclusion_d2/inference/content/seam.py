"""A soft seam between a photo and what a network has filled in.

A network's colours differ a little from the photo's, and where its patch was enlarged they are
blurred: at the border of the hole a step would show. The difference between the photo and the
network's output is known at the visible pixels; it is carried into the hole and added there.

Shape shorthand: h, w: height and width of a window in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

# Levels of the pyramid that are added up at full resolution.
_FINE_LEVELS = 3


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
    blurred = np.dstack([difference, visible.astype(np.float32)])
    total = np.zeros_like(blurred)
    for k in range(1, min(deepest, _FINE_LEVELS) + 1):
        blurred = cv2.pyrDown(blurred)
        total += _weight(level, k) * _enlarge(blurred, 2**k, visible.shape)
    if deepest > _FINE_LEVELS:
        # What is wider is added up on the pixels of the last level, a fraction of the window's.
        step = 2**_FINE_LEVELS
        coarse, wide = level[::step, ::step], np.zeros_like(blurred)
        for k in range(_FINE_LEVELS + 1, deepest + 1):
            blurred = cv2.pyrDown(blurred)
            wide += _weight(coarse, k) * _enlarge(blurred, 2**k // step, coarse.shape)
        total += _enlarge(wide, step, visible.shape)
    mean = total[..., :3] / np.maximum(total[..., 3:], 1e-12)
    mean *= np.exp(-(distance - 1.0) / reach)[..., None]
    return np.where(missing[..., None], filled + mean, filled)


def _weight(level: np.ndarray, k: int) -> np.ndarray:
    """(h, w, 1): of level k at every pixel; those of the two nearest levels add up to 1."""
    return np.maximum(1.0 - np.abs(level - k), 0.0)[..., None]


def _enlarge(pyramid: np.ndarray, factor: int, shape: tuple[int, int]) -> np.ndarray:
    """A pyramid level on a finer grid: its pixel n lies on pixel n * factor there."""
    back = np.array([[1 / factor, 0, 0], [0, 1 / factor, 0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pyramid, back, shape[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
