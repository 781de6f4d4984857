"""Edit scripts: what they do, and what is said about bad ones."""

import json

import numpy as np
import pytest

from deocclusion_d2.decomposition import save_layered_scene
from deocclusion_d2.editing import SceneEditor, apply_edits, read_edit_script
from deocclusion_d2.errors import UserError
from tests.editing.scenes import circle, row_of_cars


@pytest.fixture
def write(tmp_path):
    def write(document):
        path = tmp_path / "scripts" / "edits.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


def _edits(tmp_path):
    """One of every operation."""
    save_layered_scene(circle()[0], tmp_path / "other", overwrite=True)
    return [
        {"op": "insert", "scene": "../other", "object": "b", "x": 20, "y": 18, "scale": 0.5},
        {"op": "insert", "scene": "../other", "object": "b", "name": "plank", "x": -2, "y": 9},
        {"op": "move", "object": "car-2", "dx": 4, "dy": -3},
        {"op": "scale", "object": "car-0", "factor": 2},
        {"op": "in_front", "object": "car-1", "of": "car-0"},
        {"op": "behind", "object": "b"},
        {"op": "in_front", "object": "car-2"},
        {"op": "behind", "object": "car-2", "of": "car-0"},
        {"op": "swap", "object": "car-0", "with": "plank"},
        {"op": "duplicate", "object": "car-2"},
        {"op": "duplicate", "object": "car-2", "name": "twin", "dx": -30, "dy": 1},
        {"op": "hide", "object": "car-1"},
        {"op": "hide", "object": "plank"},
        {"op": "show", "object": "plank"},
        {"op": "delete", "object": "car-2"},
    ]


def test_a_script_does_what_the_methods_do(write, tmp_path):
    path = write({"version": 1, "edits": _edits(tmp_path)})
    scripted, by_hand = SceneEditor(row_of_cars()[0]), SceneEditor(row_of_cars()[0])
    apply_edits(scripted, read_edit_script(path), str(path))
    by_hand.insert(tmp_path / "other", "b", 20, 18, 0.5)
    by_hand.insert(tmp_path / "other", "b", -2, 9, new_name="plank")
    by_hand.move("car-2", 4, -3)
    by_hand.scale("car-0", 2)
    by_hand.in_front("car-1", of="car-0")
    by_hand.behind("b")
    by_hand.in_front("car-2")
    by_hand.behind("car-2", of="car-0")
    by_hand.swap("car-0", "plank")
    by_hand.duplicate("car-2")
    by_hand.duplicate("car-2", "twin", -30, 1)
    by_hand.hide("car-1")
    by_hand.hide("plank")
    by_hand.show("plank")
    by_hand.delete("car-2")
    assert scripted.names == by_hand.names
    assert np.array_equal(scripted.compose(), by_hand.compose())
    # What an editor says it did is a script that does it again, from any folder.
    again = SceneEditor(row_of_cars()[0])
    script = scripted.script(relative_to=path.parent)
    assert [e["op"] for e in script["edits"]] == [e["op"] for e in _edits(tmp_path)]
    assert script["edits"][0]["scene"] == "../other"
    apply_edits(again, read_edit_script(write(script)))
    assert np.array_equal(again.compose(), scripted.compose())
    assert again.script() == scripted.script()


