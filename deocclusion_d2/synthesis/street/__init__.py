"""Synthetic street scenes with exact amodal ground truth, written in the format of KINS.

`write_splits` makes the data set, `render_scene` a single image with its masks.
"""

from .render import RenderedObject, RenderedScene, render_scene
from .write_kins import (
    SyntheticKinsConfig,
    annotations_of,
    scene_of,
    split_paths,
    write_split,
    write_splits,
)

__all__ = [
    "RenderedObject",
    "RenderedScene",
    "SyntheticKinsConfig",
    "annotations_of",
    "render_scene",
    "scene_of",
    "split_paths",
    "write_split",
    "write_splits",
]
