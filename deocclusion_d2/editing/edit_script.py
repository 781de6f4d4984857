"""Edit scripts: a JSON list of what to do with a scene.

::

    {"version": 1, "edits": [
        {"op": "delete", "object": "car-3"},
        {"op": "move", "object": "car-1", "dx": 40, "dy": -5},
        ...
    ]}

``OPERATIONS`` lists all operations and their keys. Distances and positions are whole pixels. A
script is checked whole before its first edit is made. It may name its scene by a key "scene"
(``scene_fingerprint``), as scripts of the page do: it is refused for any other one then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..decomposition import (
    check_replaceable,
    load_layered_scene,
    save_layered_scene,
)
from ..decomposition.scene_folder import PHOTO_KEY
from ..errors import UserError
from ..files import file_sha256, whole_file
from ..json_files import is_number, read_json_file
from ..outputs import Inputs, check_output_file, enclosing_scene, same_place
from ..structures import LayeredScene
from ..unfinished import clean_leftovers
from .fingerprint import scene_fingerprint
from .html_page import scene_page
from .scene_editor import SCRIPT_VERSION, SceneEditor, describe_objects

# In pixels; no photo is so large.
_FARTHEST = 10_000_000


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _FARTHEST


@dataclass(frozen=True)
class Key:
    """A key of an edit: the argument of ``SceneEditor``'s method it becomes, and what it holds."""

    argument: str
    accepts: Callable[[object], bool]
    kind: str
    required: bool = True


def _text(argument: str, required: bool = True) -> Key:
    return Key(argument, _is_text, "a name in quotes", required)


def _whole(argument: str, required: bool = True) -> Key:
    return Key(argument, _is_whole, f"a whole number of pixels, {_FARTHEST} at most", required)


def _number(argument: str, required: bool = True) -> Key:
    return Key(argument, is_number, "a number", required)


_OBJECT = {"object": _text("name")}
_NEW_NAME = {"name": _text("new_name", required=False)}

# An operation is the method of SceneEditor of the same name.
OPERATIONS: dict[str, dict[str, Key]] = {
    "delete": _OBJECT,
    "hide": _OBJECT,
    "show": _OBJECT,
    "move": _OBJECT | {"dx": _whole("dx"), "dy": _whole("dy")},
    "scale": _OBJECT | {"factor": _number("factor")},
    "in_front": _OBJECT | {"of": _text("of", required=False)},
    "behind": _OBJECT | {"of": _text("of", required=False)},
    "swap": _OBJECT | {"with": _text("other")},
    "duplicate": _OBJECT
    | _NEW_NAME
    | {"dx": _whole("dx", required=False), "dy": _whole("dy", required=False)},
    "insert": _OBJECT
    | _NEW_NAME
    | {
        "scene": _text("folder"),
        "x": _whole("x"),
        "y": _whole("y"),
        "scale": _number("scale", required=False),
    },
}


def read_edit_script(path: str | Path, scene: LayeredScene | None = None) -> list[dict]:
    """Read and check an edit script.

    Args:
        scene: what it is for; without, a script of any scene is read.

    Returns:
        Its edits. Scenes that they insert from are named from where the program runs; the script
        names them from its own folder.

    Raises:
        UserError: naming the script, and the number of the edit where it is about one.
    """
    path = Path(path)
    document = read_json_file(path)
    edits = _checked_script(document, str(path))
    if scene is not None and document.get("scene") not in (None, scene_fingerprint(scene)):
        raise UserError(
            f'{path}: was made for another scene; without its line "scene" it is tried all the same'
        )
    return [
        edit | {"scene": str(path.parent / edit["scene"])} if edit["op"] == "insert" else edit
        for edit in edits
    ]


def apply_edits(editor: SceneEditor, edits: Iterable[dict], script: str = "edits") -> None:
    """Make edits one after the other, all or none.

    Args:
        edits: as ``SceneEditor.script()["edits"]`` or ``read_edit_script`` gives them.
        script: what to call them in messages.

    Raises:
        UserError: naming the script and the number of the edit that cannot be made. The editor is
            as it was.
    """
    edits = list(edits)
    for number, edit in enumerate(edits, 1):
        _check_edit(edit, f"{script}: edit {number}")
    for number, edit in enumerate(edits, 1):
        keys = OPERATIONS[edit["op"]]
        arguments = {keys[key].argument: value for key, value in edit.items() if key != "op"}
        try:
            getattr(editor, edit["op"])(**arguments)
        except UserError as error:
            for _ in range(number - 1):
                editor.undo()
            raise UserError(f"{script}: edit {number} ({edit['op']}): {error}") from error


