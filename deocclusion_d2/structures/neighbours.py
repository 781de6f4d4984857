"""Which instances of a scene touch: only such pairs can occlude each other (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .window_mask import WindowMask, meeting_pairs, neighbour_reach


def neighbour_pairs(masks: Sequence[WindowMask], dilation: int = 0) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, of masks that touch (Sec. 3.2), sorted.

    Args:
        dilation: see ``WindowMask.touches``.
    """
    if len(masks) < 2:
        return []
    near = meeting_pairs(np.array([m.box for m in masks]), neighbour_reach(dilation))
    return [(i, j) for i, j in near.tolist() if masks[i].touches(masks[j], dilation)]
