"""The visible part of every object of a scene.

The modal mask is the amodal mask minus all masks nearer to the camera, so it is a subset of it, and
the modal masks of an image never overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MIN_VISIBLE_PIXELS = 20
MIN_VISIBLE_SHARE = 0.15


def resolve_visibility(
    amodal: Sequence[np.ndarray | None], front_to_back: Sequence[int]
) -> dict[int, np.ndarray]:
    """Visible part of every object that is visible enough to be annotated.

    Goes from the front to the back. An object of which too little shows (under `MIN_VISIBLE_PIXELS`
    or `MIN_VISIBLE_SHARE` of its amodal mask) is left out altogether: it hides nothing and must not
    be painted, so every pixel is owned by an annotated object or by the background.

    Args:
        amodal: one (H, W) bool mask per object, or None for an object outside the image.
        front_to_back: indices into ``amodal``, those in front first.

    Returns:
        Index to modal mask (H, W) bool, in the order of ``front_to_back``.
    """
    visible: dict[int, np.ndarray] = {}
    taken: np.ndarray | None = None
    for index in front_to_back:
        mask = amodal[index]
        if mask is None:
            continue
        seen = mask if taken is None else mask & ~taken
        pixels = int(seen.sum())
        if pixels < MIN_VISIBLE_PIXELS or pixels < MIN_VISIBLE_SHARE * int(mask.sum()):
            continue
        visible[index] = seen
        taken = mask.copy() if taken is None else taken | mask
    return visible