def edit_scene_folder(
    scene: str | Path,
    script: str | Path | None = None,
    output: str | Path | None = None,
    save_scene: str | Path | None = None,
    html: str | Path | None = None,
    overwrite: bool = False,
) -> str:
    """Edit a scene that lies in a folder, and write what became of it.

    Args:
        scene: what ``save_layered_scene`` wrote.
        script: edit script; without, nothing is edited.
        output: PNG file for the picture.
        save_scene: folder for the edited scene.
        html: HTML file for the page (``write_scene_page``) in which the scene is edited further:
            as it was loaded where there is no script, else as the script leaves it. The scripts
            that the page saves are then for ``save_scene``.
        overwrite: replace what is there. The scene itself may be replaced by its edited self; its
            photo, the script and scenes of which objects are inserted are never replaced.

    Returns:
        The objects as ``describe_objects`` lists them.

    Raises:
        UserError: something cannot be read, edited or written. Nothing is written then.
    """
    loaded = load_layered_scene(scene)
    edits = [] if script is None else read_edit_script(script, loaded)
    others = [edit["scene"] for edit in edits if edit["op"] == "insert"]
    inputs = Inputs([*([script] if script is not None else []), *others])
    if save_scene is not None:
        _check_scene_to_save(save_scene, scene, others, inputs, overwrite)
    scenes = [scene, *others, *([save_scene] if save_scene is not None else [])]
    for path, option, ending in ((output, "--output", ".png"), (html, "--html", ".html")):
        if path is not None:
            around = enclosing_scene(path, scenes)
            if around is not None:
                raise UserError(f"{path}: inside of {around}, which holds the scene alone")
            if save_scene is not None and same_place(path, save_scene):
                raise UserError(f"{path}: is to be the scene's folder; name another {option}")
            if os.path.isfile(path) and _is_photo(Path(path), loaded):
                raise UserError(f"{path} is the scene's photo: name another file as {option}")
            check_output_file(path, inputs, overwrite, option, (ending,))
    editor = SceneEditor(loaded)
    if script is not None:
        apply_edits(editor, edits, str(script))
    with ExitStack() as files:
        if output is not None:
            picture = Image.fromarray(editor.compose())
            # Marked, so that the picture of an unedited scene is not taken for its photo.
            mark = PngInfo()
            mark.add_text("Software", "deocclusion_d2")
            picture.save(files.enter_context(whole_file(output)), "PNG", pnginfo=mark)
        if html is not None:
            shown = loaded if script is None else editor.to_layered_scene()
            page = files.enter_context(whole_file(html))
            page.write_text(scene_page(shown), encoding="utf-8", newline="\n")
        # The files take their places last: a scene that cannot be saved leaves none of them.
        if save_scene is not None:
            save_layered_scene(editor.to_layered_scene(), save_scene, overwrite=overwrite)
    return describe_objects(editor)


# -------------------------------------------------------------------- checks


def _check_scene_to_save(
    folder: str | Path,
    scene: str | Path,
    others: Sequence[str],
    inputs: Inputs,
    overwrite: bool,
) -> None:
    if folder in inputs:
        raise UserError(f"{folder} is one of the inputs: name another folder as --save-scene")
    around = enclosing_scene(folder, [scene, *others])
    if around is not None:
        raise UserError(f"{folder}: inside of {around}, which holds the scene alone")
    held = inputs.inside(folder)
    if held is not None:
        raise UserError(f"{held} lies in {folder}: name another folder as --save-scene")
    clean_leftovers(Path(folder).parent, [Path(folder).name])
    if same_place(folder, scene) and not overwrite:
        raise UserError(
            f"{folder} is the scene that is edited: name another folder as --save-scene, or pass "
            "--overwrite to replace it"
        )
    check_replaceable(folder, overwrite)


def _is_photo(path: Path, scene: LayeredScene) -> bool:
    """Whether a file is the photo that a scene was made of; by its name, of older versions'."""
    known = scene.description.get(PHOTO_KEY)
    if known is None:
        return path.name == scene.file_name
    return file_sha256(path) == known


def _checked_script(document: object, where: str) -> list[dict]:
    if not isinstance(document, dict) or not isinstance(document.get("edits"), list):
        raise UserError(f'{where}: not an edit script; write {{"version": 1, "edits": [...]}}')
    unknown = sorted(set(document) - {"version", "scene", "edits"})
    if unknown:
        known = "'version', 'scene' and 'edits'"
        raise UserError(f"{where}: unknown key {unknown[0]!r}; there are {known}")
    if document.get("version") != SCRIPT_VERSION:
        found = document.get("version")
        raise UserError(f"{where}: 'version' is {found!r}; this program reads {SCRIPT_VERSION}")
    for number, edit in enumerate(document["edits"], 1):
        _check_edit(edit, f"{where}: edit {number}")
    return document["edits"]


def _check_edit(edit: object, where: str) -> None:
    """Operation, keys and types of one edit; not whether its objects are there."""
    if not isinstance(edit, dict):
        raise UserError(f'{where}: not an edit; write {{"op": ..., "object": ...}}')
    op = edit.get("op")
    if not isinstance(op, str) or op not in OPERATIONS:
        found = "there is no 'op'" if op is None else f"unknown op {op!r:.60}"
        raise UserError(f"{where}: {found}; there are {', '.join(OPERATIONS)}")
    keys = OPERATIONS[op]
    for key in edit:
        if key != "op" and key not in keys:
            raise UserError(f"{where} ({op}): unknown key {key!r:.60}; there are {', '.join(keys)}")
    for key, rule in keys.items():
        if key not in edit:
            if rule.required:
                raise UserError(f"{where} ({op}): {key!r} is missing; give {rule.kind}")
        elif not rule.accepts(edit[key]):
            raise UserError(f"{where} ({op}): {key!r} is {edit[key]!r:.60}; give {rule.kind}")
