"""A layered scene as a folder: written whole or not at all, and read again.

::

    FOLDER/graph.json        objects (name, category, boxes, masks as RLE), who hides whom, method
    FOLDER/background.png    RGB
    FOLDER/layers/NAME.png   RGBA, the window of the object's amodal mask

Further files, such as an overview picture, may lie beside them.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import UserError
from ..structures import LayeredScene, ObjectLayer, OcclusionGraph, WindowMask

VERSION = 1
GRAPH_FILE = "graph.json"


def save_layered_scene(
    scene: LayeredScene, folder: str | Path, extras: Mapping[str, np.ndarray | str] | None = None
) -> None:
    """Write a scene as a folder, in place of an older one of the same name.

    The folder appears complete. One that holds anything but a layered scene is never replaced.

    Args:
        extras: further files of the folder by name: pictures as (h, w, 3) uint8 RGB, or texts.

    Raises:
        UserError: ``folder`` exists and is not a layered scene, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not is_layered_scene(folder):
        raise UserError(f"{folder}: exists and is no layered scene; name another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        os.chmod(work, 0o755)
        (work / "layers").mkdir()
        Image.fromarray(scene.background).save(work / "background.png")
        for layer in scene.layers:
            Image.fromarray(layer.rgba).save(work / _layer_file(layer.name))
        for name, content in (extras or {}).items():
            if isinstance(content, str):
                (work / name).write_text(content, encoding="utf-8")
            else:
                Image.fromarray(content).save(work / name)
        (work / GRAPH_FILE).write_text(json.dumps(graph_document(scene), indent=1) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def load_layered_scene(folder: str | Path) -> LayeredScene:
    """Read a scene that ``save_layered_scene`` wrote.

    Raises:
        UserError: it is none, or a file of it is missing or does not fit; the message names it.
    """
    folder = Path(folder)
    path = folder / GRAPH_FILE
    if not is_layered_scene(folder):
        raise UserError(f"{folder}: not a layered scene ({GRAPH_FILE} is missing)")
    try:
        document = json.loads(path.read_text())
        if document["version"] != VERSION:
            raise UserError(f"{path}: version {document['version']}, this program reads {VERSION}")
        background = _read_png(folder / "background.png", "RGB")
        size = (document["height"], document["width"])
        if background.shape[:2] != size:
            raise UserError(f"{folder / 'background.png'}: its size is not graph.json's {size}")
        layers = [_read_layer(folder, entry) for entry in document["objects"]]
        graph = _read_graph(document, [layer.name for layer in layers])
        return LayeredScene(
            background, layers, graph, document.get("file_name", ""), document.get("method", {})
        )
    except (KeyError, ValueError, TypeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UserError(f"{path}: {what}") from error


def is_layered_scene(folder: str | Path) -> bool:
    """Whether a folder holds a layered scene."""
    return (Path(folder) / GRAPH_FILE).is_file()


def graph_document(scene: LayeredScene) -> dict[str, Any]:
    """What ``graph.json`` holds: boxes are [x, y, width, height] in pixels, masks compressed RLE.

    ``edges`` are [occluder, occludee] by name, ``neighbours`` the touching pairs.
    """
    size = (scene.height, scene.width)
    names = [layer.name for layer in scene.layers]
    return {
        "version": VERSION,
        "file_name": scene.file_name,
        "height": scene.height,
        "width": scene.width,
        "objects": [
            {
                "name": layer.name,
                "instance_id": layer.instance_id,
                "category_id": int(layer.category_id),
                "category": layer.category,
                "layer": _layer_file(layer.name),
                "x0": layer.x0,
                "y0": layer.y0,
                "bbox": layer.amodal_mask.xywh,
                "modal_bbox": layer.modal_mask.xywh,
                "occlusion_rate": round(layer.occlusion_rate, 6),
                "segmentation": layer.amodal_mask.to_rle(*size),
                "modal_segmentation": layer.modal_mask.to_rle(*size),
            }
            for layer in scene.layers
        ],
        "edges": [[names[i], names[j]] for i, j in scene.graph.edges],
        "neighbours": [[names[i], names[j]] for i, j in scene.graph.neighbour_pairs],
        "method": scene.description,
    }


def _layer_file(name: str) -> str:
    return f"layers/{name}.png"


def _read_layer(folder: Path, entry: dict[str, Any]) -> ObjectLayer:
    path = folder / entry["layer"]
    layer = ObjectLayer(
        name=entry["name"],
        x0=entry["x0"],
        y0=entry["y0"],
        rgba=_read_png(path, "RGBA"),
        modal_mask=WindowMask.from_rle(entry["modal_segmentation"]),
        amodal_mask=WindowMask.from_rle(entry["segmentation"]),
        category_id=entry["category_id"],
        category=entry["category"],
        instance_id=entry["instance_id"],
    )
    if layer.rgba.shape[:2] != layer.amodal_mask.array.shape:
        raise UserError(f"{path}: its size is not that of the object's amodal mask")
    return layer


def _read_graph(document: dict[str, Any], names: list[str]) -> OcclusionGraph:
    row_of = {name: row for row, name in enumerate(names)}
    graph = OcclusionGraph(len(names))
    for first, second in document["neighbours"]:
        graph.add_neighbours(row_of[first], row_of[second])
    for occluder, occludee in document["edges"]:
        graph.add_occlusion(row_of[occluder], row_of[occludee])
    return graph


def _read_png(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.mode != mode:
                raise UserError(f"{path}: {image.mode} pixels where {mode} is expected")
            return np.array(image)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'not a readable PNG'}") from error
