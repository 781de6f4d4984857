"""DatasetEvaluators of order, amodal masks and boxes, modal masks, and filled-in colours."""

from .amodal_box import AmodalBoxEvaluator
from .base import SceneEvaluator
from .build import EVALUATORS, build_evaluators
from .completion import AmodalCompletionEvaluator
from .content import ContentEvaluator
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
]
