"""Photos taken apart into complete objects and their background."""

from .scene_folder import (
    check_object_name,
    check_replaceable,
    graph_document,
    is_layered_scene,
    load_layered_scene,
    save_layered_scene,
)

__all__ = [
    "check_object_name",
    "check_replaceable",
    "graph_document",
    "is_layered_scene",
    "load_layered_scene",
    "save_layered_scene",
]
