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
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from ..decomposition import is_layered_scene, load_layered_scene
from ..errors import UserError
from ..files import base_name, whole_file
from ..outputs import Inputs, check_output_file, enclosing_scene
from ..structures import LayeredScene, ObjectLayer
from ..structures.mask_sample import merged_samples
from ..structures.outlines import rings_of
from .fingerprint import scene_fingerprint

ASSETS = Path(__file__).parent / "page"
SCRIPTS = (
    "composition.js",
    "state.js",
    "script.js",
    "history.js",
    "storage.js",
    "outline.js",
    "completions.js",
    "view.js",
    "list.js",
    "completions_panel.js",
    "controls.js",
)
"""In the order in which the page runs them: each uses only what stands before it."""

# Of scenes in which completions were drawn; pages of others do without.
_STYLE_OF_COMPLETIONS = "completions.css"
# Completions of an object that a page holds: more lines than this are a blur.
MOST_COMPLETIONS = 32

# What some system does not take in the name of a file.
_UNSAFE = re.compile(r'[\\/:*?"<>|]')


def write_scene_page(scene: LayeredScene, path: str | Path, overwrite: bool = False) -> None:
    """Write the page of a scene. The file appears complete, or not at all.

    Args:
        scene: what is edited. The page starts with the scene as it is.
        path: the HTML file. Its folder is made where it is missing.
        overwrite: replace an older page; else one that is the same already is left, and another
            refused.

    Raises:
        UserError: ``path`` cannot be written.
    """
    page = scene_page(scene)
    if not overwrite and _holds(path, page):
        return
    check_output_file(path, overwrite=overwrite, option="--html")
    with whole_file(path) as file:
        file.write_text(page, encoding="utf-8", newline="\n")


def check_scene_pages(
    pages: Mapping[Path, Path], inputs: Inputs | None = None, overwrite: bool = False
) -> None:
    """Find what would stop pages from being written, before their scenes are made.

    Args:
        pages: of every scene's folder, which need not be there yet, the HTML file.
        inputs: what is read to make the scenes.
        overwrite: replace older pages; else only one that shows its scene already may be there.

    Raises:
        UserError: naming the page.
    """
    folders = {os.path.realpath(folder) for folder in pages}
    for folder, page in pages.items():
        if os.path.realpath(page) in folders:
            raise UserError(f"{page}: is the folder of a scene; name another file as --html")
        around = enclosing_scene(page, [folder])
        if around is not None:
            raise UserError(f"{page}: inside of {around}, which holds the scene alone")
        done = is_layered_scene(folder) and not overwrite
        if not (done and page.is_file() and _holds(page, scene_page(load_layered_scene(folder)))):
            check_output_file(page, inputs, overwrite, "--html", (".html", ".htm"))


def scene_page(scene: LayeredScene) -> str:
    """The page of a scene as text."""
    document = scene_document(scene)
    style = _asset("page.css")
    if any("completions" in entry for entry in document["objects"]):
        style += _asset(_STYLE_OF_COMPLETIONS)
    parts = {
        "title": html.escape(visible_text(base_name(scene.file_name)) or "scene"),
        "style": style,
        "scene": _script_safe_json(document),
        "script": "\n".join(_asset(name) for name in SCRIPTS),
    }
    # In one pass: what is filled in is not searched for further placeholders.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page.html"))


def scene_document(scene: LayeredScene) -> dict[str, Any]:
    """What the page knows of a scene; ready for JSON.

    Images are data URIs of PNG files without alpha, because a browser's canvas multiplies colours
    by their alpha and so loses bits of them: ``background`` and ``photo`` hold RGB, the latter None
    for a scene without; ``pixels`` of an object is twice as high as the object, or None for an
    object without pixels. Above it holds RGB, below alpha in red and the modal mask, 0 or 255, in
    green. ``edges`` are [occluder, occludee] by name. Of the photo's path the page knows the last
    part alone.

    Objects of which completions were drawn that differ from the chosen one also have
    ``completions``, the heaviest first: ``weight``, and ``rings``, outlines of the whole object. A
    ring is [x, y, dx, dy, dx, ...]: its first corner, from the top left pixel of the object's
    window, and the steps from corner to corner, along x and y in turn; the last one is left out.
    ``more_completions`` says how many are left out beyond ``MOST_COMPLETIONS``.
    """
    names = [layer.name for layer in scene.layers]
    stem = visible_text(PurePath(base_name(scene.file_name)).stem)
    return {
        "fingerprint": scene_fingerprint(scene),
        "save_as": _UNSAFE.sub("_", stem) or "scene",
        "width": scene.width,
        "height": scene.height,
        "background": _png_uri(scene.background),
        "photo": None if scene.photo is None else _png_uri(scene.photo),
        "objects": [
            {
                "name": layer.name,
                "category": layer.category,
                "x": int(layer.x0),
                "y": int(layer.y0),
                "width": layer.rgba.shape[1],
                "height": layer.rgba.shape[0],
                "pixels": _layer_uri(layer),
                **_completions(layer),
            }
            for layer in scene.layers
        ],
        "edges": [[names[i], names[j]] for i, j in scene.graph.edges],
    }


def _holds(path: str | Path, page: str) -> bool:
    try:
        return Path(path).read_bytes() == page.encode("utf-8")
    except OSError:
        return False


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


def _layer_uri(layer: ObjectLayer) -> str | None:
    h, w = layer.rgba.shape[:2]
    if layer.rgba.size == 0:
        return None
    below = np.zeros((h, w, 3), np.uint8)
    below[..., 0] = layer.rgba[..., 3]
    below[..., 1] = 255 * layer.modal_mask.crop((layer.x0, layer.y0, layer.x0 + w, layer.y0 + h))
    return _png_uri(np.concatenate([layer.rgba[..., :3], below]))


def _completions(layer: ObjectLayer) -> dict[str, Any]:
    """The completions that were drawn and are not the chosen one; nothing where there are none."""
    others = [s for s in merged_samples(layer.samples) if s.mask != layer.amodal_mask]
    if not others:
        return {}
    shown = others[:MOST_COMPLETIONS]
    more = len(others) - len(shown)
    return {
        "completions": [
            {
                "weight": round(float(sample.weight), 6),
                "rings": [_steps(r - (layer.x0, layer.y0)) for r in rings_of(sample.mask)],
            }
            for sample in shown
        ],
        **({"more_completions": more} if more else {}),
    }


def _steps(ring: np.ndarray) -> list[int]:
    """A ring's first corner, and its steps along x and y in turn but for the last."""
    steps = np.diff(ring, axis=0)
    return [*ring[0].tolist(), *steps[np.arange(len(steps)), np.arange(len(steps)) % 2].tolist()]


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
