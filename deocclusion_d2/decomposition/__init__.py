"""Photos taken apart into complete objects and their background."""

from .decompose import decompose, decompose_scenes
from .job import DecompositionJob, JobResult, decompose_photos
from .mask_sources import open_masks
from .photos import read_photo
from .scene_folder import is_layered_scene, load_layered_scene, save_layered_scene

__all__ = [
    "DecompositionJob",
    "JobResult",
    "decompose",
    "decompose_photos",
    "decompose_scenes",
    "is_layered_scene",
    "load_layered_scene",
    "open_masks",
    "read_photo",
    "save_layered_scene",
]
