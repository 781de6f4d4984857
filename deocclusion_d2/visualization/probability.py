"""A picture of how probable the pixels of hidden regions are."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np

from ..structures import ProbabilityMap, Scene, WindowMask
from ..structures.window_mask import tight_box
from .canvas import SceneCanvas
from .palette import Color, color_numbers, instance_color, lighten

_BANDS = 10


def draw_hidden_probability(
    scene: Scene,
    probabilities: Sequence[ProbabilityMap | None],
    scale: float = 1.0,
    colors: Sequence[Color] | None = None,
) -> np.ndarray:
    """Hidden regions from dark (improbable) to bright (certain), in ten bands, over the scene.

    Where the regions of several instances lie on each other, the most probable one is drawn.

    Args:
        scene: N instances.
        probabilities: N maps, None for instances that nothing hides.
        colors: N colours of the outlines; by the ids of the instances when None.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    highest = np.zeros((scene.height, scene.width), np.uint8)
    for kept in probabilities:
        if kept is not None:
            x, y, w, h = kept.xywh
            window = highest[y : y + h, x : x + w]
            np.maximum(window, kept.array, out=window)
    canvas = SceneCanvas(scene, scale, brightness=0.45, saturation=0.15)
    levels = matplotlib.colormaps["inferno"](np.linspace(0.15, 1, _BANDS))[:, :3] * 255
    edges = np.linspace(0, 255, _BANDS + 1)
    left, top, right, bottom = tight_box(highest > 0) or (0, 0, 0, 0)
    window = highest[top:bottom, left:right]
    for level, low, high in zip(levels, edges[:-1], edges[1:], strict=True):
        band = WindowMask.from_array((window > low) & (window <= high), left, top)
        canvas.fill(band, tuple(round(v) for v in level), 0.9)
    colors = colors or [instance_color(n) for n in color_numbers(scene.instance_ids)]
    for mask, color in zip(scene.modal_masks, colors, strict=True):
        canvas.outline(mask, lighten(color, 0.15), width=0.8)
    return canvas.render()
