"""A scene's fingerprint: by it an edit script, and what a browser keeps, know their scene."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from ..structures import LayeredScene


def scene_fingerprint(scene: LayeredScene) -> str:
    """SHA-256, in hexadecimal, of all that edits work on.

    That is: every pixel, where and what each object is, what the photo shows of it, and who hides
    whom; not the photo's name, nor how the scene was made. A scene that is saved and read again
    keeps its fingerprint.
    """
    digest = hashlib.sha256()

    def add(array: np.ndarray) -> None:
        digest.update(json.dumps([*array.shape, str(array.dtype)]).encode())
        digest.update(np.ascontiguousarray(array))

    add(scene.background)
    if scene.photo is not None:
        add(scene.photo)
    for layer in scene.layers:
        digest.update(json.dumps([layer.name, int(layer.x0), int(layer.y0)]).encode())
        add(layer.rgba)
        h, w = layer.rgba.shape[:2]
        add(layer.modal_mask.crop((layer.x0, layer.y0, layer.x0 + w, layer.y0 + h)).astype(bool))
    digest.update(json.dumps([[int(i), int(j)] for i, j in scene.graph.edges]).encode())
    return digest.hexdigest()
