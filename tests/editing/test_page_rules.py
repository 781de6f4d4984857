"""The rules of the HTML page, in V8 alone: order, history and pixels against the Python program.

No browser is needed, so these tests run everywhere; what only a browser has, such as buttons, the
canvas and files, is in test_page_in_browser.py.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from py_mini_racer import MiniRacer

from deocclusion_d2.editing import SceneEditor, apply_edits, read_edit_script
from deocclusion_d2.editing.composition import OPAQUE, foremost, front_to_back
from deocclusion_d2.editing.fingerprint import scene_fingerprint
from deocclusion_d2.editing.html_page import visible_text
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import LayeredScene, ObjectLayer
from deocclusion_d2.visualization.samples import line_opacity
from tests.editing.page_rules import PageRules, start_v8
from tests.editing.scenes import (
    box,
    boxes_and_beams,
    circle,
    layered_scene,
    row_of_cars,
    tangle,
    with_completions,
)
from tests.editing.slow_composition import EditedScene, slow_order


def soft_tangle() -> LayeredScene:
    """Alpha on both sides of what counts as solid."""
    scene, _ = tangle(2)
    random = np.random.default_rng(0)
    for layer in scene.layers:
        alpha = layer.rgba[..., 3]
        alpha[:] = np.where(alpha > 0, random.choice([1, 127, 128, 255], alpha.shape), 0)
    return scene


def with_photo() -> LayeredScene:
    """Soft edges, and the photo that they do not give again."""
    scene = boxes_and_beams()
    random = np.random.default_rng(1)
    scene.photo = random.integers(0, 256, scene.background.shape, dtype=np.uint8)
    return scene


def tangle_with_photo() -> LayeredScene:
    scene = soft_tangle()
    scene.photo = np.random.default_rng(2).integers(0, 256, scene.background.shape, dtype=np.uint8)
    return scene


SCENES = {
    "photo": with_photo,
    "photo_of_tangle": tangle_with_photo,
    "cars": lambda: row_of_cars()[0],
    "circle": lambda: circle()[0],
    "tangle": lambda: tangle(3)[0],
    "soft": soft_tangle,
    "boxes": boxes_and_beams,
}


@pytest.fixture(scope="module")
def v8() -> Iterator[MiniRacer]:
    started = start_v8()
    yield started
    started.close()


# ------------------------------------------------------------------ order


def test_the_order_of_random_graphs(v8: MiniRacer) -> None:
    """Cycles among them, and every preference."""
    random = np.random.default_rng(0)
    names = [f"n{i}" for i in range(9)]
    for density in np.linspace(0.05, 0.6, 40):
        edges = [
            pair if random.random() < 0.7 else pair[::-1]
            for pair in itertools.combinations(names, 2)
            if random.random() < density
        ]
        preference = random.permutation(names).tolist()
        hides = [[a, [y for x, y in edges if x == a]] for a in names]
        place = (
            "((hides, names) => placement(new Map(hides.map(([a, b]) => [a, new Set(b)])), names))"
        )
        stack = v8.call(place, hides, preference)
        assert stack == front_to_back(edges, preference) == slow_order(set(edges), preference)
        assert v8.call(place, hides, stack) == stack


@pytest.mark.parametrize("name", SCENES)
def test_the_first_state(v8: MiniRacer, name: str) -> None:
    scene = SCENES[name]()
    page, editor = PageRules(v8, scene), SceneEditor(scene)
    assert page.stack == editor.names == EditedScene(scene).stack
    assert page.edges == editor.state.edges and page.by_hand == set()
    assert page.edits == [] and not page.can_undo and not page.can_redo


# ------------------------------------------------------------------ picture


@pytest.mark.parametrize("seed", range(6))
def test_the_unedited_picture_is_the_photo(v8: MiniRacer, seed: int) -> None:
    scene, photo = tangle(seed)
    np.testing.assert_array_equal(PageRules(v8, scene).pixels, photo)


@pytest.mark.parametrize("make", [boxes_and_beams, with_photo])
def test_blending_and_leaving_the_image(v8: MiniRacer, make) -> None:
    """Against the slow drawing; two objects have soft edges."""
    scene = make()
    page, slow = PageRules(v8, scene), EditedScene(scene)
    for edit in (
        {"op": "move", "object": "box-0", "dx": -40, "dy": 50},
        {"op": "move", "object": "beam-2", "dx": 30, "dy": -40},
        {"op": "move", "object": "box-2", "dx": -90, "dy": 0},
        {"op": "hide", "object": "beam-1"},
        {"op": "in_front", "object": "box-0"},
        {"op": "move", "object": "beam-2", "dx": 10**9, "dy": 0},
    ):
        before = page.pixels
        page.edit(edit)
        np.testing.assert_array_equal(page.pixels, slow.apply([edit]).draw(), str(edit))
        if edit["op"] != "in_front":
            assert (page.pixels != before).any()


def test_the_photo_is_shown_until_something_is_edited(v8: MiniRacer) -> None:
    scene = with_photo()
    page = PageRules(v8, scene)
    np.testing.assert_array_equal(page.pixels, scene.photo)
    move = {"op": "move", "object": "box-0", "dx": 3, "dy": 0}
    page.edit(move)
    # box-0 stood at x 30-57, y 40-76, and stands 3 px further to the right; 2 px around it count.
    edited = np.zeros((96, 160), bool)
    edited[38:78, 28:62] = True
    np.testing.assert_array_equal(page.pixels[~edited], scene.photo[~edited])
    assert (page.pixels != scene.photo).any(axis=2)[edited].mean() > 0.95
    # Back at its place it is as before.
    page.edit({**move, "dx": -3})
    np.testing.assert_array_equal(page.pixels, scene.photo)


def test_an_order_set_by_hand_counts_for_more_than_the_photo(v8: MiniRacer) -> None:
    """a hides b already; set by hand, it does so also where the photo shows b."""
    scene, photo = circle()
    page = PageRules(v8, scene)
    page.edit({"op": "in_front", "object": "a", "of": "b"})
    assert page.by_hand == {("a", "b")} <= page.edges
    a, b = (layer.amodal_mask.to_array(24, 40) for layer in scene.layers[:2])
    changed = (page.pixels != photo).any(axis=2)
    assert changed.sum() > 20 and not (changed & ~(a & b)).any()
    page.undo()
    np.testing.assert_array_equal(page.pixels, photo)


# ------------------------------------------------------------------ edits


# How often a random test does each of these; the deletions leave at least one object.
ACTIONS = {"move": 10, "in_front": 6, "behind": 6, "toggle": 4, "delete": 2}
ACTIONS |= {"undo": 8, "redo": 5, "reset": 1}


def random_edit(op: str, page: PageRules, random: np.random.Generator) -> dict:
    name = str(random.choice(page.stack))
    if op == "move":
        dx, dy = (int(d) for d in random.integers(-6, 7, 2))
        return {"op": "move", "object": name, "dx": dx, "dy": dy}
    if op == "toggle":
        return {"op": "show" if page.placed[name]["hidden"] else "hide", "object": name}
    others = [other for other in page.stack if other != name]
    if op == "delete" or random.random() < 0.3 or not others:
        return {"op": op, "object": name}
    return {"op": op, "object": name, "of": str(random.choice(others))}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SCENES)
def test_random_edits(v8: MiniRacer, name: str, seed: int) -> None:
    scene = SCENES[name]()
    page, editor = PageRules(v8, scene), SceneEditor(scene)
    random = np.random.default_rng(seed)
    for action in random.permutation(np.repeat(list(ACTIONS), list(ACTIONS.values()))).tolist():
        if action == "undo":
            assert page.can_undo == editor.undo()
            if page.can_undo:
                page.undo()
        elif action == "redo":
            assert page.can_redo == editor.redo()
            if page.can_redo:
                page.redo()
        elif action == "reset":
            page.reset()
            editor.reset()
        else:
            edit = random_edit(action, page, random)
            page.edit(edit)
            apply_edits(editor, [edit])
        where = str(page.edits)
        state = editor.state
        assert page.stack == editor.names, where
        assert (page.edges, page.by_hand) == (state.edges, state.by_hand), where
        assert page.placed == {
            n: {"x": item.x, "y": item.y, "hidden": item.hidden}
            for n, item in state.objects.items()
        }
        # Drawn upon the picture before, and only where something changed.
        np.testing.assert_array_equal(page.pixels, editor.compose(), where)
        from_script = SceneEditor(scene)
        apply_edits(from_script, page.edits)
        assert from_script.names == page.stack, where
        np.testing.assert_array_equal(page.pixels, from_script.compose(), where)
        np.testing.assert_array_equal(page.owner, rows_seen(scene, editor), where)


def rows_seen(scene: LayeredScene, editor: SceneEditor) -> np.ndarray:
    """(H, W) int: the row of the object whose solid pixel is seen, -1 where there is none."""
    state = editor.state
    solid = []
    for sprite in state.sprites():
        rgba = sprite.rgba.copy()
        rgba[rgba[..., 3] < OPAQUE] = 0
        solid.append(replace(sprite, rgba=rgba))
    places = foremost((scene.height, scene.width), solid, state.edges, state.by_hand)
    row_of = {layer.name: row for row, layer in enumerate(scene.layers)}
    return np.array([*(row_of[sprite.name] for sprite in solid), -1])[places]


@pytest.mark.parametrize("seed", range(6))
def test_who_is_in_front_of_whom(v8: MiniRacer, seed: int) -> None:
    """For the list and its buttons: by the edge, else by what is seen of the pixels in common."""
    random = np.random.default_rng(seed)
    edits = []
    if seed < 4:
        scene, _ = circle()
        for name in "abc":  # none leaves the image
            dx, dy = (int(d) for d in random.integers(-2, 3, 2))
            edits.append({"op": "move", "object": name, "dx": dx, "dy": dy})
    else:
        scene, _ = tangle(seed)
        scene.graph.graph.clear_edges()  # only the photo knows
    page = PageRules(v8, scene)
    page.edit(*edits)
    related = {name: page.ask("relatedObjects", name) for name in page.stack}
    contents = {layer.name: shown_alone(layer, page) for layer in scene.layers}
    for first, second in itertools.permutations(page.stack, 2):
        hide = [{"op": "hide", "object": n} for n in page.stack if n not in (first, second)]
        picture = EditedScene(scene).apply([*edits, *hide]).draw()
        common = (contents[first][..., 3] > 0) & (contents[second][..., 3] > 0)
        mine, others = (
            int((common & (picture == contents[name][..., :3]).all(axis=2)).sum())
            for name in (first, second)
        )
        assert mine + others == common.sum() > 0
        assert page.ask("commonPixels", first, second) == [mine, others]
        assert page.ask("overlap", first, second)
        if seed < 4:
            in_front = (first, second) in page.edges
        elif mine != others:
            in_front = mine > others
        else:
            in_front = page.stack.index(first) < page.stack.index(second)
        assert page.ask("isInFront", first, second) == in_front
        assert (first in related[second]["occluders"]) == in_front
        assert (first in related[second]["occludees"]) == (not in_front)


def test_without_an_edge_the_one_that_the_photo_shows_is_in_front(v8: MiniRacer) -> None:
    scene, photo = row_of_cars()
    scene.graph.graph.clear_edges()
    page = PageRules(v8, scene)
    np.testing.assert_array_equal(page.pixels, photo)
    assert page.stack == ["car-2", "car-1", "car-0"]  # by their lower edges, against the photo
    assert page.ask("isInFront", "car-0", "car-1") and not page.ask("isInFront", "car-1", "car-0")
    assert page.ask("relatedObjects", "car-1") == {"occluders": ["car-0"], "occludees": ["car-2"]}
    # Moved, nothing speaks against the stack.
    page.edit({"op": "move", "object": "car-0", "dx": 1, "dy": 0})
    assert page.ask("isInFront", "car-1", "car-0") and not page.ask("isInFront", "car-0", "car-1")


def shown_alone(layer: ObjectLayer, page: PageRules) -> np.ndarray:
    """(H, W, 4) uint8: an object where it stands now, wholly inside the image."""
    h, w = layer.rgba.shape[:2]
    x, y = page.placed[layer.name]["x"], page.placed[layer.name]["y"]
    whole = np.zeros((*page.size, 4), np.uint8)
    whole[y : y + h, x : x + w] = layer.rgba
    return whole


def test_a_pair_that_the_graph_orders_is_related_while_it_touches(v8: MiniRacer) -> None:
    """Its hidden part may be too small to have been completed."""
    masks = {"a": box(2, 4, 10, 12), "b": box(10, 4, 20, 12)}
    top = np.full((24, 40), -1)
    for row, mask in enumerate(masks.values()):
        top[mask] = row
    page = PageRules(v8, layered_scene(masks, top, [("b", "a")])[0])
    assert page.ask("relatedObjects", "a") == {"occluders": ["b"], "occludees": []}
    assert page.ask("relatedObjects", "b") == {"occluders": [], "occludees": ["a"]}
    page.edit({"op": "move", "object": "b", "dx": 1, "dy": 0})
    assert page.ask("relatedObjects", "a") == {"occluders": [], "occludees": []}


def test_the_nearest_of_those_that_hide_an_object_comes_last(v8: MiniRacer) -> None:
    """The buttons Forward and Backward take that one."""
    scene, _ = row_of_cars()
    page = PageRules(v8, scene)
    page.edit(
        {"op": "move", "object": "car-0", "dx": 10, "dy": 2},
        {"op": "move", "object": "car-2", "dx": -10, "dy": 0},
    )
    assert page.stack == ["car-0", "car-1", "car-2"]
    assert page.ask("relatedObjects", "car-2")["occluders"] == ["car-0", "car-1"]
    assert page.ask("relatedObjects", "car-0")["occludees"] == ["car-2", "car-1"]
    page.edit({"op": "hide", "object": "car-1"})
    assert page.ask("relatedObjects", "car-2")["occluders"] == ["car-0"]


# ------------------------------------------------------------------ history, script


def test_undo_redo_reset(v8: MiniRacer) -> None:
    scene, photo = row_of_cars()
    page = PageRules(v8, scene)
    move = {"op": "move", "object": "car-0", "dx": 5, "dy": 0}
    delete = {"op": "delete", "object": "car-2"}
    page.edit(move, delete)
    assert (page.can_undo, page.can_redo) == (True, False)
    assert page.undo() == "car-2 deleted" and page.edits == [move]
    assert page.undo() == "car-0 moved" and page.edits == []
    np.testing.assert_array_equal(page.pixels, photo)
    assert (page.can_undo, page.can_redo) == (False, True)
    assert page.redo() == "car-0 moved" and page.redo() == "car-2 deleted"
    assert page.edits == [move, delete] and not page.can_redo
    page.reset()
    np.testing.assert_array_equal(page.pixels, photo)
    assert page.edits == []
    assert page.undo() == "reset" and page.edits == [move, delete]
    page.undo()
    page.edit({"op": "hide", "object": "car-1"})  # a new edit forgets what was undone
    assert page.edits == [move, {"op": "hide", "object": "car-1"}] and not page.can_redo


def test_a_key_held_down_is_one_step(v8: MiniRacer) -> None:
    page = PageRules(v8, row_of_cars()[0])
    up, right = ({"op": "move", "object": "car-0", "dx": x, "dy": y} for x, y in ((0, -1), (1, 0)))
    page.edit(up, right)
    page.edit(right, right, joined=True)
    assert page.edits == [{**up, "dx": 3}]
    page.undo()
    assert page.edits == [up]
    # Another object, or another edit before it, begins a new step.
    other = {**right, "object": "car-1"}
    page.edit(other, joined=True)
    page.edit({"op": "hide", "object": "car-1"})
    page.edit(other, joined=True)
    assert page.undo() == "car-1 moved" and page.undo() == "car-1 hidden"
    assert page.undo() == "car-1 moved" and page.edits == [up]


def test_the_script_joins_moves_and_leaves_out_those_that_end_where_they_began(
    v8: MiniRacer, tmp_path: Path
) -> None:
    page = PageRules(v8, row_of_cars()[0])
    move = {"op": "move", "object": "car-0", "dx": 3, "dy": -2}
    back = {**move, "dx": -3, "dy": 2}
    other = {**move, "object": "car-1"}
    page.edit(move, other, move, back, other, {"op": "hide", "object": "car-1"}, other)
    expected = [move, {**other, "dx": 6, "dy": -4}, {"op": "hide", "object": "car-1"}, other]
    assert page.edits == expected
    path = tmp_path / "edits.json"
    path.write_text(page.script, "utf-8")
    assert read_edit_script(path) == expected and page.script.endswith("}\n")


# ------------------------------------------------------------------ scripts that are loaded


def script_of(scene: LayeredScene, edits: list, **more: object) -> str:
    return json.dumps({"version": 1, "edits": edits, **more})


def test_a_loaded_script_takes_the_place_of_the_edits_and_can_be_undone(v8: MiniRacer) -> None:
    scene, _ = row_of_cars()
    page = PageRules(v8, scene)
    hide = {"op": "hide", "object": "car-1"}
    page.edit(hide)
    loaded = [
        {"op": "move", "object": "car-0", "dx": 4, "dy": 1},
        {"op": "delete", "object": "car-2"},
    ]
    assert page.load("\ufeff" + script_of(scene, loaded)) == ""
    assert page.edits == loaded
    np.testing.assert_array_equal(page.pixels, EditedScene(scene).apply(loaded).draw())
    assert page.undo() == "loaded" and page.edits == [hide]
    assert page.redo() == "loaded" and page.edits == loaded
    # A key that is held down does not go on with a move of the script.
    page.load(script_of(scene, loaded[:1]))
    page.edit({**loaded[0], "dx": 1}, joined=True)
    page.undo()
    assert page.edits == loaded[:1]


def test_the_saved_script_is_loaded_back_by_its_own_scene_alone(
    v8: MiniRacer, tmp_path: Path
) -> None:
    scene = row_of_cars()[0]
    page = PageRules(v8, scene)
    page.edit(
        {"op": "move", "object": "car-0", "dx": 4, "dy": 1}, {"op": "hide", "object": "car-2"}
    )
    path, edits, text = tmp_path / "edits.json", page.edits, page.script
    path.write_text(text, "utf-8")
    assert json.loads(text)["scene"] == scene_fingerprint(scene)
    assert read_edit_script(path, scene) == edits
    page.reset()
    assert page.load(text) == "" and page.edits == edits
    # The same objects in another photo.
    other = row_of_cars()[0]
    other.background = other.background.copy()
    other.background[0, 0] ^= 1
    page = PageRules(v8, other)
    page.edit({"op": "hide", "object": "car-1"})
    assert "made for another scene" in page.load(text)
    assert page.edits == [{"op": "hide", "object": "car-1"}]
    with pytest.raises(UserError, match=r"edits\.json: was made for another scene"):
        read_edit_script(path, other)


def test_swapped_objects_stand_where_the_program_puts_them(v8: MiniRacer) -> None:
    scene = boxes_and_beams()
    edits = [
        {"op": "swap", "object": "box-0", "with": "beam-1"},
        {"op": "swap", "object": "beam-1", "with": "box-2"},
    ]
    page, editor = PageRules(v8, scene), SceneEditor(scene)
    apply_edits(editor, edits)
    assert page.load(script_of(scene, edits)) == ""
    np.testing.assert_array_equal(page.pixels, editor.compose())


MOVE = {"op": "move", "object": "car-0", "dx": 1, "dy": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON file"),
        ("[1]", "not an edit script"),
        ('{"version": 1}', "not an edit script"),
        ('{"version": 2, "edits": []}', "version 2; this page reads 1"),
        ('{"edits": []}', "version nothing; this page reads 1"),
        ('{"version": 1, "edits": [], "__proto__": 1}', 'unknown key "__proto__"'),
        ('{"version": 1, "edits": [], "scene": "00ff"}', "made for another scene"),
        ([MOVE, 5], "edit 2: not an edit"),
        ([{"op": "toString", "object": "car-0"}], 'edit 1: unknown op "toString"'),
        ([{"op": "scale", "object": "car-0", "factor": 2}], "edit 1: the page cannot scale"),
        ([{"op": "hide"}], 'edit 1 (hide): "object" is missing'),
        ([{"op": "hide", "object": "bus-7"}], 'edit 1 (hide): there is no object "bus-7"'),
        (
            [{"op": "hide", "object": ["car-0"]}],
            'edit 1 (hide): "object" is ["car-0"]; give a name',
        ),
        ([{**MOVE, "dx": 0.5}], 'edit 1 (move): "dx" is 0.5; give whole pixels'),
        ([{**MOVE, "dx": "1"}], 'edit 1 (move): "dx" is "1"; give whole pixels'),
        ([{**MOVE, "dx": 10**17}], 'edit 1 (move): "dx" is 100000000000000000; give whole'),
        ([{**MOVE, "by": 1}], 'edit 1 (move): unknown key "by"'),
        ([{"op": "behind", "object": "car-0", "of": "car-0"}], '"car-0" is named twice'),
        ([{"op": "delete", "object": "car-0"}, MOVE], 'edit 2 (move): there is no object "car-0"'),
        ([{"op": "hide", "object": "\u202e\n<b>"}], '"\\u202e\\n<b>"'),
        ([{"op": "hide", "object": "x" * 5000}], f'there is no object "{"x" * 56}...'),
    ],
)
def test_a_script_that_is_refused_changes_nothing(
    v8: MiniRacer, text: str | list, message: str
) -> None:
    scene = row_of_cars()[0]
    page = PageRules(v8, scene)
    page.edit(MOVE)
    page.edit({"op": "hide", "object": "car-1"})
    page.undo()
    before = page.edits, page.can_redo
    refusal = page.load(text if isinstance(text, str) else script_of(scene, text))
    assert message in refusal and "\n" not in refusal and len(refusal) < 200
    assert (page.edits, page.can_redo) == before


# ------------------------------------------------------------------ what the browser keeps


def test_a_reload_keeps_edits_and_what_can_be_undone(v8: MiniRacer) -> None:
    scene, photo = row_of_cars()
    page = PageRules(v8, scene)
    hide = {"op": "hide", "object": "car-1"}
    page.edit({"op": "delete", "object": "car-2"})
    page.load(script_of(scene, [MOVE, hide]))
    page.edit({**MOVE, "dx": 3}, hide)
    page.edit({**MOVE, "dx": 2})
    page.edit({**MOVE, "dx": 2}, joined=True)
    page.reset()
    page.undo()
    page.undo()
    before, pixels = (page.edits, page.stack, page.edges, page.placed), page.pixels
    assert page.reload()
    assert (page.edits, page.stack, page.edges, page.placed) == before
    np.testing.assert_array_equal(page.pixels, pixels)
    steps = [page.redo(), page.redo()]
    assert steps == ["car-0 moved", "reset"] and not page.can_redo and page.edits == []
    while page.can_undo:
        steps.append(page.undo())
    assert steps[2:] == ["reset", "car-0 moved", "car-1 hidden", "car-0 moved", "loaded"] + [
        "car-2 deleted"
    ]
    np.testing.assert_array_equal(page.pixels, photo)


def test_another_scene_never_gets_the_edits(v8: MiniRacer) -> None:
    """Though files may share one storage, and the objects have the same names."""
    first, second = row_of_cars()[0], row_of_cars()[0]
    x, y = second.layers[0].rgba.shape[1] // 2, second.layers[0].rgba.shape[0] // 2
    second.layers[0].rgba[y, x, 0] ^= 1
    page = PageRules(v8, first)
    page.edit(MOVE)
    page.reload()
    entries = json.loads(v8.execute("JSON.stringify([...entries])"))
    assert scene_fingerprint(first) in [key.split()[-1] for key, _ in entries]
    page = PageRules(v8, second)
    v8.eval("edited = new KeptEdits(scene, storage).read()?.history ?? edited")
    page.read()
    assert page.edits == []
    # A page made again of the first scene goes on.
    page = PageRules(v8, row_of_cars()[0])
    v8.eval("edited = new KeptEdits(scene, storage).read()?.history ?? edited")
    page.read()
    assert page.edits == [MOVE]


def test_a_browser_that_keeps_nothing_says_so(v8: MiniRacer) -> None:
    page = PageRules(v8, circle()[0])
    page.edit({"op": "hide", "object": "a"})
    v8.eval("entries.clear()")
    assert not page.reload(full=True) and page.edits == []
    page.edit({"op": "hide", "object": "a"})
    assert not page.reload(refused=True) and page.edits == []


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "null",
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "changes": [], "index": 1}',
        '{"version": 1, "changes": [{"edits": [{"op": "hide", "object": "z"}]}], "index": 0}',
    ],
)
def test_what_is_kept_is_checked_like_a_script(v8: MiniRacer, kept: str) -> None:
    PageRules(v8, circle()[0])
    v8.eval(f"entries.set(new KeptEdits(scene, storage).key, {json.dumps(kept)})")
    refused = "(() => { try { new KeptEdits(scene, storage).read(); } catch { return true; } })()"
    assert v8.execute(refused) is True


# ------------------------------------------------------------------ out of the picture, names


def test_an_object_that_has_left_the_picture_is_known_and_brought_back(v8: MiniRacer) -> None:
    scene = boxes_and_beams()  # 160 x 100
    page = PageRules(v8, scene)
    layer = next(layer for layer in scene.layers if layer.name == "box-0")
    width = layer.rgba.shape[1]
    assert not any(page.ask("isOutside", name) for name in page.stack)
    # One column is left, then none.
    page.edit({"op": "move", "object": "box-0", "dx": 1 - layer.x0 - width, "dy": 0})
    solid = (layer.rgba[:, -1, 3] >= OPAQUE).any()
    assert page.ask("isOutside", "box-0") == (not solid)
    page.edit({"op": "move", "object": "box-0", "dx": -1, "dy": 30})
    assert page.ask("isOutside", "box-0")
    back = page.ask("moveIntoPicture", "box-0")
    page.edit(back)
    bottom = page.placed["box-0"]["y"] + layer.rgba.shape[0]
    assert page.placed["box-0"]["x"] == 0 and bottom <= scene.height
    assert not page.ask("isOutside", "box-0")
    page.edit({"op": "move", "object": "box-0", "dx": 10**9, "dy": -(10**9)})
    page.edit(page.ask("moveIntoPicture", "box-0"))
    assert page.placed["box-0"] == {"x": scene.width - width, "y": 0, "hidden": False}


def test_an_object_beside_the_picture_by_its_shape_alone_is_outside(v8: MiniRacer) -> None:
    """Its window reaches into the picture, none of its pixels does."""
    mask = np.zeros((24, 40), bool)
    mask[10:20, 10:12] = mask[18:20, 10:30] = True  # an L
    scene = layered_scene({"l": mask}, np.where(mask, 0, -1), [])[0]
    page = PageRules(v8, scene)
    page.edit({"op": "move", "object": "l", "dx": -15, "dy": 14})
    assert page.placed["l"] == {"x": -5, "y": 24, "hidden": False}
    assert page.ask("isOutside", "l")
    page.edit({"op": "move", "object": "l", "dx": 0, "dy": -8})  # its foot is under the picture
    assert page.placed["l"]["y"] == 16 and page.ask("isOutside", "l")
    page.edit({"op": "move", "object": "l", "dx": 5, "dy": 0})
    assert not page.ask("isOutside", "l")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("car-0", "car-0"),
        ("\u732b-0", "\u732b-0"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("a\x1b[31m\nb\x7f", "a\\x1b[31m\\nb\\x7f"),
        ("x\u2028y\u2066z\ufeff", "x\\u2028y\\u2066z\\ufeff"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("\U000e0041", "\\U000e0041"),
        ("<script>\"'&", "<script>\"'&"),
    ],
)
def test_what_cannot_be_seen_of_a_name_is_written_out(
    v8: MiniRacer, name: str, expected: str
) -> None:
    assert v8.call("visible", name) == visible_text(name) == expected


# ------------------------------------------------------------------ outlines


@pytest.mark.parametrize("seed", range(5))
def test_outlines_run_around_the_mask(v8: MiniRacer, seed: int) -> None:
    """A pixel is inside where an odd number of the path's upright lines lie to its left."""
    random = np.random.default_rng(seed)
    mask = random.random((7, 9)) < 0.2 + 0.15 * seed
    inside = "((rows) => outlinePath(9, 7, (x, y) => rows[y][x]))"
    path = v8.call(inside, mask.tolist())
    crossed = np.zeros((7, 10), int)
    for part in path.removesuffix("Z").replace("M", "").split("Z"):
        points = [tuple(map(int, point.split())) for point in part.split("L")]
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            assert (x0 == x1) != (y0 == y1)
            crossed[min(y0, y1) : max(y0, y1), x0] += x0 == x1
    np.testing.assert_array_equal(crossed.cumsum(axis=1)[:, :9] % 2, mask)
    edges = np.pad(mask, ((0, 0), (1, 1))).astype(int)
    np.testing.assert_array_equal(crossed, abs(np.diff(edges, axis=1)))


