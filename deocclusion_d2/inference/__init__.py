"""Ordering, completion, and the Deoccluder that chains them."""

from .amodal_completion import PCNetCompletion
from .baselines import ConvexCompletion, HeuristicOrdering, RawCompletion, convex_hull
from .deoccluder import BASELINES, COMPLETIONS, ORDERINGS, Deoccluder, load_model
from .methods import METHODS, NETWORK_METHODS, build_deoccluder, method_config
from .ordering import DualCompletion
from .patch_completer import Patch, PatchCompleter

__all__ = [
    "BASELINES",
    "COMPLETIONS",
    "METHODS",
    "NETWORK_METHODS",
    "ORDERINGS",
    "ConvexCompletion",
    "Deoccluder",
    "DualCompletion",
    "HeuristicOrdering",
    "PCNetCompletion",
    "Patch",
    "PatchCompleter",
    "RawCompletion",
    "build_deoccluder",
    "convex_hull",
    "load_model",
    "method_config",
]
