"""Content without a network: what fills holes where nothing was trained for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...structures import WindowMask
from .filler import ContentFiller, at_full_resolution, content_sample
from .holes import Hole
from .opencv import INPAINT_RADIUS, telea
from .sources import DEFAULT_INSET

# Largest patch, in pixels, that OpenCV fills: its time grows faster than the area.
_TELEA_SIDE = 768


class TeleaFiller(ContentFiller):
    """Fills holes without a network, by OpenCV's inpainting after Telea.

    An object is continued from its own visible pixels, the background from its own.

    Args:
        context: see ``ContentFiller``.
        inset: colours are taken from pixels this far inside masks; see ``inner_pixels``.
    """

    def __init__(self, context: float = ContentFiller.context, inset: int = DEFAULT_INSET) -> None:
        self.context = context
        self.inset = inset

    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        return [
            at_full_resolution(hole, self._patch(hole), soft_seam=True, inset=self.inset)
            for hole in holes
        ]

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
