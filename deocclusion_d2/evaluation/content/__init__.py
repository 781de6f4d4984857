"""Content: regions that are erased and filled again, and how near the colours come to the truth."""

from .erased_regions import ErasedRegion, draw_erased_regions
from .evaluator import ContentEvaluator
from .filling import FilledRegion, FilledScene, HoleFiller

__all__ = [
    "ContentEvaluator",
    "ErasedRegion",
    "FilledRegion",
    "FilledScene",
    "HoleFiller",
    "draw_erased_regions",
]
