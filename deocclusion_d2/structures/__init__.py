"""Plain data that flows between the parts of the package."""

from .layered_scene import LayeredScene, ObjectLayer
from .neighbours import neighbour_pairs
from .occlusion_graph import OcclusionGraph
from .predicted_masks import DEFAULT_MIN_SCORE, resolve_overlaps, resolve_rle_overlaps
from .probability_map import ProbabilityMap
from .scene import Deocclusion, Scene, SceneTruth
from .shape import centre_y, convex_hull
from .square_crop import SquareCrop
from .window_mask import WindowMask

__all__ = [
    "DEFAULT_MIN_SCORE",
    "Deocclusion",
    "LayeredScene",
    "ObjectLayer",
    "OcclusionGraph",
    "ProbabilityMap",
    "Scene",
    "SceneTruth",
    "SquareCrop",
    "WindowMask",
    "centre_y",
    "convex_hull",
    "neighbour_pairs",
    "resolve_overlaps",
    "resolve_rle_overlaps",
]
