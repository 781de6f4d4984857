"""Which instances of a scene touch: only such pairs can occlude each other (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .window_mask import WindowMask, neighbour_reach


def neighbour_pairs(masks: Sequence[WindowMask], dilation: int = 0) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, of masks that touch (Sec. 3.2), sorted.

    Args:
        dilation: see ``WindowMask.touches``.
    """
    count = len(masks)
    if count < 2:
        return []
    boxes = np.array([m.box for m in masks])
    reach = neighbour_reach(dilation)
    low, high = boxes[:, None, :2] - reach, boxes[:, None, 2:] + reach
    near = (low < boxes[None, :, 2:]).all(-1) & (high > boxes[None, :, :2]).all(-1)
    filled = np.array([not m.is_empty for m in masks])
    near &= filled[:, None] & filled[None, :]
    candidates = np.argwhere(np.triu(near, k=1))
    return [(int(i), int(j)) for i, j in candidates if masks[i].touches(masks[j], dilation)]
