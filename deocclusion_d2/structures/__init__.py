"""Plain data that flows between the parts of the package."""

from .gaps import GapCensus, Seams, seam
from .layered_scene import LayeredScene, ObjectLayer
from .mask_sample import MaskSample
from .neighbours import neighbour_pairs
from .occlusion_graph import OcclusionGraph
from .outlines import polygons_of
from .ownership import (
    DEFAULT_MIN_SCORE,
    OVERLAP_RULES,
    Overlap,
    OverlapSummary,
    Ownership,
    known_scores,
    own_pixels,
    resolve_overlaps,
    resolve_rle_overlaps,
)
from .probability_map import ProbabilityMap
from .scene import Deocclusion, Scene, SceneTruth
from .shape import centre_y, convex_hull
from .square_crop import SquareCrop
from .window_mask import WindowMask

__all__ = [
    "DEFAULT_MIN_SCORE",
    "OVERLAP_RULES",
    "Deocclusion",
    "GapCensus",
    "LayeredScene",
    "MaskSample",
    "ObjectLayer",
    "OcclusionGraph",
    "Overlap",
    "OverlapSummary",
    "Ownership",
    "ProbabilityMap",
    "Scene",
    "SceneTruth",
    "Seams",
    "SquareCrop",
    "WindowMask",
    "centre_y",
    "convex_hull",
    "known_scores",
    "neighbour_pairs",
    "own_pixels",
    "polygons_of",
    "resolve_overlaps",
    "resolve_rle_overlaps",
    "seam",
]
