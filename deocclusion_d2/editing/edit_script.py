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

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..decomposition import check_replaceable, load_layered_scene, save_layered_scene
from ..errors import UserError
from ..files import read_json_file, whole_file
from ..structures import LayeredScene
from .fingerprint import scene_fingerprint
from .html_page import scene_page
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

    Returns:
        The objects as ``describe_objects`` lists them.

    Raises:
        UserError: something cannot be read, edited or written. Nothing is written then.
    """
    folders = [folder for folder in (scene, save_scene) if folder is not None]
    for path, suffix in ((output, ".png"), (html, ".html")):
        if path is not None:
            _check_file(Path(path), suffix, folders)
    if save_scene is not None:
        check_replaceable(save_scene)
    loaded = load_layered_scene(scene)
    editor = SceneEditor(loaded)
    if script is not None:
        apply_edits(editor, read_edit_script(script, loaded), str(script))
    with ExitStack() as files:
        if output is not None:
            picture = Image.fromarray(editor.compose())
            picture.save(files.enter_context(whole_file(output)), "PNG")
        if html is not None:
            shown = loaded if script is None else editor.to_layered_scene()
            page = files.enter_context(whole_file(html))
            page.write_text(scene_page(shown), encoding="utf-8", newline="\n")
        # The files take their places last: a scene that cannot be saved leaves none of them.
        if save_scene is not None:
            save_layered_scene(editor.to_layered_scene(), save_scene)
    return describe_objects(editor)


# -------------------------------------------------------------------- checks


def _check_file(path: Path, suffix: str, scenes: list[str | Path]) -> None:
    """Whether a file of this kind may be written; a scene's folder takes no other files."""
    if path.suffix.lower() != suffix or path.is_dir():
        raise UserError(f"{path}: not a {suffix} file; give a file name that ends in {suffix}")
    for folder in scenes:
        if Path(folder).resolve() in path.resolve().parents:
            raise UserError(f"{path}: inside of {folder}, which holds the scene alone")


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
