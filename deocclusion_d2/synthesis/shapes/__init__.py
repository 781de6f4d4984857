"""Table-top-like scenes of generic shapes with exact amodal ground truth, in KINS's JSON schema.

Masks alone, for networks that see masks alone: outlines of many kinds, in heaps and apart.
`write_splits` makes the data set, `compose_scene` a single scene.
"""

from .scene import GenericObject, compose_scene
from .write_shapes import (
    GenericShapesConfig,
    annotations_of,
    scene_of,
    split_path,
    write_splits,
)

__all__ = [
    "GenericObject",
    "GenericShapesConfig",
    "annotations_of",
    "compose_scene",
    "scene_of",
    "split_path",
    "write_splits",
]
