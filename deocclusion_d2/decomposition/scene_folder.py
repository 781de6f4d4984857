"""A layered scene as a folder: written whole or not at all, and read again.

::

    FOLDER/graph.json        objects (name, category, boxes, masks as RLE), who hides whom, method
    FOLDER/background.png    RGB
    FOLDER/photo.png         RGB, the photo, where layers have soft edges
    FOLDER/layers/NAME.png   RGBA, the window of the object's amodal mask

``graph.json`` names each object's file: it is the object's name where every file system takes that.
It also names further files that were written with it, such as an overview picture, and says by
``request`` what was asked for: a decomposition of other masks is told from this one by it.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.datasets.segmentation import to_rle
from ..errors import UserError
from ..files import (
    FORBIDDEN_CHARACTERS,
    base_name,
    portable_names,
    readable_json,
    whole_folder,
)
from ..json_files import read_json_file
from ..outputs import (
    GRAPH_FILE,
    LAYERS_FOLDER,
    check_folder_can_be_made,
    is_layered_scene,
)
from ..structures import LayeredScene, MaskSample, ObjectLayer, OcclusionGraph, WindowMask
from ..structures.mask_sample import samples_from_json

# 2: layers with soft edges, beside the photo. Folders of 1 are read, and written without a photo.
VERSION = 2
BACKGROUND_FILE = "background.png"
PHOTO_FILE = "photo.png"
# graph.json's list of further files, and what was asked for.
FURTHER_FILES, REQUEST = "further_files", "request"
# Of a request: the photo's file, and the hash of everything that a config sets.
PHOTO_KEY, SETTINGS_KEY = "photo_sha256", "settings_sha256"

# Of an object: completions that were drawn.
SAMPLES_KEY = "samples"

# Copies of copies have the longest names.
MAX_NAME_LENGTH = 200
_NAME = re.compile(rf"(?![. ])[^{FORBIDDEN_CHARACTERS}]{{1,{MAX_NAME_LENGTH}}}(?<![. ])")


def save_layered_scene(
    scene: LayeredScene,
    folder: str | Path,
    further: Mapping[str, np.ndarray | str] | None = None,
    overwrite: bool = False,
    request: Mapping[str, Any] | None = None,
) -> None:
    """Write a scene as a folder.

    The folder appears complete, and an older one stays until then. One that holds anything but a
    layered scene is never replaced.

    Args:
        further: files of the folder by name: a picture, (h, w, 3) uint8 RGB, or a text each.
        overwrite: replace an older scene.
        request: what was asked for, JSON-able; see ``check_request``.

    Raises:
        UserError: ``folder`` exists and is not a layered scene, or cannot be written; or an object
            has no pixel, or a name that no object can have.
    """
    check_replaceable(folder, overwrite)
    for layer in scene.layers:
        check_object_name(layer.name)
        if layer.rgba.size == 0:
            raise UserError(f"{folder}: object {layer.name!r} has no pixel; leave it out")
    document = graph_document(scene)
    if further:
        document[FURTHER_FILES] = sorted(further)
    if request is not None:
        document[REQUEST] = dict(request)
    with whole_folder(folder) as new:
        (new / LAYERS_FOLDER).mkdir()
        Image.fromarray(scene.background).save(new / BACKGROUND_FILE)
        if scene.photo is not None:
            Image.fromarray(scene.photo).save(new / PHOTO_FILE)
        for layer, entry in zip(scene.layers, document["objects"], strict=True):
            try:
                Image.fromarray(layer.rgba).save(new / entry["layer"])
            except UnicodeEncodeError:
                raise UserError(
                    f"{folder}: this system's locale has no file name {entry['layer']!r}: set "
                    "LC_ALL=C.UTF-8"
                ) from None
        for name, content in (further or {}).items():
            if isinstance(content, str):
                (new / name).write_text(content, "utf-8", newline="\n")
            else:
                Image.fromarray(content).save(new / name)
        (new / GRAPH_FILE).write_text(readable_json(document) + "\n", "utf-8")
        # Another program may have written here since.
        check_replaceable(folder, overwrite)


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
        height, width = (_typed(document, key, int) for key in ("height", "width"))
        file_name = _typed(document, "file_name", str, "")
        method = _typed(document, "method", dict, {})
        background = _read_picture(folder / BACKGROUND_FILE, height, width)
        photo = None
        if document["version"] > 1:
            photo = _read_picture(folder / PHOTO_FILE, height, width)
        objects = _typed(document, "objects", list)
        names = [_object_name(entry, path) for entry in objects]
        if len(set(names)) < len(names):
            raise UserError(f"{path}: two objects have the same name")
        layers = [_read_layer(folder, entry, height, width) for entry in objects]
        graph = _read_graph(document, names)
        return LayeredScene(background, layers, graph, base_name(file_name), method, photo)
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{path}: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"{path}: {error}") from error


def check_replaceable(folder: str | Path, overwrite: bool = True) -> None:
    """Whether ``save_layered_scene`` may write here, asked before long work.

    Raises:
        UserError: something that is no layered scene lies there, or a scene beside other files; or
            a scene, without ``overwrite``.
    """
    path = Path(folder)
    check_folder_can_be_made(path.parent)
    try:
        if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
            return
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from None
    if not is_layered_scene(path):
        raise UserError(f"{folder}: exists and is no layered scene; name another folder")
    if not overwrite:
        raise UserError(f"{folder}: there is a scene already: --overwrite replaces it")
    own = set(_own_files(_read_document(path / GRAPH_FILE)))
    found = [*path.iterdir()]
    layers = path / LAYERS_FOLDER
    if layers.is_dir():
        found.remove(layers)
        found += layers.iterdir()
    strangers = [
        name
        for entry in found
        if (name := entry.relative_to(path).as_posix()) not in own or entry.is_dir()
    ]
    if strangers:
        raise UserError(
            f"{folder}: also holds {min(strangers)}, which is no part of this layered scene; "
            "move it away, or name another folder"
        )


def check_request(folder: str | Path, request: Mapping[str, Any]) -> None:
    """Whether a finished scene is what is asked for now, and whole.

    Args:
        folder: what ``save_layered_scene`` wrote.
        request: everything that decides the scene, JSON-able. Keys that end in ``_sha256`` are of
            something that the rest of the key names.

    Raises:
        UserError: it was made of something else, or of what is not known; or a file is missing.
    """
    path = Path(folder)
    document = _read_document(path / GRAPH_FILE)
    missing = [name for name in _own_files(document) if not (path / name).is_file()]
    if missing:
        raise UserError(f"{folder}: {missing[0]} is missing: --overwrite decomposes again")
    found, wanted = document.get(REQUEST), json.loads(json.dumps(request))
    if found == wanted:
        return
    if not isinstance(found, dict):
        raise UserError(
            f"{folder}: there is a scene already that does not say which photo, masks and method "
            "it was made with (an edited one, or an older version's): --overwrite decomposes "
            "again, or name another folder"
        )
    known = [*wanted, *sorted(found.keys() - wanted.keys())]
    keys = [key for key in known if found.get(key) != wanted.get(key)]
    # All settings together say nothing where one of them is named.
    keys = [key for key in keys if key != SETTINGS_KEY] or keys
    # Another photo has other masks.
    keys = keys[:1] if keys[0] == PHOTO_KEY else keys
    names = [key.removesuffix("_sha256").replace("_", " ") for key in keys]
    others = [f"{'other' if name.endswith('s') else 'another'} {name}" for name in names]
    # A network in the place of another changes them all.
    others[3:] = [f"{len(others) - 3} more that differ"] if len(others) > 4 else others[3:]
    other = " and ".join(others)
    raise UserError(
        f"{folder}: there is a scene already, made with {other}: --overwrite decomposes again, or "
        "name another folder"
    )


def check_object_name(name: object) -> None:
    """Whether a name can be that of an object: any letters, and nothing that no file could have.

    Raises:
        UserError: it cannot.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        shown = repr(name) if len(repr(name)) <= 100 else f"{repr(name)[:100]}..."
        raise UserError(
            f"{shown} cannot be the name of an object: 1 to {MAX_NAME_LENGTH} characters, no "
            'control character, none of / \\ : * ? " < > |, no dot or blank at either end'
        )


