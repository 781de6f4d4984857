"""What edits do to the picture, and that it follows the graph."""

import numpy as np
import pytest

from deocclusion_d2.decomposition import load_layered_scene, save_layered_scene
from deocclusion_d2.editing import SceneEditor, describe_objects
from deocclusion_d2.errors import UserError
from tests.editing.scenes import (
    circle,
    layered_scene,
    noise,
    row_of_cars,
    tangle,
    with_completions,
)


def paint(scene, *names, at=None):
    """Layers painted over the background, the last name on top: an independent composition."""
    picture = scene.background.copy()
    for name in names:
        layer = next(layer for layer in scene.layers if layer.name == name)
        dx, dy = (at or {}).get(name, (0, 0))
        for row, column in np.argwhere(layer.rgba[..., 3] == 255):
            y, x = layer.y0 + row + dy, layer.x0 + column + dx
            if 0 <= y < scene.height and 0 <= x < scene.width:
                picture[y, x] = layer.rgba[row, column, :3]
    return picture


@pytest.fixture
def cars():
    scene, photo = row_of_cars()
    return SceneEditor(scene), scene, photo


# ------------------------------------------------------------------ unedited


@pytest.mark.parametrize("make", [row_of_cars, circle])
def test_the_unedited_picture_is_the_photo(make):
    scene, photo = make()
    before = scene.background.copy(), [layer.rgba.copy() for layer in scene.layers]
    editor = SceneEditor(scene)
    assert np.array_equal(editor.compose(), photo)
    assert np.array_equal(scene.background, before[0])
    assert all(np.array_equal(a.rgba, b) for a, b in zip(scene.layers, before[1], strict=True))


def test_no_stack_alone_gives_the_photo_of_a_circle():
    scene, photo = circle()
    assert [len(c) for c in scene.graph.cycles()] == [3]
    for order in ("abc", "bca", "cab", "acb", "bac", "cba"):
        assert not np.array_equal(paint(scene, *order), photo)


@pytest.mark.parametrize("seed", range(10))
def test_random_scenes_with_cycles_give_their_photo(seed):
    """Only the photo says who is in front where."""
    scene, photo = tangle(seed)
    editor = SceneEditor(scene)
    assert np.array_equal(editor.compose(), photo)
    for k in range(6):
        # A copy that stays where it is is hidden by what hides the original.
        editor.duplicate(f"thing-{k}")
    assert np.array_equal(editor.compose(), photo)


def test_the_stack_prefers_what_reaches_further_down(cars):
    editor, _, _ = cars
    assert editor.names == ["car-0", "car-1", "car-2"]  # the graph, against the bottom edges
    scene, _ = row_of_cars()
    scene.graph.graph.clear_edges()
    assert SceneEditor(scene).names == ["car-2", "car-1", "car-0"]


# ------------------------------------------------------------------ edits


def test_delete_shows_what_was_behind(cars):
    editor, scene, _ = cars
    editor.delete("car-1")
    assert np.array_equal(editor.compose(), paint(scene, "car-2", "car-0"))
    assert editor.names == ["car-0", "car-2"]
    assert not editor.state.edges


def test_deleting_all_leaves_the_background(cars):
    editor, scene, _ = cars
    for name in editor.names:
        editor.delete(name)
    assert np.array_equal(editor.compose(), scene.background)


def test_hide_and_show(cars):
    editor, scene, photo = cars
    editor.hide("car-0")
    assert np.array_equal(editor.compose(), paint(scene, "car-2", "car-1"))
    editor.show("car-0")
    assert np.array_equal(editor.compose(), photo)


def test_a_moved_object_keeps_its_place_in_the_order(cars):
    editor, scene, _ = cars
    editor.move("car-0", 16, 2)  # over car-1 and, for the first time, car-2
    at = {"car-0": (16, 2)}
    assert np.array_equal(editor.compose(), paint(scene, "car-2", "car-1", "car-0", at=at))
    editor.move("car-0", -40, 0)  # partly outside
    at = {"car-0": (-24, 2)}
    assert np.array_equal(editor.compose(), paint(scene, "car-2", "car-1", "car-0", at=at))


