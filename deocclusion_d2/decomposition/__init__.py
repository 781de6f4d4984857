"""Photos taken apart into complete objects and their background."""

from .decompose import decompose, decompose_scenes
from .job import DecompositionJob, JobResult, decompose_photos
from .mask_sources import open_masks
from .photos import read_photo
from .scene_folder import (
    check_object_name,
    check_replaceable,
    graph_document,
    is_layered_scene,
    load_layered_scene,
    save_layered_scene,
)

__all__ = [
    "DecompositionJob",
    "JobResult",
    "check_object_name",
    "check_replaceable",
    "decompose",
    "decompose_photos",
    "decompose_scenes",
    "graph_document",
    "is_layered_scene",
    "load_layered_scene",
    "open_masks",
    "read_photo",
    "save_layered_scene",
]
