"""Where an occluder can lie so that it hides a given share of an object: all places, exactly.

What two masks share, for every shift of one against the other, is their cross-correlation.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...errors import UserError

# How much of two masks overlaps: "hidden_share": of the occludee's area; "mask_iou", "box_iou":
# intersection over union of the masks, or of their boxes.
MEASURES = ("hidden_share", "mask_iou", "box_iou")
# Shares such as 0.2 of 35 px are whole numbers, but for the last bit.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class PlacementSettings:
    """Which places of an occluder are taken.

    Attributes:
        overlap: least and largest overlap with the occludee, both inclusive (paper: 0.2, 0.5).
        measure: of ``MEASURES``.
        grid: places lie at multiples of so many pixels.
    """

    overlap: tuple[float, float] = (0.2, 0.5)
    measure: str = MEASURES[0]
    grid: int = 4

    def __post_init__(self) -> None:
        low, high = self.overlap
        if not 0 < low <= high <= 1:
            raise UserError(
                f"overlap must be two numbers of 0 < LOW <= HIGH <= 1, got {low:g} {high:g}"
            )
        if self.measure not in MEASURES:
            raise UserError(f"measure must be one of {', '.join(MEASURES)}, got {self.measure!r}")
        if self.grid < 1:
            raise UserError(f"grid must be at least 1 px, got {self.grid}")


def shared_pixels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pixels that two masks share, for every shift of the second one that lets their windows meet.

    Args:
        first: (H, W) bool.
        second: (h, w) bool.

    Returns:
        (H + h - 1, W + w - 1) int64: at (y + h - 1, x + w - 1) the number for the second mask's
        upper left corner at (y, x) of the first one's window.
    """
    height, width = (a + b - 1 for a, b in zip(first.shape, second.shape, strict=True))
    size = tuple(map(cv2.getOptimalDFTSize, (height, width)))
    spectrum = np.fft.rfft2(first.astype(np.float64), size)
    # Turned by 180 degrees, a convolution is a correlation.
    spectrum *= np.fft.rfft2(second[::-1, ::-1].astype(np.float64), size)
    # Rounding errors are some 1e-12 of the number of pixels.
    return np.rint(np.fft.irfft2(spectrum, size)[:height, :width]).astype(np.int64)


def places(
    occludee: np.ndarray,
    corner: tuple[int, int],
    occluder: np.ndarray,
    image_size: tuple[int, int],
    settings: PlacementSettings,
) -> np.ndarray:
    """All places of an occluder that overlaps an object as much as it should.

    Args:
        occludee: (H, W) bool, its tight window.
        corner: (x, y) of that window in the image.
        occluder: (h, w) bool, its tight window.
        image_size: (height, width); the occluder lies inside as a whole.

    Returns:
        (P, 2) int64: (x, y) of the upper left corner of the occluder's window, row by row.
    """
    (height, width), (h, w) = image_size, occluder.shape
    x0, y0 = corner
    # Elsewhere the windows don't meet.
    ys = _multiples(max(0, y0 - h + 1), min(height - h, y0 + occludee.shape[0] - 1), settings.grid)
    xs = _multiples(max(0, x0 - w + 1), min(width - w, x0 + occludee.shape[1] - 1), settings.grid)
    if not len(ys) or not len(xs):
        return np.empty((0, 2), dtype=np.int64)
    shared = shared_pixels(occludee, occluder)[np.ix_(ys - y0 + h - 1, xs - x0 + w - 1)]
    part, whole = shared, np.full_like(shared, occludee.sum())
    if settings.measure == "mask_iou":
        whole = whole + occluder.sum() - shared
    elif settings.measure == "box_iou":
        across, down = (
            np.minimum(places_ + size, start + length) - np.maximum(places_, start)
            for places_, size, start, length in (
                (xs, w, x0, occludee.shape[1]),
                (ys, h, y0, occludee.shape[0]),
            )
        )
        part = down[:, None] * across
        whole = occludee.size + occluder.size - part
    low, high = settings.overlap
    fits = (part >= low * whole - _ROUNDING) & (part <= high * whole + _ROUNDING)
    # Boxes alone may meet where nothing is hidden, or nothing is left to be seen.
    fits &= (shared > 0) & (shared < occludee.sum())
    rows, columns = np.nonzero(fits)
    return np.stack([xs[columns], ys[rows]], axis=1)


def _multiples(first: int, last: int, step: int) -> np.ndarray:
    """Multiples of a step from ``first`` to ``last``, both inclusive."""
    return np.arange(-(-first // step) * step, last + 1, step, dtype=np.int64)