def test_a_hidden_part_that_moves_out_covers_what_its_object_is_in_front_of():
    scene, _ = circle()
    editor = SceneEditor(scene)
    editor.delete("c")
    # Without c there is no circle: a is in front of b with all it has, once it is elsewhere.
    editor.move("a", 3, 0)
    assert np.array_equal(editor.compose(), paint(scene, "b", "a", at={"a": (3, 0)}))


def test_in_front_and_behind_a_single_object(cars):
    editor, scene, photo = cars
    editor.in_front("car-1", of="car-0")
    assert editor.names == ["car-1", "car-0", "car-2"]
    assert editor.state.edges == {("car-1", "car-0"), ("car-1", "car-2")}
    # car-1 with all it has, also where the photo shows car-0.
    assert np.array_equal(editor.compose(), paint(scene, "car-2", "car-0", "car-1"))
    editor.behind("car-1", of="car-0")
    assert np.array_equal(editor.compose(), photo)


def test_in_front_and_behind_all(cars):
    editor, scene, _ = cars
    editor.in_front("car-2")
    assert editor.names == ["car-2", "car-0", "car-1"]
    assert np.array_equal(editor.compose(), paint(scene, "car-1", "car-0", "car-2"))
    editor.behind("car-0")
    assert editor.names == ["car-2", "car-1", "car-0"]
    assert np.array_equal(editor.compose(), paint(scene, "car-0", "car-1", "car-2"))


def test_an_order_that_makes_a_circle_holds_for_each_pair():
    """car-2 in front of car-0 closes the circle 0 -> 1 -> 2 -> 0."""
    scene, _ = row_of_cars()
    editor = SceneEditor(scene)
    editor.in_front("car-2", of="car-0")
    editor.move("car-2", -12, 4)  # now also where car-0 is
    picture = editor.compose()
    zero, one, two = (layer.amodal_mask.to_array(24, 40) for layer in scene.layers)
    two = np.roll(two, (4, -12), axis=(0, 1))
    at = {"car-2": (-12, 4)}
    for first, second, only in (
        ("car-2", "car-0", two & zero & ~one),
        ("car-0", "car-1", zero & one & ~two),
        ("car-1", "car-2", one & two & ~zero),
    ):
        assert only.any()
        expected = paint(scene, second, first, at=at)
        assert np.array_equal(picture[only], expected[only])


def test_swap_exchanges_bottom_centres(cars):
    editor, _, _ = cars
    before = {name: editor.state.objects[name].anchor for name in ("car-0", "car-2")}
    # car-0: columns 2 to 13, bottom edge 16; car-2: columns 18 to 33, bottom edge 20.
    assert before == {"car-0": (8, 16), "car-2": (26, 20)}
    editor.swap("car-0", "car-2")
    after = {name: editor.state.objects[name] for name in ("car-0", "car-2")}
    assert (after["car-0"].x, after["car-0"].y) == (20, 10)
    assert (after["car-2"].x, after["car-2"].y) == (0, 0)


def test_scaling_stands_still_and_back_to_one_is_exact(cars):
    editor, _, photo = cars
    for factor in (1.5, 0.5, 2.0, 1 / 1.5):
        editor.scale("car-1", factor)
        assert editor.state.objects["car-1"].anchor == (16, 18)
    editor.delete("car-1")
    editor.undo()
    assert editor.state.objects["car-1"].rgba.shape == (13, 15, 4)
    editor.reset()
    editor.scale("car-1", 4.0)
    editor.scale("car-1", 0.25)
    assert np.array_equal(editor.compose(), photo)
    editor.scale("car-1", 0.5)  # 13 x 15 -> 7 x 8
    item = editor.state.objects["car-1"]
    assert (item.x, item.y, *item.rgba.shape[:2]) == (12, 11, 7, 8)


