"""Ordering, completion, and the Deoccluder that chains them."""

from .amodal_completion import PCNetCompletion
from .baselines import ConvexCompletion, HeuristicOrdering, RawCompletion, convex_hull
from .deoccluder import BASELINES, COMPLETIONS, ORDERINGS, Deoccluder, load_model
from .ordering import DualCompletion, neighbour_pairs
from .patch_completer import Patch, PatchCompleter

__all__ = [
    "BASELINES",
    "COMPLETIONS",
    "ORDERINGS",
    "ConvexCompletion",
    "Deoccluder",
    "DualCompletion",
    "HeuristicOrdering",
    "PCNetCompletion",
    "Patch",
    "PatchCompleter",
    "RawCompletion",
    "convex_hull",
    "load_model",
    "neighbour_pairs",
]
