"""Evaluators of order, amodal masks and boxes, reliability, filled-in colours, and labels."""

from ..faces import attach
from .amodal_box import AmodalBoxEvaluator
from .base import SceneEvaluator, SumEvaluator
from .build import EVALUATORS, build_evaluators
from .completion import AmodalCompletionEvaluator
from .content import ContentEvaluator
from .label_quality import label_quality
from .ordering import OrderingEvaluator
from .reliability import ReliabilityEvaluator

__all__ = [
    "EVALUATORS",
    "AmodalBoxEvaluator",
    "AmodalCompletionEvaluator",
    "ContentEvaluator",
    "OrderingEvaluator",
    "ReliabilityEvaluator",
    "SceneEvaluator",
    "SumEvaluator",
    "build_evaluators",
    "label_quality",
]

# Evaluators that belong to a published system.
__getattr__, _, _ = attach(__name__, {})
