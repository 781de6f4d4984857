"""DatasetEvaluators of order, amodal masks and amodal boxes."""

from .amodal_box import AmodalBoxEvaluator
from .base import SceneEvaluator
from .build import EVALUATORS, build_evaluators
from .completion import AmodalCompletionEvaluator
from .ordering import (
    OrderingEvaluator,
    order_from_amodal,
    order_from_depth,
    order_from_depth_constraints,
)

__all__ = [
    "EVALUATORS",
    "AmodalBoxEvaluator",
    "AmodalCompletionEvaluator",
    "OrderingEvaluator",
    "SceneEvaluator",
    "build_evaluators",
    "order_from_amodal",
    "order_from_depth",
    "order_from_depth_constraints",
]
