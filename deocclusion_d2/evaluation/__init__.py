"""Evaluators of order, amodal masks and boxes, detectors, reliability, colours, and labels."""

from ..faces import attach
from .amodal_box import AmodalBoxEvaluator
from .base import SceneEvaluator, SumEvaluator
from .build import EVALUATORS, build_evaluators
from .completion import AmodalCompletionEvaluator
from .content import ContentEvaluator
from .hidden_objects import evaluate_by_hidden_share
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
    "evaluate_by_hidden_share",
    "label_quality",
]

# Evaluators that belong to a published system.
__getattr__, _, _ = attach(__name__, {})
