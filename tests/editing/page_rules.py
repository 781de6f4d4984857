"""Runs the rules of the HTML page without a browser: in V8 alone, which knows no document."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image
from py_mini_racer import MiniRacer

from deocclusion_d2.editing.html_page import ASSETS, SCRIPTS, scene_document
from deocclusion_d2.structures import LayeredScene

RULES = SCRIPTS[: SCRIPTS.index("list.js")]
"""The scripts that ask for no document until they are called: all but list and buttons."""

# What the page gets from the browser: decoded images, and a canvas, here one that shows nothing.
_STANDS_FOR_THE_BROWSER = """
let images, scene, edited, view;
decodePixels = async (uri) => Uint8ClampedArray.from(images[uri]);
globalThis.ImageData = class {
  constructor(width, height) { this.data = new Uint8ClampedArray(4 * width * height); }
};
const canvas = { getContext: () => ({ putImageData() {} }) };
const overlay = { setAttribute() {} };
const entries = new Map();
let full = false;
const storage = {
  getItem: (key) => entries.get(key) ?? null,
  setItem(key, value) {
    if (full && key.includes("edits")) throw new Error("QuotaExceededError");
    entries.set(key, value);
  },
  removeItem: (key) => entries.delete(key),
};

async function openScene(document) {
  scene = await decodeScene(document);
  edited = new EditHistory(firstState(scene));
  view = new PictureView(scene, canvas, overlay);
}

function shown() {
  view.show(edited.state);
  const { placed, hides, byHand, stack } = edited.state;
  const pairs = (edges) => [...edges].flatMap(([a, others]) => [...others].map((b) => [a, b]));
  return {
    placed: Object.fromEntries(placed), stack, edges: pairs(hides), by_hand: pairs(byHand),
    can_undo: edited.canUndo, can_redo: edited.canRedo,
    pixels: Array.from(view.image.data), owner: Array.from(view.owner),
    script: editScript(scene, edited.edits),
  };
}
"""


def start_v8() -> MiniRacer:
    """V8 with the scripts, put together as the page puts them together."""
    v8 = MiniRacer()
    text = "\n".join((ASSETS / name).read_text("utf-8") for name in RULES)
    v8.eval(f'"use strict";\n{text}')
    v8.eval(_STANDS_FOR_THE_BROWSER)
    return v8


class PageRules:
    """The page of one scene: what its edits make of it. One at a time."""

    def __init__(self, v8: MiniRacer, scene: LayeredScene) -> None:
        self.v8 = v8
        self.size = (scene.height, scene.width)
        document = scene_document(scene)
        uris = [entry["pixels"] for entry in document["objects"]] + [
            document["background"],
            document["photo"],
        ]
        images = {uri: _canvas_bytes(uri) for uri in uris if uri is not None}
        v8.eval(f"images = {json.dumps(images)}; openScene({json.dumps(document)})")
        self.read()

    def read(self) -> None:
        """Take over what the page shows now, drawn upon what it showed before.

        Sets ``pixels`` (H, W, 3) uint8, ``owner`` (H, W) int: the row of the object that is seen,
        -1 where none is; ``placed``, by name; ``stack``; ``edges`` and ``by_hand``, sets of pairs;
        ``can_undo``, ``can_redo``; ``edits``, those of the script, and ``script``, its text.
        """
        shown = self.v8.execute("shown()")
        rgba = np.array(shown["pixels"], np.uint8).reshape(*self.size, 4)
        self.pixels = rgba[..., :3]
        self.owner = np.array(shown["owner"]).reshape(self.size)
        self.placed, self.stack = shown["placed"], shown["stack"]
        self.edges = {(a, b) for a, b in shown["edges"]}
        self.by_hand = {(a, b) for a, b in shown["by_hand"]}
        self.can_undo, self.can_redo = shown["can_undo"], shown["can_redo"]
        self.script = shown["script"]
        self.edits = json.loads(self.script)["edits"]

    def edit(self, *edits: dict, joined: bool = False) -> None:
        for edit in edits:
            self.v8.eval(f"edited.apply({json.dumps(edit)}, {json.dumps(joined)})")
        self.read()

    def load(self, text: str) -> str:
        """Load a script.

        Returns:
            Why it is refused, or "".
        """
        refusal = self.v8.execute(
            f"""(() => {{
                try {{ edited.load(readScript(scene, {json.dumps(text)}), "loaded"); }}
                catch (error) {{ return error.message; }}
                return "";
            }})()"""
        )
        self.read()
        return refusal

    def reload(self, full: bool = False, refused: bool = False) -> bool:
        """What a reload does: keep, forget, take up; in a storage that stands for the browser's.

        Args:
            full: there is no room in the storage.
            refused: the browser gives none.

        Returns:
            Whether the edits were kept.
        """
        kept = self.v8.execute(
            f"""(() => {{
                full = {json.dumps(full)};
                globalThis.window = {{ get localStorage() {{
                    if ({json.dumps(refused)}) throw new Error("SecurityError");
                    return storage;
                }} }};
                const keeper = new KeptEdits(scene, openStorage());
                const wrote = keeper.works && keeper.write(edited, false);
                edited = keeper.read()?.history ?? new EditHistory(firstState(scene));
                return wrote;
            }})()"""
        )
        self.read()
        return kept

    def undo(self) -> str:
        """Returns what the page says that was undone."""
        return self._step("undo")

    def redo(self) -> str:
        return self._step("redo")

    def reset(self) -> None:
        self.v8.eval("edited.reset()")
        self.read()

    def ask(self, function: str, *arguments: Any) -> Any:
        """Call a function of the page about the scene in its present state."""
        listed = ", ".join(["scene", "edited.state", *map(json.dumps, arguments)])
        return self.v8.execute(f"{function}({listed})")

    def _step(self, name: str) -> str:
        text = self.v8.execute(f"edited.{name}()")
        self.read()
        return text


def _canvas_bytes(uri: str) -> list[int]:
    """RGBA as a canvas gives it back for an image without alpha."""
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
        return np.asarray(image.convert("RGBA")).ravel().tolist()