def test_a_copy_stands_in_front_of_its_original(cars):
    editor, scene, _ = cars
    assert editor.duplicate("car-1", dx=2, dy=3) == "car-1-copy"
    assert editor.duplicate("car-1") == "car-1-copy-2"
    assert editor.names == ["car-0", "car-1-copy", "car-1-copy-2", "car-1", "car-2"]
    editor.delete("car-1-copy-2")
    editor.delete("car-0")
    moved = SceneEditor(scene)
    moved.delete("car-0")
    moved.move("car-1", 2, 3)
    original = SceneEditor(scene)
    original.delete("car-0")
    copied = np.roll(scene.layers[1].amodal_mask.to_array(24, 40), (3, 2), (0, 1))
    expected = np.where(copied[..., None], moved.compose(), original.compose())
    assert np.array_equal(editor.compose(), expected)


def test_insert_stands_where_it_is_put_in_front_of_all(cars, tmp_path):
    editor, _, photo = cars
    other, _ = circle()
    save_layered_scene(other, tmp_path / "other")
    assert editor.insert(tmp_path / "other", "b", 20, 18) == "b"
    layer = other.layers[1]
    h, w = layer.rgba.shape[:2]
    expected = photo.copy()
    window = expected[18 - h : 18, 20 - w // 2 : 20 - w // 2 + w]
    window[layer.rgba[..., 3] == 255] = layer.rgba[layer.rgba[..., 3] == 255][:, :3]
    assert np.array_equal(editor.compose(), expected)
    assert editor.insert(tmp_path / "other", "b", 0, 0, scale=0.5) == "b-2"
    assert editor.insert(tmp_path / "other", "b", 0, 0, new_name="plank") == "plank"
    editor.behind("b", of="car-2")
    # Behind the last, so behind all: what hides car-2 hides it too.
    assert editor.names[-1] == "b"


# ------------------------------------------------------------------ history, script


def test_undo_redo_reset(cars):
    editor, _, photo = cars
    assert not editor.undo() and not editor.redo()
    editor.move("car-0", 5, 0)
    moved = editor.compose()
    editor.delete("car-2")
    deleted = editor.compose()
    assert editor.undo() and np.array_equal(editor.compose(), moved)
    assert editor.redo() and np.array_equal(editor.compose(), deleted)
    editor.reset()
    assert np.array_equal(editor.compose(), photo) and editor.script()["edits"] == []
    assert editor.undo() and np.array_equal(editor.compose(), deleted)
    assert editor.undo() and editor.undo() and not editor.undo()
    editor.hide("car-1")
    assert not editor.redo()
    assert editor.script() == {"version": 1, "edits": [{"op": "hide", "object": "car-1"}]}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda e: e.delete("cat-0"), "no object 'cat-0'; there are car-0, car-1, car-2"),
        (lambda e: e.in_front("car-0", of="cat-0"), "no object 'cat-0'"),
        (lambda e: e.swap("car-0", "car-0"), "'car-0' is named twice"),
        (lambda e: e.behind("car-0", of="car-0"), "'car-0' is named twice"),
        (lambda e: e.scale("car-0", 0.0), "cannot be scaled by 0.0"),
        (lambda e: e.scale("car-0", 16.5), "cannot be scaled by 16.5"),
        (lambda e: e.scale("car-0", float("nan")), "cannot be scaled by nan"),
        (lambda e: e.scale("car-0", 0.01), "0.01 times its size"),
        (lambda e: e.duplicate("car-0", "car-1"), "already an object 'car-1'"),
        (lambda e: e.duplicate("car-0", "../car"), "cannot be the name"),
        (lambda e: e.insert("nowhere", "car-0", 0, 0), "nowhere: not a layered scene"),
    ],
)
def test_a_refused_edit_changes_nothing(cars, edit, message):
    editor, _, photo = cars
    with pytest.raises(UserError, match=message) as refusal:
        edit(editor)
    assert "\n" not in str(refusal.value)
    assert np.array_equal(editor.compose(), photo)
    assert editor.script()["edits"] == [] and not editor.undo()


