"""Ordering, completion, the Deoccluder that chains them, modal segmentation, hole filling."""

from .amodal_completion import PCNetCompletion
from .baselines import ConvexCompletion, HeuristicOrdering, RawCompletion, convex_hull
from .content_completion import ContentCompletion, ContentFiller, TeleaFiller
from .content_holes import Hole, background_holes, object_hole
from .deoccluder import Deoccluder
from .hole_filling import FilledRegion, FilledScene, HoleFiller
from .methods import METHODS, NETWORK_METHODS, build_deoccluder, method_config
from .modal_segmentation import ModalPrediction, ModalSegmenter, write_predictions
from .network_runner import NetworkRunner
from .ordering import DualCompletion
from .ordering_prior import OrderingPrior
from .pair_features import FEATURES, pair_features
from .patch_completer import Patch, PatchCompleter
from .steps import BASELINES, COMPLETIONS, ORDERINGS
from .supervised import OrderNetOrdering, PairRunner, SupervisedCompletion
from .weights import load_model

__all__ = [
    "BASELINES",
    "COMPLETIONS",
    "FEATURES",
    "METHODS",
    "NETWORK_METHODS",
    "ORDERINGS",
    "ContentCompletion",
    "ContentFiller",
    "ConvexCompletion",
    "Deoccluder",
    "DualCompletion",
    "FilledRegion",
    "FilledScene",
    "HeuristicOrdering",
    "Hole",
    "HoleFiller",
    "ModalPrediction",
    "ModalSegmenter",
    "NetworkRunner",
    "OrderNetOrdering",
    "OrderingPrior",
    "PCNetCompletion",
    "PairRunner",
    "Patch",
    "PatchCompleter",
    "RawCompletion",
    "SupervisedCompletion",
    "TeleaFiller",
    "background_holes",
    "build_deoccluder",
    "convex_hull",
    "load_model",
    "method_config",
    "object_hole",
    "pair_features",
    "write_predictions",
]
