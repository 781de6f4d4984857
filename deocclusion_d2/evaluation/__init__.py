"""DatasetEvaluators of order, amodal masks, amodal boxes and modal masks."""

from .amodal_box import AmodalBoxEvaluator
from .base import SceneEvaluator
from .build import EVALUATORS, build_evaluators
from .completion import AmodalCompletionEvaluator
from .modal_segmentation import ModalSegmentationEvaluator
from .ordering import OrderingEvaluator

__all__ = [
    "EVALUATORS",
    "AmodalBoxEvaluator",
    "AmodalCompletionEvaluator",
    "ModalSegmentationEvaluator",
    "OrderingEvaluator",
    "SceneEvaluator",
    "build_evaluators",
]
