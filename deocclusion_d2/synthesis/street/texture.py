"""Procedural texture."""

from __future__ import annotations

import cv2
import numpy as np


def smooth_noise(
    rng: np.random.Generator, height: int, width: int, rows: int, columns: int
) -> np.ndarray:
    """Smooth random blotches.

    Args:
        rng: source of randomness.
        height: rows of the result.
        width: columns of the result.
        rows: blotches from top to bottom.
        columns: blotches from left to right.

    Returns:
        (height, width) float32 with mean about 0 and standard deviation up to 1.
    """
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
