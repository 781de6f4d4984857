"""The self-supervised sample of PCNet-C (Fig. 3b): a hole where one instance is laid over another.

Pure functions of masks and a random generator. Shape shorthand: S: side of the patch in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...data.samplers.erasing import (
    ErasingSettings,
    draw_crop,
    draw_other,
    draw_sample,
    place_eraser,
)
from ...structures import SquareCrop, WindowMask
from ...structures.window_mask import Box


@dataclass(frozen=True, eq=False)
class ContentSample:
    """One training sample.

    Attributes:
        modal_mask: (S, S) bool, the visible pixels of the target, A \\ B.
        hole: (S, S) bool, the overlap of A and B.
        crop: square of the patch in A's image.
        flip: whether the patch is mirrored.
    """

    modal_mask: np.ndarray
    hole: np.ndarray
    crop: SquareCrop
    flip: bool


def draw_object_sample(
    target: WindowMask, other: WindowMask, settings: ErasingSettings, rng: np.random.Generator
) -> ContentSample:
    """Draw a hole in an object, from the modal masks of A (``target``) and B (``other``).

    Args:
        target, other: non-empty masks, each in the coordinates of its own image.
    """
    always_case_1 = replace(settings, gamma=1.0, common_grid=False)
    sample = draw_sample(target, other, always_case_1, rng)
    hole = sample.modal_mask & sample.eraser
    return ContentSample(sample.modal_mask & ~sample.eraser, hole, sample.crop, sample.flip)


def draw_background_sample(
    near: Box,
    objects: Iterable[WindowMask],
    image_size: tuple[int, int],
    other: WindowMask,
    settings: ErasingSettings,
    rng: np.random.Generator,
) -> ContentSample:
    """Draw a hole in the background: A is what no object holds.

    Args:
        near: box (x0, y0, x1, y1) in pixels that the patch is drawn around.
        objects: all modal masks of the image.
        image_size: its height and width in pixels.
        other: non-empty mask of any image, B.
    """
    crop, flip = draw_crop(near, settings, rng)
    size = settings.patch_size
    background = ~crop.sample_outside(image_size, size, flip)
    for mask in objects:
        background &= ~crop.sample(mask, size, flip)
    other_mask = draw_other(other, size, replace(settings, common_grid=False), rng)
    eraser = place_eraser(background, other_mask, settings, rng)
    return ContentSample(background & ~eraser, background & eraser, crop, flip)
