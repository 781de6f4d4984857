"""A layered scene as a folder: written whole or not at all, and read again.

::

    FOLDER/graph.json        objects (name, category, boxes, masks as RLE), who hides whom, method
    FOLDER/background.png    RGB
    FOLDER/layers/NAME.png   RGBA, the window of the object's amodal mask

Further files that were written with it, such as an overview picture, are named by ``graph.json``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.datasets.segmentation import to_rle
from ..errors import UserError
from ..files import read_json_file
from ..structures import LayeredScene, ObjectLayer, OcclusionGraph, WindowMask

VERSION = 1
GRAPH_FILE = "graph.json"
BACKGROUND_FILE = "background.png"
LAYERS_FOLDER = "layers"
# graph.json's list of further files.
FURTHER_FILES = "further_files"

# Control characters and halves of surrogate pairs among them; 60 characters of UTF-8 always fit.
_FORBIDDEN = r'\x00-\x1f\x7f\ud800-\udfff/\\:*?"<>|'
_SAFE_NAME = re.compile(rf"(?![. ])[^{_FORBIDDEN}]{{1,60}}(?<![. ])")


def save_layered_scene(
    scene: LayeredScene, folder: str | Path, pictures: Mapping[str, np.ndarray | str] | None = None
) -> None:
    """Write a scene as a folder, in place of an older one of the same name.

    The folder appears complete, and an older one stays until then. One that holds anything but a
    layered scene is never replaced.

    Args:
        pictures: further files of the folder by name: (h, w, 3) uint8 RGB each, or a text.

    Raises:
        UserError: ``folder`` exists and is not a layered scene, or cannot be written; or an object
            has no pixel, or a name that cannot be one of a file.
    """
    shown, folder = folder, Path(os.path.abspath(folder))
    check_replaceable(shown)
    for layer in scene.layers:
        check_object_name(layer.name)
        if layer.rgba.size == 0:
            raise UserError(f"{shown}: object {layer.name!r} has no pixel; leave it out")
    work = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        new, old = work / "new", work / "old"
        (new / LAYERS_FOLDER).mkdir(parents=True)
        Image.fromarray(scene.background).save(new / BACKGROUND_FILE)
        for layer in scene.layers:
            Image.fromarray(layer.rgba).save(new / _layer_file(layer.name))
        for name, picture in (pictures or {}).items():
            if isinstance(picture, str):
                (new / name).write_text(picture, "utf-8", newline="\n")
            else:
                Image.fromarray(picture).save(new / name)
        document = graph_document(scene)
        if pictures:
            document[FURTHER_FILES] = sorted(pictures)
        (new / GRAPH_FILE).write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except OSError as error:
        raise UserError(f"{shown}: cannot be written: {error.strerror or error}") from error
    finally:
        if work is not None:
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
    document = _read_document(path)
    try:
        height, width = document["height"], document["width"]
        background = _read_png(folder / BACKGROUND_FILE, "RGB")
        if background.shape[:2] != (height, width):
            found = f"{background.shape[1]} x {background.shape[0]}"
            raise UserError(
                f"{folder / BACKGROUND_FILE}: {found} px, but {GRAPH_FILE} says {width} x {height}"
            )
        names = [entry["name"] for entry in document["objects"]]
        if len(set(names)) < len(names):
            raise UserError(f"{path}: two objects have the same name")
        layers = [_read_layer(folder, entry, height, width) for entry in document["objects"]]
        graph = _read_graph(document, names)
        return LayeredScene(
            background, layers, graph, document.get("file_name", ""), document.get("method", {})
        )
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{path}: {error} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: {error}") from error


def is_layered_scene(folder: str | Path) -> bool:
    """Whether a folder holds a layered scene."""
    return (Path(folder) / GRAPH_FILE).is_file()


def check_replaceable(folder: str | Path) -> None:
    """Whether ``save_layered_scene`` may write here, asked before long work.

    Raises:
        UserError: something that is no layered scene lies there, or a scene beside other files.
    """
    path = Path(folder)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not is_layered_scene(path):
        raise UserError(f"{folder}: exists and is no layered scene; name another folder")
    further = _read_document(path / GRAPH_FILE).get(FURTHER_FILES)
    own = {GRAPH_FILE, BACKGROUND_FILE, LAYERS_FOLDER}
    own.update(further if isinstance(further, list) else [])
    strangers = [entry.name for entry in path.iterdir() if entry.name not in own]
    layers = path / LAYERS_FOLDER
    if layers.is_dir():
        found = (e for e in layers.iterdir() if e.suffix != ".png")
        strangers += [f"{LAYERS_FOLDER}/{entry.name}" for entry in found]
    if strangers:
        raise UserError(
            f"{folder}: also holds {min(strangers)}, which is no part of a layered scene; "
            "move it away, or name another folder"
        )


def check_object_name(name: object) -> None:
    """Whether a name can be that of an object, and so of a file on any system.

    Raises:
        UserError: it cannot.
    """
    if not (isinstance(name, str) and _SAFE_NAME.fullmatch(name)):
        raise UserError(
            f"{name!r} cannot be the name of an object: 1 to 60 characters, no control character, "
            'none of / \\ : * ? " < > |, no dot or blank at either end'
        )


def graph_document(scene: LayeredScene) -> dict[str, Any]:
    """What ``graph.json`` holds: boxes are [x, y, width, height] in pixels, masks compressed RLE.

    ``edges`` are [occluder, occludee] by name; ``edge_confidences`` their confidences in the same
    order, 0 to 1, null where unknown; ``neighbours`` the touching pairs; ``mutual`` those of them
    that hide parts of each other, with the pixels that each gained completed against the other.
    """
    graph = scene.graph
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
                "x0": int(layer.x0),
                "y0": int(layer.y0),
                "bbox": layer.amodal_mask.xywh,
                "modal_bbox": layer.modal_mask.xywh,
                "occlusion_rate": round(layer.occlusion_rate, 6),
                "segmentation": layer.amodal_mask.to_rle(*size),
                "modal_segmentation": layer.modal_mask.to_rle(*size),
            }
            for layer in scene.layers
        ],
        "edges": [[names[i], names[j]] for i, j in graph.edges],
        "edge_confidences": [_rounded(graph.confidence(i, j)) for i, j in graph.edges],
        "neighbours": [[names[i], names[j]] for i, j in graph.neighbour_pairs],
        "mutual": [
            {"objects": [names[i], names[j]], "increments": [round(gain, 2) for gain in gains]}
            for (i, j), gains in graph.mutual_pairs.items()
        ],
        "method": scene.description,
    }


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 4)


def _layer_file(name: str) -> str:
    return f"{LAYERS_FOLDER}/{name}.png"


def _read_document(path: Path) -> dict[str, Any]:
    """``graph.json``, its version checked."""
    document = read_json_file(path)
    if not isinstance(document, dict) or "version" not in document:
        raise UserError(f"{path}: not the {GRAPH_FILE} of a layered scene")
    if document["version"] != VERSION:
        raise UserError(f"{path}: version {document['version']!r}; this program reads {VERSION}")
    return document


def _read_layer(folder: Path, entry: dict[str, Any], height: int, width: int) -> ObjectLayer:
    name = entry["name"]
    try:
        check_object_name(name)
        masks = [
            WindowMask.from_rle(to_rle(entry[key], height, width))
            for key in ("modal_segmentation", "segmentation")
        ]
    except UserError as error:
        raise UserError(f"{folder / GRAPH_FILE}: object {name!r}: {error}") from error
    modal, amodal = masks
    path = folder / _layer_file(name)
    rgba = _read_png(path, "RGBA")
    window = [entry["x0"], entry["y0"], rgba.shape[1], rgba.shape[0]]
    if window != amodal.xywh:
        raise UserError(
            f"{path}: its window {window} (x, y, width, height) is not {amodal.xywh}, that of the "
            f"object's amodal mask in {GRAPH_FILE}"
        )
    return ObjectLayer(
        name,
        amodal.x0,
        amodal.y0,
        rgba,
        modal,
        amodal,
        category_id=entry["category_id"],
        category=entry["category"],
        instance_id=entry["instance_id"],
    )


def _read_graph(document: dict[str, Any], names: list[str]) -> OcclusionGraph:
    """Folders of older versions know neither confidences nor mutual pairs."""
    row_of = {name: row for row, name in enumerate(names)}

    def rows(key: str, pair: Any) -> tuple[int, int]:
        if not isinstance(pair, list) or len(pair) != 2 or not set(pair) <= row_of.keys():
            raise ValueError(f"{key}: {pair} are not two objects of the scene")
        if pair[0] == pair[1]:
            raise ValueError(f"{key}: {pair[0]!r} stands there twice")
        return row_of[pair[0]], row_of[pair[1]]

    graph = OcclusionGraph(len(names))
    for pair in document["neighbours"]:
        graph.add_neighbours(*rows("neighbours", pair))
    for entry in document.get("mutual", []):
        graph.add_mutual(*rows("mutual", entry["objects"]), entry["increments"])
    edges = [rows("edges", pair) for pair in document["edges"]]
    for pair, (occluder, occludee) in zip(document["edges"], edges, strict=True):
        if (occludee, occluder) in edges:
            raise ValueError(f"edges: {pair} and its contrary are both there")
    confidences = document.get("edge_confidences", [None] * len(edges))
    if len(confidences) != len(edges):
        raise ValueError(f"edge_confidences: {len(confidences)} for {len(edges)} edges")
    for edge, confidence in zip(edges, confidences, strict=True):
        graph.add_occlusion(*edge, confidence=confidence)
    return graph


def _read_png(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.mode != mode:
                raise UserError(f"{path}: {image.mode} pixels where {mode} is expected")
            return np.array(image)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'not a readable PNG'}") from error
    except (SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable PNG: {error}") from error
