"""Edit scripts: a JSON list of what to do with a scene.

::

    {"version": 1, "edits": [
        {"op": "delete", "object": "car-3"},
        {"op": "move", "object": "car-1", "dx": 40, "dy": -5},
        ...
    ]}

``OPERATIONS`` lists all operations and their keys. Distances and positions are whole pixels. A
script is checked whole before its first edit is made.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..decomposition import check_replaceable, load_layered_scene, save_layered_scene
from ..errors import UserError
from .scene_editor import SCRIPT_VERSION, SceneEditor, describe_objects


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max  # NaN is not


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
    return Key(argument, _is_whole, "a whole number of pixels", required)


def _number(argument: str, required: bool = True) -> Key:
    return Key(argument, _is_number, "a number", required)


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


def read_edit_script(path: str | Path) -> list[dict]:
    """Read and check an edit script.

    Returns:
        Its edits. Scenes that they insert from are named from where the program runs; the script
        names them from its own folder.

    Raises:
        UserError: naming the script, and the number of the edit where it is about one.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file: {error}") from error
    edits = _checked_script(document, str(path))
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
) -> str:
    """Edit a scene that lies in a folder, and write what became of it.

    Args:
        scene: what ``save_layered_scene`` wrote.
        script: edit script; without, nothing is edited.
        output: PNG file for the picture.
        save_scene: folder for the edited scene.

    Returns:
        The objects as ``describe_objects`` lists them.

    Raises:
        UserError: something cannot be read, edited or written. Nothing is written then.
    """
    if output is not None and (Path(output).suffix.lower() != ".png" or Path(output).is_dir()):
        raise UserError(f"{output}: not a PNG file; give a file name that ends in .png")
    if save_scene is not None:
        check_replaceable(save_scene)
        if output is not None and Path(save_scene).resolve() in Path(output).resolve().parents:
            raise UserError(f"{output}: inside of {save_scene}, which holds the scene alone")
    editor = SceneEditor(load_layered_scene(scene))
    if script is not None:
        apply_edits(editor, read_edit_script(script), str(script))
    if output is None:
        if save_scene is not None:
            save_layered_scene(editor.to_layered_scene(), save_scene)
        return describe_objects(editor)
    output = Path(output)
    unfinished = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            prefix=f".{output.name}.", dir=output.parent, delete=False
        ) as file:
            unfinished = Path(file.name)
            Image.fromarray(editor.compose()).save(file, "PNG")
        unfinished.chmod(0o644)
        # The picture takes its place last: a scene that cannot be saved leaves no picture either.
        if save_scene is not None:
            save_layered_scene(editor.to_layered_scene(), save_scene)
        os.replace(unfinished, output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
    return describe_objects(editor)


# -------------------------------------------------------------------- checks


def _checked_script(document: object, where: str) -> list[dict]:
    if not isinstance(document, dict) or not isinstance(document.get("edits"), list):
        raise UserError(f'{where}: not an edit script; write {{"version": 1, "edits": [...]}}')
    unknown = sorted(set(document) - {"version", "edits"})
    if unknown:
        raise UserError(f"{where}: unknown key {unknown[0]!r}; there are 'version' and 'edits'")
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
        found = "there is no 'op'" if op is None else f"unknown op {op!r}"
        raise UserError(f"{where}: {found}; there are {', '.join(OPERATIONS)}")
    keys = OPERATIONS[op]
    for key in edit:
        if key != "op" and key not in keys:
            raise UserError(f"{where} ({op}): unknown key {key!r}; there are {', '.join(keys)}")
    for key, rule in keys.items():
        if key not in edit:
            if rule.required:
                raise UserError(f"{where} ({op}): {key!r} is missing; give {rule.kind}")
        elif not rule.accepts(edit[key]):
            raise UserError(f"{where} ({op}): {key!r} is {edit[key]!r}; give {rule.kind}")