def test_a_scaled_object_has_a_largest_size():
    scene, _ = layered_scene({"a": np.ones((70, 100), bool)}, np.zeros((70, 100), int), [])
    editor = SceneEditor(scene)
    editor.scale("a", 16)
    with pytest.raises(UserError, match="6400 x 4480 px"):
        editor.scale("a", 4)


# ------------------------------------------------------------------ as a scene again


def _all_edits(editor):
    editor.duplicate("car-1", "twin", dx=10, dy=-3)
    editor.scale("car-0", 1.7)
    editor.in_front("car-2", of="car-0")
    editor.move("car-2", -9, 1)
    editor.swap("twin", "car-1")
    editor.hide("car-1")


def test_the_edited_scene_is_a_scene_of_its_own(cars, tmp_path):
    editor, _, _ = cars
    _all_edits(editor)
    save_layered_scene(editor.to_layered_scene(), tmp_path / "edited")
    saved = load_layered_scene(tmp_path / "edited")
    assert [layer.name for layer in saved.layers] == ["car-0", "car-2", "twin"]
    assert [edit["op"] for edit in saved.description["edits"]] == [
        "duplicate", "scale", "in_front", "move", "swap", "hide",
    ]  # fmt: skip
    again = SceneEditor(saved)
    assert np.array_equal(again.compose(), editor.compose())
    total = np.zeros((24, 40), int)
    for layer in saved.layers:
        assert set(np.unique(layer.rgba[..., 3])) <= {0, 255}
        modal, amodal = (m.to_array(24, 40) for m in (layer.modal_mask, layer.amodal_mask))
        assert not (modal & ~amodal).any()
        total += modal
    assert total.max() == 1
    for name in again.names:
        again.delete(name)
    editor.reset()
    for name in editor.names:
        editor.delete(name)
    assert np.array_equal(again.compose(), editor.compose())


@pytest.mark.parametrize("make", [row_of_cars, circle])
def test_an_unedited_scene_comes_back_as_it_was(make):
    scene, _ = make()
    back = SceneEditor(scene).to_layered_scene()
    for old, new in zip(scene.layers, back.layers, strict=True):
        assert (old.name, old.x0, old.y0) == (new.name, new.x0, new.y0)
        assert np.array_equal(old.rgba, new.rgba)
        assert old.modal_mask == new.modal_mask and old.amodal_mask == new.amodal_mask
        assert old.instance_id == new.instance_id
    assert back.graph.edges == scene.graph.edges
    assert back.graph.neighbour_pairs == scene.graph.neighbour_pairs
    assert back.description == scene.description


def test_completions_go_with_their_object():
    """Of car-1, the chosen shape and one that is 4 px longer to the left."""
    scene = with_completions(row_of_cars()[0], "car-1", (5, 5, 9, 12))
    before = scene.layers[1].samples
    editor = SceneEditor(scene)
    assert editor.to_layered_scene().layers[1].samples == before
    editor.move("car-1", 3, 2)
    moved = editor.to_layered_scene().layers[1].samples
    assert [s.weight for s in moved] == [s.weight for s in before]
    assert [s.mask.xywh for s in moved] == [
        [x + 3, y + 2, w, h] for x, y, w, h in (s.mask.xywh for s in before)
    ]
    # They end at the image's border, where two can become one.
    editor.move("car-1", -12, 0)
    (only,) = editor.to_layered_scene().layers[1].samples
    assert only.weight == 1 and only.mask.x0 == 0
    editor.reset()
    editor.scale("car-1", 1.5)
    assert editor.to_layered_scene().layers[1].samples == []


def test_what_now_hides_another_is_in_front_of_it_from_now_on(cars, tmp_path):
    editor, _, _ = cars
    editor.duplicate("car-2", "twin", dx=-20, dy=-1)
    editor.in_front("twin", of="car-0")
    edited = SceneEditor(editor.to_layered_scene())
    # twin -> car-0 was set and car-0 -> car-1 was there; nothing else has to be added.
    assert edited.state.edges == {("car-0", "car-1"), ("car-1", "car-2"), ("twin", "car-0")}
    other, _ = circle()
    save_layered_scene(other, tmp_path / "other")
    editor.reset()
    editor.insert(tmp_path / "other", "a", 12, 12)
    edited = SceneEditor(editor.to_layered_scene())
    # It had no edge, but lies on car-0, and so before all that car-0 is before.
    assert {edge for edge in edited.state.edges if "a" in edge} == {("a", "car-0")}
    assert edited.names[0] == "a"