# ------------------------------------------------------------------ other completions


def test_paths_of_completions(v8: MiniRacer) -> None:
    rings = [[-2, 1, 3, 4, -3], [0, 0, 1, 1, -1]]
    path = v8.execute(f"completionPath({json.dumps({'rings': rings, 'weight': 1})})")
    assert path == "M-2 1h3v4h-3ZM0 0h1v1h-1Z"


def test_weights_of_completions(v8: MiniRacer) -> None:
    for weight in (1.0, 0.5, 0.125, 1e-4):
        assert v8.execute(f"lineOpacity({weight})") == pytest.approx(line_opacity(weight))
    shares = [v8.execute(f"shareOfDraws({w})") for w in (1, 0.125, 1 / 3, 1e-5)]
    assert shares == ["100 %", "12.5 %", "33.3 %", "0.1 %"]


def shown_completions(v8: MiniRacer, *steps: str) -> list:
    """What is shown of three, and what is said, after each of some steps."""
    object_ = {"completions": [{"weight": w, "rings": []} for w in (0.5, 0.25, 0.125)]}
    return v8.execute(
        f"""(() => {{
            const shown = new ShownCompletions();
            const object = {json.dumps(object_)};
            shown.choose("a");
            const seen = [];
            for (const step of {json.dumps(steps)}) {{
                if (step === "toggle") shown.toggle();
                else if (step === "next") shown.step(3, 1);
                else if (step === "previous") shown.step(3, -1);
                else shown.choose(step);
                seen.push([shown.numbers(3), describeCompletions(object, shown)]);
            }}
            return seen;
        }})()"""
    )


