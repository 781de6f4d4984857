"""Experiments that compare methods and label sources."""

from .compare_methods import METHODS, compare_methods, comparison_table
from .label_quality import label_quality

__all__ = [
    "METHODS",
    "compare_methods",
    "comparison_table",
    "label_quality",
]
