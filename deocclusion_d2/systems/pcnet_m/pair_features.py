"""Geometry of a pair of touching instances, from their modal masks alone.

Every feature of (i, j) is a difference that changes its sign, to the bit, when i and j change
places, and that does not change when the image is scaled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...structures import Scene, WindowMask
from ...structures.shape import centre_y, convex_hull

# Columns of ``pair_features``. "Size" is the mean of the two boxes' sizes, sqrt(width * height).
FEATURES = (
    "lower_edge",  # how far the lower edge of i's box lies below that of j's, over size
    "centre",  # the same of the vertical centres of mass
    "log_area",  # log(visible pixels of i / those of j)
    "log_height",  # log(height of i's box / that of j's)
    "hull",  # (pixels of i in j's convex hull - pixels of j in i's) / size^2
)


def pair_features(scene: Scene, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Features of pairs of instances that have visible pixels.

    Args:
        pairs: P pairs (i, j).

    Returns:
        (P, len(FEATURES)) float64, columns as in ``FEATURES``. The features of (j, i) are exactly
        the negative of those of (i, j).
    """
    shapes = {i: _Shape(scene.modal_masks[i]) for pair in pairs for i in pair}
    rows = [_features(shapes[i], shapes[j]) for i, j in pairs]
    return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))


class _Shape:
    """What the features of all pairs of an instance share."""

    def __init__(self, mask: WindowMask) -> None:
        self.mask = mask
        self.bays = convex_hull(mask) - mask
        self.area = mask.area
        self.height, width = mask.array.shape
        self.size = math.sqrt(self.height * width)
        self.bottom = mask.y0 + self.height
        self.centre = centre_y(mask)


def _features(a: _Shape, b: _Shape) -> list[float]:
    size = (a.size + b.size) / 2
    # As far as objects are convex, a hides what lies in b's hull under a.
    hull = a.mask.intersection_area(b.bays) - b.mask.intersection_area(a.bays)
    return [
        (a.bottom - b.bottom) / size,
        (a.centre - b.centre) / size,
        math.log(a.area) - math.log(b.area),
        math.log(a.height) - math.log(b.height),
        hull / size**2,
    ]
