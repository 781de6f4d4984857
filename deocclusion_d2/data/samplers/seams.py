"""The border between target and eraser as annotators and networks draw it.

Fig. 3a lays one mask over another, and the two share their border to the pixel. Masks of real
neighbours leave gaps, overlap, and have outlines that are ragged or smoother than the objects'. A
network that has never seen that takes a gap for the end of the object.
Shape shorthand: S: side of the patch in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Sides of the squares, in pixels, whose corners get independent displacements of the border.
_CELLS = (2, 4, 8)
# Pixels farther than this apart have no common border.
_TOUCHING = 1.5
# A Gaussian of less changes no pixel.
_LEAST_SIGMA = 0.3
# A border is drawn only where it leaves this share of each mask.
_LEAST_LEFT = 0.5


@dataclass(frozen=True)
class SeamSettings:
    """How borders between target and eraser are redrawn (``INPUT.PARTIAL_COMPLETION.SEAMS``).

    Lengths are shares of the patch's side.

    Attributes:
        probability: of a redrawn border, in [0, 1]; 0: as in the paper.
        gap: least and largest width of the gap, drawn uniformly; where it is negative, both masks
            want the pixels between them, and either gets them all.
        ragged: largest displacement of the border that varies along it.
        smooth: largest standard deviation of the Gaussian that smooths the border.
        closed: probability that the gap is given to the eraser, as inference closes gaps.
    """

    probability: float = 0.0
    gap: tuple[float, float] = (-0.02, 0.06)
    ragged: float = 0.02
    smooth: float = 0.015
    closed: float = 0.5

    @classmethod
    def from_config(cls, cfg) -> SeamSettings:
        options = cfg.INPUT.PARTIAL_COMPLETION.SEAMS
        return cls(
            probability=options.PROBABILITY,
            gap=tuple(options.GAP),
            ragged=options.RAGGED,
            smooth=options.SMOOTH,
            closed=options.CLOSED,
        )


@dataclass(frozen=True, eq=False)
class Seam:
    """A target and an eraser whose border was redrawn; all (S, S) bool.

    Attributes:
        modal_mask: the target A. What is visible of it belongs to it, wherever it was drawn.
        eraser: without a pixel of the visible part.
        gap: pixels of the target that neither the visible part nor the eraser holds.
    """

    modal_mask: np.ndarray
    eraser: np.ndarray
    gap: np.ndarray


def draw_seam(
    modal_mask: np.ndarray, eraser: np.ndarray, settings: SeamSettings, rng: np.random.Generator
) -> Seam:
    """Redraw the border between the visible part of a target and the eraser.

    Nothing changes where the two do not touch, and where little would be left of either.

    Args:
        modal_mask, eraser: (S, S) bool, A and what is laid over it.
    """
    size = modal_mask.shape[0]
    visible = modal_mask & ~eraser
    unchanged = Seam(modal_mask, eraser, np.zeros_like(eraser))
    if not visible.any() or not eraser.any():
        return unchanged
    to_eraser = _distance_to(eraser)
    if to_eraser[visible].min() > _TOUCHING:
        return unchanged
    gap = rng.uniform(*settings.gap) * size
    # Distance from the border in pixels: negative on the eraser's side of it.
    place = to_eraser - _distance_to(visible)
    place -= 0.5 * np.sign(place)
    sigma = rng.uniform(0, settings.smooth) * size
    if sigma > _LEAST_SIGMA:
        place = cv2.GaussianBlur(place, (0, 0), sigma)
    place = place - _displacements(size, rng.uniform(0, settings.ragged) * size, rng)

    either = visible | eraser
    seen = either & (place > gap / 2)
    hiding = either & (place < -gap / 2)
    if gap < 0:
        if rng.random() < 0.5:
            hiding &= ~seen
        else:
            seen &= ~hiding
    # Thin masks would be gone.
    if seen.sum() < _LEAST_LEFT * visible.sum() or hiding.sum() < _LEAST_LEFT * eraser.sum():
        return unchanged
    target = modal_mask | seen
    free = either & ~seen & ~hiding
    if rng.random() < settings.closed:
        return Seam(target, hiding | free, np.zeros_like(eraser))
    return Seam(target, hiding, target & ~seen & ~hiding)


def _distance_to(mask: np.ndarray) -> np.ndarray:
    """(S, S) float32: distance of every pixel to the nearest one of a mask, 0 inside it."""
    outside = (~mask).view(np.uint8)
    return cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _displacements(size: int, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """(S, S) float32: a field that is uniform in +-amplitude at corners of squares, and smooth."""
    cells = -(-size // int(rng.choice(_CELLS))) + 1
    corners = rng.uniform(-amplitude, amplitude, (cells, cells)).astype(np.float32)
    return cv2.resize(corners, (size, size), interpolation=cv2.INTER_CUBIC)
