"""DatasetEvaluators of order, amodal masks and amodal boxes."""

from .amodal_box import AmodalBoxEvaluator
from .base import SceneEvaluator
from .build import EVALUATORS, build_evaluators
from .completion import AmodalCompletionEvaluator
from .ordering import OrderingEvaluator

__all__ = [
    "EVALUATORS",
    "AmodalBoxEvaluator",
    "AmodalCompletionEvaluator",
    "OrderingEvaluator",
    "SceneEvaluator",
    "build_evaluators",
]
