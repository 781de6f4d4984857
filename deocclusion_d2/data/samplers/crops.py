"""Square crops around instances, as training draws them.

Shape shorthand: S: side of the patch in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from ...errors import UserError
from ...structures.square_crop import SquareCrop
from ...structures.window_mask import Box


@dataclass(frozen=True)
class CropSettings:
    """Geometry of patches; the defaults are those of the released runs (see ``config.py``).

    Attributes:
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``.
        shift: of the crop in x and y, as a share of the square's side: uniform in +-shift.
        scale: of the square: its side is divided by a number drawn uniformly from this range.
        flip_prob: probability of a mirrored patch.
    """

    patch_size: int = 256
    enlarge: float = 3.0
    shift: float = 0.2
    scale: tuple[float, float] = (0.8, 1.2)
    flip_prob: float = 0.5

    @classmethod
    def from_config(cls, cfg) -> CropSettings:
        return cls(**crop_arguments(cfg))


def crop_arguments(cfg) -> dict:
    """What a config says about the geometry of patches, by the names of ``CropSettings``.

    Raises:
        UserError: see ``interval``.
    """
    options = cfg.INPUT.INSTANCE_CROP
    return {
        "patch_size": options.SIZE,
        "enlarge": options.ENLARGE,
        "shift": options.SHIFT,
        "scale": interval(cfg, "INPUT.INSTANCE_CROP.SCALE", 0.001, 1000.0),
        "flip_prob": options.FLIP_PROB,
    }


def interval(cfg, key: str, lowest: float, highest: float) -> tuple[float, float]:
    """The range that a config gives under a key, to draw from.

    Raises:
        UserError: it is no range, or leaves the bounds.
    """
    numbers = tuple(reduce(getattr, key.split("."), cfg))
    if len(numbers) != 2 or not lowest <= numbers[0] <= numbers[1] <= highest:
        raise UserError(
            f"{key} = {numbers}: use two numbers from {lowest:g} to {highest:g}, the smaller first"
        )
    return numbers


def draw_crop(
    box: Box, settings: CropSettings, rng: np.random.Generator
) -> tuple[SquareCrop, bool]:
    """Draw the square around a box, shifted and scaled, and whether its patch is mirrored.

    Args:
        box: modal box (x0, y0, x1, y1) in pixels.
    """
    shift = (
        rng.uniform(-settings.shift, settings.shift),
        rng.uniform(-settings.shift, settings.shift),
    )
    crop = SquareCrop.around(box, settings.enlarge, shift=shift, scale=rng.uniform(*settings.scale))
    return crop, bool(rng.random() < settings.flip_prob)
