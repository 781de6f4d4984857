"""Content: regions that are hidden and filled, and how near the colours come to the truth."""

from .erased_regions import draw_erased_regions
from .evaluator import ContentEvaluator
from .filling import FilledRegion, FilledScene, HoleFiller
from .hidden_regions import find_hidden_regions
from .regions import HiddenRegion

__all__ = [
    "ContentEvaluator",
    "FilledRegion",
    "FilledScene",
    "HiddenRegion",
    "HoleFiller",
    "draw_erased_regions",
    "find_hidden_regions",
]
