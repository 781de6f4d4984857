"""Plain data that flows between the parts of the package."""

from .neighbours import neighbour_pairs
from .occlusion_graph import OcclusionGraph
from .scene import Deocclusion, Scene, SceneTruth
from .square_crop import SquareCrop
from .window_mask import WindowMask

__all__ = [
    "Deocclusion",
    "OcclusionGraph",
    "Scene",
    "SceneTruth",
    "SquareCrop",
    "WindowMask",
    "neighbour_pairs",
]
