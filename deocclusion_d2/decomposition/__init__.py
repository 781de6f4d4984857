"""Photos taken apart into complete objects and their background.

Nothing is imported before it is asked for: reading and writing a layered scene needs neither torch
nor Detectron2.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "decompose": ["decompose", "decompose_scenes"],
        "job": ["DecompositionJob", "JobResult", "decompose_photos"],
        "mask_sources": ["open_masks"],
        "photos": ["read_photo"],
        "scene_folder": [
            "check_object_name",
            "check_replaceable",
            "check_request",
            "graph_document",
            "is_layered_scene",
            "load_layered_scene",
            "save_layered_scene",
        ],
    },
)
