"""A layered scene as one HTML page in which it is edited: no server, no network, nothing beside it.

The page's own files lie in ``page/``, readable and without a build step. Here they and the scene
are put into one file. The page draws as ``composition`` does, to the bit, and saves the picture and
the edit script that ``tools/edit_scene.py`` reads.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from ..decomposition import load_layered_scene
from ..files import whole_file
from ..structures import LayeredScene, ObjectLayer
from .fingerprint import scene_fingerprint

ASSETS = Path(__file__).parent / "page"
SCRIPTS = (
    "composition.js",
    "state.js",
    "script.js",
    "history.js",
    "storage.js",
    "outline.js",
    "view.js",
    "list.js",
    "controls.js",
)
"""In the order in which the page runs them: each uses only what stands before it."""

# What some system does not take in the name of a file.
_UNSAFE = re.compile(r'[\\/:*?"<>|]')


def write_scene_page(scene: LayeredScene, path: str | Path) -> None:
    """Write the page of a scene. The file appears complete, or not at all.

    Args:
        scene: what is edited. The page starts with the scene as it is.
        path: the HTML file; an older one is replaced. Its folder is made where it is missing.

    Raises:
        UserError: ``path`` cannot be written.
    """
    page = scene_page(scene)
    with whole_file(path) as file:
        file.write_text(page, encoding="utf-8", newline="\n")


def write_scene_pages(folders: Sequence[Path], target: str | Path, of_folder: bool) -> None:
    """Write the pages of scenes that lie in folders.

    Args:
        folders: what ``save_layered_scene`` wrote.
        target: the HTML file of the one scene; or, with ``of_folder``, the folder of all pages,
            each named by its scene's folder.

    Raises:
        UserError: a page cannot be written, or a scene cannot be read.
    """
    for folder in folders:
        page = Path(target) / f"{folder.name}.html" if of_folder else target
        write_scene_page(load_layered_scene(folder), page)


def scene_page(scene: LayeredScene) -> str:
    """The page of a scene as text."""
    parts = {
        "title": html.escape(visible_text(_photo_name(scene)) or "scene"),
        "style": _asset("page.css"),
        "scene": _script_safe_json(scene_document(scene)),
        "script": "\n".join(_asset(name) for name in SCRIPTS),
    }
    # In one pass: what is filled in is not searched for further placeholders.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page.html"))


def scene_document(scene: LayeredScene) -> dict[str, Any]:
    """What the page knows of a scene; ready for JSON.

    Images are data URIs of PNG files without alpha, because a browser's canvas multiplies colours
    by their alpha and so loses bits of them: ``background`` holds RGB; ``pixels`` of an object is
    twice as high as the object, or None for an object without pixels. Above it holds RGB, below
    alpha in red and the modal mask, 0 or 255, in green. ``edges`` are [occluder, occludee] by name.
    Of the photo's path the page knows the last part alone.
    """
    names = [layer.name for layer in scene.layers]
    return {
        "fingerprint": scene_fingerprint(scene),
        "save_as": _UNSAFE.sub("_", visible_text(PurePath(_photo_name(scene)).stem)) or "scene",
        "width": scene.width,
        "height": scene.height,
        "background": _png_uri(scene.background),
        "objects": [
            {
                "name": layer.name,
                "category": layer.category,
                "x": int(layer.x0),
                "y": int(layer.y0),
                "width": layer.rgba.shape[1],
                "height": layer.rgba.shape[0],
                "pixels": _layer_uri(layer),
            }
            for layer in scene.layers
        ],
        "edges": [[names[i], names[j]] for i, j in scene.graph.edges],
    }


def visible_text(text: str) -> str:
    """Text with what would not be seen, or would turn what stands beside it, written out.

    Control characters, marks of direction, line separators, halves of surrogate pairs. Joiners are
    part of letters and stay. As ``visible`` of the page's ``script.js`` does.
    """
    return "".join(_written_out(character) for character in text)


def _written_out(character: str) -> str:
    unseen = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    if not unseen or character in "\u200c\u200d":
        return character
    return character.encode("unicode_escape").decode("ascii")


def _photo_name(scene: LayeredScene) -> str:
    """The photo's name without its folders, also where Windows wrote them."""
    return re.split(r"[/\\]", scene.file_name)[-1]


def _layer_uri(layer: ObjectLayer) -> str | None:
    h, w = layer.rgba.shape[:2]
    if layer.rgba.size == 0:
        return None
    below = np.zeros((h, w, 3), np.uint8)
    below[..., 0] = layer.rgba[..., 3]
    below[..., 1] = 255 * layer.modal_mask.crop((layer.x0, layer.y0, layer.x0 + w, layer.y0 + h))
    return _png_uri(np.concatenate([layer.rgba[..., :3], below]))


def _png_uri(rgb: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _script_safe_json(document: dict[str, Any]) -> str:
    """JSON that no name in it can make end its <script> element."""
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (ASSETS / name).read_text("utf-8")