ALL = [[0, 1, 2], "Other completions: 3"]


def test_completions_one_at_a_time(v8: MiniRacer) -> None:
    first, *_, third, again = shown_completions(v8, "next", "next", "next", "next")
    assert first == [[0], "Completion 1 of 3: 50 % of draws"]
    assert third == [[2], "Completion 3 of 3: 12.5 % of draws"]
    assert again == ALL
    back, before = shown_completions(v8, "previous", "previous")
    assert (back[0], before[0]) == ([2], [1])


def test_outlines_of_completions_go_and_come(v8: MiniRacer) -> None:
    one, off, on, all_again = shown_completions(v8, "next", "toggle", "toggle", "b")
    assert off == [[], "Other completions: 3"]
    assert on == one and all_again == ALL
    # A step brings them back where they were.
    *_, back = shown_completions(v8, "next", "toggle", "next")
    assert back == one


def test_no_completion_is_shown_of_an_object_that_the_pointer_passes(v8: MiniRacer) -> None:
    """While one of the chosen object's is shown alone."""
    numbers = "(() => { const s = new ShownCompletions(); s.step(3, 1); return s.numbers(0); })()"
    assert v8.execute(numbers) == []


def test_what_the_page_leaves_out_is_said(v8: MiniRacer) -> None:
    text = v8.execute(
        """describeCompletions(
            { completions: [{ weight: 1, rings: [] }], more_completions: 4 }, new ShownCompletions()
        )"""
    )
    assert text == "Other completions: 1 (4 rarer ones left out)"
    none = [v8.execute(f"describeCompletions({o}, new ShownCompletions())") for o in ("{}", "null")]
    assert none == ["Other completions: none"] * 2


def test_completions_change_neither_edits_nor_pixels(v8: MiniRacer) -> None:
    plain = PageRules(v8, row_of_cars()[0])
    pixels, script = plain.pixels, plain.script
    page = PageRules(v8, with_completions(row_of_cars()[0], "car-1", (6, 5, 10, 12)))
    np.testing.assert_array_equal(page.pixels, pixels)
    assert page.script == script
