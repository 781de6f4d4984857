"""The self-supervised sample of PCNet (Fig. 3a): two instances, one laid over the other.

Pure functions of masks and a random generator; nothing here knows about data sets or networks.
Shape shorthand: S: side of the patch in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...structures.square_crop import SquareCrop, nearest_source_index, take_grid
from ...structures.window_mask import Box, WindowMask
from .crops import CropSettings, crop_arguments, draw_crop, interval
from .seams import Seam, SeamSettings, draw_seam


@dataclass(frozen=True)
class ErasingSettings(CropSettings):
    """Numbers of the sampler; the defaults are those of the released runs (see ``config.py``)."""

    gamma: float = 0.8
    overlap: tuple[float, float] = (0.4, 1.0)
    erased_share: tuple[float, float] = (0.001, 0.9)
    max_placements: int = 100
    common_grid: bool = False
    seams: SeamSettings = field(default_factory=SeamSettings)

    @classmethod
    def from_config(cls, cfg) -> ErasingSettings:
        options = cfg.INPUT.PARTIAL_COMPLETION
        return cls(
            **crop_arguments(cfg),
            gamma=options.GAMMA,
            overlap=interval(cfg, "INPUT.PARTIAL_COMPLETION.OVERLAP", 0.0, 1.0),
            erased_share=tuple(options.ERASED_SHARE),
            max_placements=options.MAX_PLACEMENTS,
            common_grid=options.COMMON_GRID,
            seams=SeamSettings.from_config(cfg),
        )


@dataclass(frozen=True, eq=False)
class PartialCompletionSample:
    """One training sample.

    Attributes:
        modal_mask: (S, S) bool, A: the target. The network sees ``modal_mask & ~eraser & ~gap``,
            which is A \\ B in case 1 and all of A in case 2, if the border was not redrawn.
        eraser: (S, S) bool, B in case 1, B \\ A in case 2.
        gap: (S, S) bool, pixels of A that are neither visible nor under the eraser; empty unless
            borders are redrawn (``SeamSettings``).
        case: 1 or 2.
        crop: square of A in its image.
        flip: whether A's patch is mirrored.
    """

    modal_mask: np.ndarray
    eraser: np.ndarray
    gap: np.ndarray
    case: int
    crop: SquareCrop
    flip: bool


def draw_sample(
    target: WindowMask, other: WindowMask, settings: ErasingSettings, rng: np.random.Generator
) -> PartialCompletionSample:
    """Draw a training sample from the modal masks of A (``target``) and B (``other``).

    Args:
        target, other: non-empty masks, each in the coordinates of its own image.
    """
    crop, flip = draw_crop(target.box, settings, rng)
    size = grid_size(crop, settings)
    modal_mask = crop.sample(target, size, flip)

    other_mask = draw_other(other, size, settings, rng)
    eraser = place_eraser(modal_mask, other_mask, settings, rng)
    case = 1 if rng.random() < settings.gamma else 2
    if case == 2:
        eraser &= ~modal_mask
    seam = Seam(modal_mask, eraser, np.zeros_like(eraser))
    # Nothing is drawn where borders stay: the samples of older versions stay as well.
    if settings.seams.probability and rng.random() < settings.seams.probability:
        seam = draw_seam(modal_mask, eraser, settings.seams, rng)
    masks = (seam.modal_mask, seam.eraser, seam.gap)
    if size < settings.patch_size:
        index = nearest_source_index(size, settings.patch_size)
        masks = tuple(take_grid(mask, index, index) for mask in masks)
    return PartialCompletionSample(*masks, case, crop, flip)


def grid_size(crop: SquareCrop, settings: ErasingSettings) -> int:
    """Side in pixels of the grid on which B is laid over A, whose square is given."""
    return min(settings.patch_size, crop.side) if settings.common_grid else settings.patch_size


def draw_other(
    other: WindowMask, size: int, settings: ErasingSettings, rng: np.random.Generator
) -> np.ndarray:
    """B in its own patch, scaled and maybe mirrored: (size, size) bool.

    Args:
        other: non-empty mask in the coordinates of its image.
        size: side of the patch in pixels.
    """
    crop, flip = draw_other_crop(other.box, settings, rng)
    if is_enlarged(crop, size, settings):
        return enlarge_other(other, crop, size, flip)
    return crop.sample(other, size, flip)


def draw_other_crop(
    box: Box, settings: ErasingSettings, rng: np.random.Generator
) -> tuple[SquareCrop, bool]:
    """Draw the square of B, scaled, and whether its patch is mirrored.

    Args:
        box: modal box of B in pixels.
    """
    crop = SquareCrop.around(box, settings.enlarge, scale=rng.uniform(*settings.scale))
    return crop, bool(rng.random() < settings.flip_prob)


def is_enlarged(crop: SquareCrop, size: int, settings: ErasingSettings) -> bool:
    """Whether B, of this square, is enlarged to the pixels of A; see ``enlarge_other``."""
    return settings.common_grid and crop.side < size


def enlarge_other(other: WindowMask, crop: SquareCrop, size: int, flip: bool) -> np.ndarray:
    """B with a smooth border, as finer pixels of an image would show it: (size, size) bool."""
    mask = crop.resize_bilinear(other, size)
    return mask[:, ::-1] if flip else mask


def place_eraser(
    modal_mask: np.ndarray,
    other_mask: np.ndarray,
    settings: ErasingSettings,
    rng: np.random.Generator,
) -> np.ndarray:
    """Shift B over A until the erased share of A lies in the wanted range.

    After ``max_placements`` tries the last placement is used as it is.

    Args:
        modal_mask, other_mask: (S, S) bool.

    Returns:
        (S, S) bool, B shifted, zero padded.
    """
    size = modal_mask.shape[0]
    area = int(np.count_nonzero(modal_mask))
    low, high = settings.erased_share
    windows = (WindowMask.from_array(modal_mask), WindowMask.from_array(other_mask))
    placed = windows[1]
    # A target that vanished in the resize can't be erased, wherever the eraser goes.
    for _ in range(settings.max_placements if area else 1):
        dx, dy = draw_offset(settings.overlap, rng)
        placed = WindowMask(
            windows[1].x0 - int(dx * size), windows[1].y0 - int(dy * size), windows[1].array
        )
        if area and low <= windows[0].intersection_area(placed) / area < high:
            break
    return placed.crop((0, 0, size, size))


def draw_offset(overlap: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    """Offset of B's patch from A's, as shares of the patch, so that they overlap by o.

    o ~ U(overlap), dx ~ U(o - 1, 1 - o), |dy| = 1 - o / (1 - |dx|), with a random sign: the common
    area (1 - |dx|) (1 - |dy|) is o.
    """
    o = rng.uniform(*overlap)
    dx = rng.uniform(o - 1, 1 - o)
    dy = 1 - o / (1 - abs(dx))
    return dx, dy if rng.random() < 0.5 else -dy
