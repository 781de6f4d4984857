"""The text beside a decomposition explains what its ``graph.json`` holds."""

from __future__ import annotations

import json
import re

import numpy as np

from deocclusion_d2.decomposition import load_layered_scene, save_layered_scene
from deocclusion_d2.decomposition.explanation import README, README_FILE
from deocclusion_d2.structures import (
    LayeredScene,
    MaskSample,
    ObjectLayer,
    OcclusionGraph,
    WindowMask,
)


def test_every_key_is_explained(tmp_path):
    mask = WindowMask.filled((1, 1, 3, 3))
    rgba = np.full((2, 2, 4), 255, np.uint8)
    layers = [ObjectLayer(name, 1, 1, rgba, mask, mask) for name in "ab"]
    layers[0].samples = [MaskSample(mask, 1.0)]
    graph = OcclusionGraph(2)
    graph.add_mutual(0, 1, (2, 3))
    scene = LayeredScene(np.zeros((5, 5, 3), np.uint8), layers, graph, "a.jpg")
    save_layered_scene(scene, tmp_path / "scene", {README_FILE: README})
    assert (tmp_path / "scene" / README_FILE).read_text("utf-8") == README
    document = json.loads((tmp_path / "scene" / "graph.json").read_text("utf-8"))
    objects = document["objects"]
    keys = {*document, *objects[0], *objects[0]["samples"][0], *document["mutual"][0]}
    assert keys <= set(re.findall(r"\w+", README))
    # It is one of the scene's own files: the scene is read, and replaced.
    load_layered_scene(tmp_path / "scene")
    save_layered_scene(scene, tmp_path / "scene", {README_FILE: README}, overwrite=True)
    assert all(len(line) <= 100 for line in README.splitlines())
