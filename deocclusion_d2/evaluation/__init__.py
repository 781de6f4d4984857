"""Evaluators of order, amodal masks and boxes, modal masks, filled-in colours, and erasures."""

from .amodal_box import AmodalBoxEvaluator
from .base import SceneEvaluator
from .build import EVALUATORS, build_evaluators
from .completion import AmodalCompletionEvaluator
from .content import ContentEvaluator
from .erasures import evaluate_erasures
from .modal_segmentation import ModalSegmentationEvaluator
from .ordering import OrderingEvaluator
from .reliability import ReliabilityEvaluator

__all__ = [
    "EVALUATORS",
    "AmodalBoxEvaluator",
    "AmodalCompletionEvaluator",
    "ContentEvaluator",
    "ModalSegmentationEvaluator",
    "OrderingEvaluator",
    "ReliabilityEvaluator",
    "SceneEvaluator",
    "build_evaluators",
    "evaluate_erasures",
]
