"""Content without a network: what fills holes where nothing was trained for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...structures import WindowMask
from .filler import content_sample
from .holes import Hole
from .opencv import INPAINT_RADIUS, telea
from .rule_filler import RuleFiller

# Largest patch, in pixels, that OpenCV fills: its time grows faster than the area.
_TELEA_SIDE = 768


class TeleaFiller(RuleFiller):
    """Fills holes without a network, by OpenCV's inpainting after Telea."""

    def describe(self) -> dict[str, Any]:
        return {
            "content": "opencv_telea",
            "content_radius": INPAINT_RADIUS,
            "content_inset": self.inset,
        }

    def _patch(self, hole: Hole) -> np.ndarray:
        """(S, S, 3) uint8, filled where anything of the hole's window is not visible."""
        side = hole.square.side
        size = min(side, _TELEA_SIDE)
        sample = content_sample(hole, size, self.inset)
        patch, known = sample["image"], sample["modal_mask"] == 1
        if not known.any():
            # Nothing says what it looks like.
            return np.full_like(patch, 127)
        x0, y0, x1, y1 = hole.missing.box
        wanted = known.copy()
        left, right = (x0 - hole.square.x0) * size // side, -(-(x1 - hole.square.x0) * size // side)
        top, bottom = (y0 - hole.square.y0) * size // side, -(-(y1 - hole.square.y0) * size // side)
        wanted[top:bottom, left:right] = True
        x0, y0, x1, y1 = WindowMask.from_array(wanted).box
        window = np.s_[y0:y1, x0:x1]
        patch[window] = telea(patch[window], ~known[window], known[window])
        return patch
