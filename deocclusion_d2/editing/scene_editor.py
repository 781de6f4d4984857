"""Edits a scene that was taken apart: ``SceneEditor``."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from operator import index
from pathlib import Path

import numpy as np

from ..decomposition import check_object_name, load_layered_scene
from ..decomposition.scene_folder import MAX_NAME_LENGTH
from ..errors import UserError
from ..structures import LayeredScene
from .layered_result import layered_result
from .scene_state import EditedObject, SceneState, picture_of

SCRIPT_VERSION = 1
# One edit's most; the total has a bound too.
MAX_FACTOR = 16.0


class SceneEditor:
    """The objects of one scene, to be moved about; the picture follows.

    An edit that is refused raises ``UserError`` and changes nothing. Objects are named as in
    ``LayeredScene``. Positions and distances are whole pixels, x to the right, y downwards, and may
    lie outside the image. An object stands on the bottom centre of its window, its *anchor*.

    After every edit the order from front to back is made anew: it follows the occlusion graph, and
    the order before where the graph leaves it open. Unedited, the picture is the photo to the bit.

    Args:
        scene: left unchanged.
    """

    def __init__(self, scene: LayeredScene) -> None:
        self.scene = scene
        self._history = [SceneState.of_scene(scene)]
        self._position = 0

    # ---------------------------------------------------------------- reading

    @property
    def state(self) -> SceneState:
        """Objects, edges and stack as they are now."""
        return self._history[self._position]

    @property
    def names(self) -> list[str]:
        """All objects, from front to back, hidden ones too."""
        return list(self.state.stack)

    def compose(self) -> np.ndarray:
        """The picture: (H, W, 3) uint8 RGB."""
        return picture_of(self.scene, self.state)

    def to_layered_scene(self) -> LayeredScene:
        """The edited scene as a scene of its own, whose picture is ``compose()`` to the bit.

        See ``layered_result``.
        """
        return layered_result(self.scene, self.state)

    def script(self, relative_to: str | Path | None = None) -> dict:
        """What was done, as an edit script (see ``edit_script``).

        Args:
            relative_to: folder the script is going to lie in; folders of other scenes are named
                relative to it. Without, they are named from the root.
        """
        edits = [dict(edit) for edit in self.state.edits]
        if relative_to is not None:
            for edit in edits:
                if edit["op"] == "insert":
                    edit["scene"] = os.path.relpath(edit["scene"], relative_to)
        return {"version": SCRIPT_VERSION, "edits": edits}

    # ---------------------------------------------------------------- history

    def undo(self) -> bool:
        """Take the last edit back; False when there is none."""
        if self._position == 0:
            return False
        self._position -= 1
        return True

    def redo(self) -> bool:
        """Do again what was taken back last; False when there is nothing, or an edit came since."""
        if self._position + 1 == len(self._history):
            return False
        self._position += 1
        return True

    def reset(self) -> None:
        """Back to the photo. ``undo`` takes it back like an edit."""
        self._push(self._history[0])

    # ---------------------------------------------------------------- edits

    def delete(self, name: str) -> None:
        """Remove an object and its edges: what it hid comes to light."""
        self._object(name)
        self._push(self.state.without(name), op="delete", object=name)

    def hide(self, name: str) -> None:
        """Leave an object out of the picture; it keeps its edges."""
        hidden = replace(self._object(name), hidden=True)
        self._push(self.state.with_objects(hidden), op="hide", object=name)

    def show(self, name: str) -> None:
        """Take back ``hide``."""
        shown = replace(self._object(name), hidden=False)
        self._push(self.state.with_objects(shown), op="show", object=name)

    def move(self, name: str, dx: int, dy: int) -> None:
        """Move an object."""
        dx, dy = index(dx), index(dy)
        old = self._object(name)
        moved = replace(old, x=old.x + dx, y=old.y + dy)
        self._push(self.state.with_objects(moved), op="move", object=name, dx=dx, dy=dy)

    def scale(self, name: str, factor: float) -> None:
        """Make an object ``factor`` times as large as it is, 0 < factor <= 16."""
        factor = _checked_factor(factor)
        scaled = self._object(name).scaled(factor)
        self._push(self.state.with_objects(scaled), op="scale", object=name, factor=factor)

    def in_front(self, name: str, of: str | None = None) -> None:
        """Bring an object in front of another, or of all others."""
        others = self._others(name, of)
        self._set_order("in_front", name, of, {(name, other) for other in others})

    def behind(self, name: str, of: str | None = None) -> None:
        """Bring an object behind another, or behind all others."""
        others = self._others(name, of)
        self._set_order("behind", name, of, {(other, name) for other in others})

    def swap(self, name: str, other: str) -> None:
        """Let two objects change places: each stands where the other stood. Edges stay."""
        self._others(name, other)
        first, second = self._object(name), self._object(other)
        state = self.state.with_objects(
            first.standing_at(second.anchor), second.standing_at(first.anchor)
        )
        self._push(state, **{"op": "swap", "object": name, "with": other})

    def duplicate(self, name: str, new_name: str | None = None, dx: int = 0, dy: int = 0) -> str:
        """Copy an object; the copy stands right in front of it in the stack and has no edges.

        Returns:
            The copy's name, ``new_name`` or "NAME-copy".
        """
        dx, dy = index(dx), index(dy)
        old = self._object(name)
        new_name = self._new_name(new_name, f"{name}-copy")
        copy = replace(old, name=new_name, x=old.x + dx, y=old.y + dy)
        state = self.state.with_new(copy, self.state.stack.index(name))
        self._push(state, op="duplicate", object=name, name=new_name, dx=dx, dy=dy)
        return new_name

    def insert(
        self,
        folder: str | Path,
        name: str,
        x: int,
        y: int,
        scale: float = 1.0,
        new_name: str | None = None,
    ) -> str:
        """Put an object of another scene in front of all others.

        Args:
            folder: what ``save_layered_scene`` wrote.
            name: the object's name there.
            x, y: where its anchor comes to stand.
            scale: 0 < scale <= 16, relative to its own photo.
            new_name: its name here; without, the one it had, numbered when it is taken.

        Returns:
            Its name here.
        """
        x, y, scale = index(x), index(y), _checked_factor(scale)
        layers = {layer.name: layer for layer in load_layered_scene(folder).layers}
        if name not in layers:
            raise UserError(f"{folder}: {_no_object(name, layers)}")
        new_name = self._new_name(new_name, name)
        inserted = replace(EditedObject.of_layer(layers[name]), name=new_name, inserted=True)
        inserted = inserted.scaled(scale).standing_at((x, y))
        self._push(
            self.state.with_new(inserted, 0),
            op="insert",
            scene=os.path.abspath(folder),
            object=name,
            name=new_name,
            x=x,
            y=y,
            scale=scale,
        )
        return new_name

    # ---------------------------------------------------------------- inside

    def _push(self, state: SceneState, **edit: object) -> None:
        if edit:
            state = replace(state, edits=(*self.state.edits, edit))
        del self._history[self._position + 1 :]
        self._history.append(state)
        self._position += 1

    def _set_order(self, op: str, name: str, of: str | None, edges: set[tuple[str, str]]) -> None:
        edit = {"op": op, "object": name} | ({} if of is None else {"of": of})
        self._push(self.state.with_edges(edges), **edit)

    def _object(self, name: str) -> EditedObject:
        try:
            return self.state.objects[name]
        except KeyError:
            raise UserError(_no_object(name, self.state.objects)) from None

    def _others(self, name: str, other: str | None) -> list[str]:
        """The one other object, or all others."""
        self._object(name)
        if other is None:
            return [key for key in self.state.objects if key != name]
        self._object(other)
        if other == name:
            raise UserError(f"{name!r} is named twice; name two different objects")
        return [other]

    def _new_name(self, wanted: str | None, default: str) -> str:
        taken = self.state.objects
        if wanted is not None:
            check_object_name(wanted)
            if wanted in taken:
                raise UserError(f"there is already an object {wanted!r}; choose another name")
            return wanted
        # Copies of copies would outgrow what a name can have.
        default = default[: MAX_NAME_LENGTH - 10].rstrip(". ")
        name, number = default, 1
        while name in taken:
            number += 1
            name = f"{default}-{number}"
        return name


def describe_objects(editor: SceneEditor) -> str:
    """The objects from front to back, one a line, and who hides whom, as text for a terminal."""
    state = editor.state
    lines = []
    for name in state.stack:
        item = state.objects[name]
        h, w = item.rgba.shape[:2]
        line = f"{name}: {w} x {h} px at ({item.x}, {item.y})"
        if item.layer.occlusion_rate > 0:
            line += f", {item.layer.occlusion_rate:.0%} hidden in its photo"
        if item.hidden:
            line += ", left out"
        hides = [other for other in state.stack if (name, other) in state.edges]
        if hides:
            line += f"; hides {', '.join(hides)}"
        lines.append(line)
    return "\n".join(lines)


def _checked_factor(factor: float) -> float:
    if not (math.isfinite(factor) and 0 < factor <= MAX_FACTOR):
        raise UserError(f"an object cannot be scaled by {factor}; give 0 < factor <= 16")
    return float(factor)


def _no_object(name: str, known: dict) -> str:
    listed = ", ".join(list(known)[:20]) + (", ..." if len(known) > 20 else "")
    return f"there is no object {name!r}; " + (f"there are {listed}" if known else "there is none")
