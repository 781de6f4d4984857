"""Colours for hidden pixels (Sec. 3.4, eq. 5): holes, what fills them, and the seam around them."""

from .filler import ContentFiller
from .holes import Hole, background_holes, object_hole
from .smooth import SmoothFiller
from .telea import TeleaFiller

__all__ = [
    "ContentFiller",
    "Hole",
    "SmoothFiller",
    "TeleaFiller",
    "background_holes",
    "object_hole",
]