def graph_document(scene: LayeredScene) -> dict[str, Any]:
    """What ``graph.json`` holds: boxes are [x, y, width, height] in pixels, masks compressed RLE.

    ``edges`` are [occluder, occludee] by name; ``edge_confidences`` their confidences in the same
    order, 0 to 1, null where unknown; ``neighbours`` the touching pairs; ``mutual`` those of them
    that hide parts of each other, with the pixels that each gained completed against the other.
    ``samples`` of an object are there if completions were drawn of it; see ``MaskSample.to_json``.
    """
    graph = scene.graph
    size = (scene.height, scene.width)
    names = [layer.name for layer in scene.layers]
    files = portable_names(names)
    return {
        "version": 1 if scene.photo is None else VERSION,
        "file_name": base_name(scene.file_name),
        "height": scene.height,
        "width": scene.width,
        "objects": [
            {
                "name": layer.name,
                "instance_id": layer.instance_id,
                "category_id": int(layer.category_id),
                "category": layer.category,
                "layer": f"{LAYERS_FOLDER}/{file}.png",
                "x0": int(layer.x0),
                "y0": int(layer.y0),
                "bbox": layer.amodal_mask.xywh,
                "modal_bbox": layer.modal_mask.xywh,
                "occlusion_rate": round(layer.occlusion_rate, 6),
                "segmentation": layer.amodal_mask.to_rle(*size),
                "modal_segmentation": layer.modal_mask.to_rle(*size),
                **_samples_document(layer, size),
            }
            for layer, file in zip(scene.layers, files, strict=True)
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


def _samples_document(layer: ObjectLayer, size: tuple[int, int]) -> dict[str, Any]:
    return {SAMPLES_KEY: [s.to_json(*size) for s in layer.samples]} if layer.samples else {}


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 4)


def _own_files(document: dict[str, Any]) -> list[str]:
    """The files of a scene by its ``graph.json``, as far as they lie in its folder."""
    further, objects = document.get(FURTHER_FILES), document.get("objects")
    named = [f for f in further if isinstance(f, str)] if isinstance(further, list) else []
    for entry in objects if isinstance(objects, list) else ():
        if isinstance(entry, dict):
            named.append(str(entry.get("layer")))
    own = [name for name in named if re.fullmatch(rf"({LAYERS_FOLDER}/)?[^/\\]+", name)]
    photo = [PHOTO_FILE] if document["version"] > 1 else []
    return [GRAPH_FILE, BACKGROUND_FILE, *photo, *own]


def _read_document(path: Path) -> dict[str, Any]:
    """``graph.json``, its version checked."""
    document = read_json_file(path)
    if not isinstance(document, dict) or "version" not in document:
        raise UserError(f"{path}: not the {GRAPH_FILE} of a layered scene")
    if type(document["version"]) is not int or not 1 <= document["version"] <= VERSION:
        raise UserError(
            f"{path}: version {document['version']!r}; this program reads 1 to {VERSION}"
        )
    return document


def _typed(entry: Any, key: str, kind: type, default: Any = None) -> Any:
    """The value of a key, which has to be of a type; its default where it is missing.

    Raises:
        UserError, KeyError: it is of another type; it is missing, and has no default.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"{entry!r:.60} where an object of JSON is expected")
    value = entry[key] if default is None else entry.get(key, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{key!r} is {value!r:.60}, not {_KINDS[kind]}")
    return value


_KINDS = {int: "a whole number", str: "text", list: "a list", dict: "an object of JSON"}


def _object_name(entry: Any, path: Path) -> str:
    try:
        name = entry["name"] if isinstance(entry, dict) else _typed(entry, "name", str)
        check_object_name(name)
    except UserError as error:
        raise UserError(f"{path}: object {error}") from error
    return name


def _read_layer(folder: Path, entry: dict[str, Any], height: int, width: int) -> ObjectLayer:
    name = entry["name"]
    where = f"{folder / GRAPH_FILE}: object {name!r}"
    try:
        modal, amodal = (
            WindowMask.from_rle(to_rle(entry[key], height, width))
            for key in ("modal_segmentation", "segmentation")
        )
        x0, y0, category_id = (_typed(entry, key, int) for key in ("x0", "y0", "category_id"))
        category = _typed(entry, "category", str)
        samples = _read_samples(entry.get(SAMPLES_KEY, []), modal, height, width)
    except (UserError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{where}: {error}") from error
    if not isinstance(entry["instance_id"], (int, str)):
        raise UserError(f"{where}: 'instance_id' is {entry['instance_id']!r:.60}, not a number")
    if not (modal - amodal).is_empty:
        raise UserError(f"{where}: its modal mask reaches out of its amodal mask")
    # Folders of older versions, or from elsewhere, may leave it out.
    file = entry.get("layer", f"{LAYERS_FOLDER}/{name}.png")
    if not isinstance(file, str) or not re.fullmatch(rf"{LAYERS_FOLDER}/[^/\\]+\.png", file):
        raise UserError(f"{where}: 'layer' is {file!r:.60}, not a PNG file in {LAYERS_FOLDER}/")
    path = folder / file
    rgba = _read_png(path, "RGBA")
    window = [x0, y0, rgba.shape[1], rgba.shape[0]]
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
        category_id=category_id,
        category=category,
        instance_id=entry["instance_id"],
        samples=samples,
    )


def _read_samples(given: Any, modal: WindowMask, height: int, width: int) -> list[MaskSample]:
    """The completions of an object; none where there is nothing.

    Raises:
        ValueError, UserError: they are damaged.
    """
    try:
        samples = samples_from_json(given, height, width)
    except (ValueError, UserError) as error:
        raise ValueError(f"{SAMPLES_KEY!r}: {error}") from error
    if any(not (modal - sample.mask).is_empty for sample in samples):
        raise ValueError(f"{SAMPLES_KEY!r}: the modal mask reaches out of one of them")
    return samples


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
    for pair in _typed(document, "neighbours", list):
        graph.add_neighbours(*rows("neighbours", pair))
    for entry in _typed(document, "mutual", list, []):
        pair, gains = rows("mutual", entry["objects"]), entry["increments"]
        if len(gains) != 2 or not all(math.isfinite(gain) for gain in gains):
            raise ValueError(f"mutual: increments {gains!r:.60} are not two numbers")
        graph.add_mutual(*pair, gains)
    edges = [rows("edges", pair) for pair in _typed(document, "edges", list)]
    for pair, (occluder, occludee) in zip(document["edges"], edges, strict=True):
        if (occludee, occluder) in edges:
            raise ValueError(f"edges: {pair} and its contrary are both there")
    confidences = document.get("edge_confidences", [None] * len(edges))
    if len(confidences) != len(edges):
        raise ValueError(f"edge_confidences: {len(confidences)} for {len(edges)} edges")
    for edge, confidence in zip(edges, confidences, strict=True):
        graph.add_occlusion(*edge, confidence=confidence)
    return graph


def _read_picture(path: Path, height: int, width: int) -> np.ndarray:
    """A picture of the whole scene."""
    picture = _read_png(path, "RGB")
    if picture.shape[:2] != (height, width):
        found = f"{picture.shape[1]} x {picture.shape[0]}"
        raise UserError(f"{path}: {found} px, but {GRAPH_FILE} says {width} x {height}")
    return picture


def _read_png(path: Path, mode: str) -> np.ndarray:
    # A named pipe would be waited for.
    if os.path.lexists(path) and not path.is_file():
        raise UserError(f"{path}: not a file")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode != mode:
                raise UserError(f"{path}: {image.mode} pixels where {mode} is expected")
            return np.array(image)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'not a readable PNG'}") from error
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable PNG: {error}") from error
