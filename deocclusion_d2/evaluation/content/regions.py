"""The regions of photos whose colours are filled in and judged."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...structures import SquareCrop, WindowMask


@dataclass(frozen=True, eq=False)
class HiddenRegion:
    """Pixels of an instance that no method sees. Everything is in pixels of the image.

    Attributes:
        row: the instance's row in the scene.
        square: the square around the instance, not shifted or scaled, as in inference.
        visible: the instance's pixels that are seen.
        hole: those that are not, at least one.
        taken: pixels of all objects. Those that are not ``visible`` are never looked at.
    """

    row: int
    square: SquareCrop
    visible: WindowMask
    hole: WindowMask
    taken: WindowMask = field(default_factory=WindowMask.empty)