def test_what_leaves_the_image_is_cut_off_or_left_out(cars):
    editor, _, _ = cars
    editor.move("car-0", -8, 0)
    editor.move("car-2", 100, 0)
    saved = editor.to_layered_scene()
    assert [layer.name for layer in saved.layers] == ["car-0", "car-1"]
    assert (saved.layers[0].x0, saved.layers[0].rgba.shape) == (0, (10, 6, 4))
    assert np.array_equal(SceneEditor(saved).compose(), editor.compose())


def test_the_list_of_objects(cars):
    editor, _, _ = cars
    editor.hide("car-2")
    # car-1: 13 x 15 px, of which car-0 hides 10 x 5; car-2: 16 x 16, of which car-1 hides 13 x 6.
    assert describe_objects(editor).splitlines() == [
        "car-0: 12 x 10 px at (2, 6); hides car-1",
        "car-1: 15 x 13 px at (9, 5), 26% hidden in its photo; hides car-2",
        "car-2: 16 x 16 px at (18, 4), 30% hidden in its photo, left out",
    ]


def test_deterministic():
    pictures = []
    for _ in range(2):
        editor = SceneEditor(row_of_cars()[0])
        _all_edits(editor)
        pictures.append(editor.compose())
    assert np.array_equal(*pictures)
    assert not np.array_equal(pictures[0], noise(24, 40, 0))


# ------------------------------------------------------------------ soft edges


@pytest.fixture
def soft():
    """The cars with edges of alpha 90 and a photo of noise."""
    scene, _ = row_of_cars()
    for layer in scene.layers:
        layer.rgba[:, (0, -1), 3] = 90
    scene.photo = noise(24, 40, 77)
    return scene


def test_the_photo_is_shown_until_something_is_edited(soft):
    editor = SceneEditor(soft)
    assert np.array_equal(editor.compose(), soft.photo)
    editor.move("car-0", 1, 0)
    # car-0 stood at x 2-14, y 6-16; with what is 2 px around it, there and where it is now:
    edited = np.zeros((24, 40), bool)
    edited[4:18, 0:17] = True
    picture = editor.compose()
    assert np.array_equal(picture[~edited], soft.photo[~edited])
    assert (picture != soft.photo).any(axis=2)[edited].mean() > 0.9
    editor.move("car-0", -1, 0)
    assert np.array_equal(editor.compose(), soft.photo)
    editor.scale("car-1", 2.0)
    assert not np.array_equal(editor.compose(), soft.photo)
    editor.scale("car-1", 0.5)
    assert np.array_equal(editor.compose(), soft.photo)


def test_an_edited_scene_with_soft_edges_is_a_scene_of_its_own(soft, tmp_path):
    editor = SceneEditor(soft)
    editor.move("car-0", 6, 3)
    editor.hide("car-2")
    editor.duplicate("car-1", dx=9, dy=-2)
    picture = editor.compose()
    save_layered_scene(editor.to_layered_scene(), tmp_path / "scene")
    back = load_layered_scene(tmp_path / "scene")
    again = SceneEditor(back)
    assert np.array_equal(again.compose(), picture)
    # Edges stay soft: what is moved on takes no rim of the photo along.
    front = next(layer for layer in back.layers if layer.name == "car-0")
    assert np.array_equal(front.rgba, soft.layers[0].rgba)
    again.delete("car-0")
    edited = np.zeros((24, 40), bool)
    edited[7:21, 6:22] = True  # x 8-20, y 9-19, and 2 px around
    assert np.array_equal(again.compose()[~edited], picture[~edited])