def test_edits_are_made_all_or_none():
    editor = SceneEditor(row_of_cars()[0])
    editor.move("car-0", 3, 3)
    before = editor.compose()
    edits = [
        {"op": "delete", "object": "car-1"},
        {"op": "move", "object": "car-1", "dx": 1, "dy": 1},
    ]
    with pytest.raises(UserError, match=r"^mine: edit 2 \(move\): there is no object 'car-1'; "):
        apply_edits(editor, edits, "mine")
    assert np.array_equal(editor.compose(), before)
    assert len(editor.script()["edits"]) == 1
    with pytest.raises(UserError, match="edit 2: unknown op 'fly'"):
        apply_edits(editor, [edits[0], {"op": "fly"}])
    assert np.array_equal(editor.compose(), before)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (7, "edit 2: not an edit"),
        ({}, "edit 2: there is no 'op'; there are delete, hide, show, move"),
        ({"op": "remove", "object": "car-0"}, "edit 2: unknown op 'remove'"),
        ({"op": ["delete"], "object": "car-0"}, "unknown op"),
        ({"op": "delete"}, "edit 2 (delete): 'object' is missing; give a name"),
        ({"op": "delete", "object": 3}, "'object' is 3; give a name"),
        ({"op": "delete", "object": ""}, "'object' is ''; give a name"),
        ({"op": "delete", "object": "car-0", "of": "car-1"}, "unknown key 'of'; there are object"),
        ({"op": "move", "object": "car-0", "dx": 1}, "'dy' is missing; give a whole number"),
        ({"op": "move", "object": "car-0", "dx": 1.5, "dy": 0}, "'dx' is 1.5; give a whole"),
        ({"op": "move", "object": "car-0", "dx": True, "dy": 0}, "'dx' is True; give a whole"),
        ({"op": "move", "object": "car-0", "dx": "1", "dy": 0}, "'dx' is '1'; give a whole"),
        ({"op": "move", "object": "car-0", "dx": 10**400, "dy": 0}, "pixels, 10000000 at most"),
        ({"op": "move", "object": "car-0", "dx": 0, "dy": -(10**7) - 1}, "'dy' is -10000001"),
        ({"op": "hide", "object": "car-0", "\x1b[2J": 1}, "unknown key '\\x1b[2J'"),
        ({"op": "\x1b[2J", "object": "car-0"}, "unknown op '\\x1b[2J'"),
        ({"op": "scale", "object": "car-0", "factor": "2"}, "'factor' is '2'; give a number"),
        ({"op": "scale", "object": "car-0", "factor": float("nan")}, "'factor' is nan"),
        ({"op": "scale", "object": "car-0", "factor": 10**400}, "'factor' is 1000"),
        ({"op": "in_front", "object": "car-0", "of": None}, "'of' is None; give a name"),
        ({"op": "swap", "object": "car-0"}, "'with' is missing"),
        ({"op": "insert", "object": "b", "x": 1, "y": 2}, "'scene' is missing"),
    ],
)
def test_a_bad_edit_is_named(write, edit, message):
    path = write({"version": 1, "edits": [{"op": "hide", "object": "car-0"}, edit]})
    with pytest.raises(UserError) as refusal:
        read_edit_script(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "not a JSON file"),
        ("[", "not a JSON file"),
        ([], "not an edit script"),
        ({"version": 1}, "not an edit script"),
        ({"version": 1, "edits": {}}, "not an edit script"),
        ({"edits": []}, "'version' is None; this program reads 1"),
        ({"version": 2, "edits": []}, "'version' is 2"),
        ({"version": 1, "edits": [], "edit": []}, "unknown key 'edit'"),
    ],
)
def test_a_file_that_is_no_script(write, document, message):
    path = write(document)
    with pytest.raises(UserError) as refusal:
        read_edit_script(path)
    assert str(refusal.value).startswith(f"{path}: ") and message in str(refusal.value)


def test_no_script(tmp_path):
    with pytest.raises(UserError, match="nothing.json: there is no such file"):
        read_edit_script(tmp_path / "nothing.json")


def test_what_only_the_scene_can_tell_is_named_too(write, tmp_path):
    for edit, message in (
        ({"op": "scale", "object": "car-0", "factor": -1}, "cannot be scaled by -1"),
        ({"op": "insert", "scene": "no", "object": "b", "x": 1, "y": 2}, "not a layered scene"),
        ({"op": "insert", "scene": "../other", "object": "z", "x": 1, "y": 2}, "no object 'z'"),
        ({"op": "duplicate", "object": "car-0", "name": "a/b"}, "'a/b' cannot be the name"),
    ):
        _edits(tmp_path)
        path = write({"version": 1, "edits": [edit]})
        with pytest.raises(UserError) as refusal:
            apply_edits(SceneEditor(row_of_cars()[0]), read_edit_script(path), str(path))
        assert str(refusal.value).startswith(f"{path}: edit 1 ({edit['op']}): ")
        assert message in str(refusal.value)
