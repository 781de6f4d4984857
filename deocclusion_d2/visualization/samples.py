"""A picture of the completions that were drawn of every object of a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import UserError
from ..structures import MaskSample, Scene
from .canvas import SceneCanvas
from .palette import Color, color_numbers, instance_color, lighten

# A line of a shape that was drawn once in very many draws is still to be seen.
_FAINTEST = 0.2


def draw_samples(
    scene: Scene,
    samples: Sequence[Sequence[MaskSample]],
    scale: float = 1.0,
    colors: Sequence[Color] | None = None,
) -> np.ndarray:
    """Outlines of the hidden parts that were drawn, over the dimmed scene.

    A line is the more opaque the more draws gave its shape, and the area is the brighter the more
    of them hold it.

    Args:
        scene: N instances.
        samples: N lists of completions.
        scale: picture pixels per image pixel.
        colors: N colours; by the ids of the instances when None.

    Returns:
        (h, w, 3) uint8 RGB.

    Raises:
        UserError: the number of lists is not the number of instances.
    """
    if len(samples) != len(scene):
        raise UserError(
            f"image {scene.file_name or scene.image_id!r} has {len(scene)} instances but got "
            f"samples of {len(samples)}: both must come from the same scene"
        )
    colors = colors or [instance_color(n) for n in color_numbers(scene.instance_ids)]
    canvas = SceneCanvas(scene, scale, brightness=0.45, saturation=0.15)
    hidden = [
        # The rarest first: lines of the others lie over them.
        sorted(
            ((s.mask - modal, s.weight) for s in of_object),
            key=lambda part: part[1],
        )
        for of_object, modal in zip(samples, scene.modal_masks, strict=True)
    ]
    for parts, color in zip(hidden, colors, strict=True):
        for part, weight in parts:
            canvas.fill(part, lighten(color, 0.35), 0.6 * weight)
    for mask, color in zip(scene.modal_masks, colors, strict=True):
        canvas.outline(mask, lighten(color, 0.15), width=0.8)
    for parts, color in zip(hidden, colors, strict=True):
        for part, weight in parts:
            canvas.outline(part, lighten(color, 0.55), width=1.2, opacity=line_opacity(weight))
    return canvas.render()


def line_opacity(weight: float) -> float:
    """How opaque the outline of a sample is, from its weight, 0 to 1.

    Example:
        >>> line_opacity(1.0), round(line_opacity(1 / 16), 2)
        (1.0, 0.4)
    """
    return _FAINTEST + (1 - _FAINTEST) * math.sqrt(weight)
