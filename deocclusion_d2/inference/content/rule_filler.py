"""Content without a network: what the rules that fill holes have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from .filler import ContentFiller, at_full_resolution
from .holes import Hole
from .sources import DEFAULT_INSET


class RuleFiller(ContentFiller):
    """Fills holes patch by patch; the seam is corrected at the photo's resolution.

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

    @abstractmethod
    def _patch(self, hole: Hole) -> np.ndarray:
        """(S, S, 3) uint8 or float32 RGB, filled where the hole's window is not visible."""
