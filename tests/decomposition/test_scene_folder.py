"""A scene on disk: it comes back as it was, and damage is named in one line."""

import dataclasses
import functools
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.decomposition import (
    check_object_name,
    check_request,
    graph_document,
    is_layered_scene,
    load_layered_scene,
    save_layered_scene,
)
from deocclusion_d2.decomposition import scene_folder as module
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import MaskSample, OcclusionGraph, WindowMask
from tests.editing.scenes import circle, row_of_cars


@pytest.fixture
def folder(tmp_path):
    """car-0 before car-1 before car-2, on disk."""
    save_layered_scene(row_of_cars()[0], tmp_path / "scene")
    return tmp_path / "scene"


@pytest.fixture
def refuse(folder):
    """Change graph.json, and check that loading is refused with a message of one line."""

    def refuse(change, *parts):
        path = folder / "graph.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        _refused(lambda: load_layered_scene(folder), str(folder), *parts)

    return refuse


def _refused(work, *parts):
    with pytest.raises(UserError) as refusal:
        work()
    message = str(refusal.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    assert message.count("graph.json: ") <= 1


def _equal(first, second):
    assert np.array_equal(first.background, second.background)
    for old, new in zip(first.layers, second.layers, strict=True):
        assert np.array_equal(old.rgba, new.rgba)
        for key in ("name", "x0", "y0", "category_id", "category", "instance_id"):
            assert getattr(old, key) == getattr(new, key)
        assert old.modal_mask == new.modal_mask and old.amodal_mask == new.amodal_mask
    assert first.graph.edges == second.graph.edges
    assert first.graph.neighbour_pairs == second.graph.neighbour_pairs
    assert (first.file_name, first.description) == (second.file_name, second.description)


# ------------------------------------------------------------------ round trip


@pytest.mark.parametrize("make", [row_of_cars, circle])
def test_round_trip(make, tmp_path):
    scene, _ = make()
    scene.layers[0].name = "Straßenbahn 1"
    scene.layers[1].instance_id = "a7"
    save_layered_scene(scene, tmp_path / "new" / "scene")
    _equal(scene, load_layered_scene(tmp_path / "new" / "scene"))
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["scene"]


def test_an_object_without_a_visible_pixel_and_a_scene_without_objects(tmp_path):
    scene, _ = row_of_cars()
    scene.layers[2].modal_mask = WindowMask.empty()
    save_layered_scene(scene, tmp_path / "scene")
    _equal(scene, load_layered_scene(tmp_path / "scene"))
    scene.layers.clear()
    scene.graph = type(scene.graph)(0)
    save_layered_scene(scene, tmp_path / "scene", overwrite=True)
    _equal(scene, load_layered_scene(tmp_path / "scene"))


def test_graph_json_says_who_hides_whom(folder):
    document = json.loads((folder / "graph.json").read_text())
    assert document == json.loads(json.dumps(graph_document(row_of_cars()[0])))
    assert document["edges"] == [["car-0", "car-1"], ["car-1", "car-2"]]
    assert (document["height"], document["width"]) == (24, 40)
    # car-1 is 15 x 13 px, 195 in all, of which car-0 hides 5 x 10.
    car = document["objects"][1]
    assert (car["bbox"], car["layer"]) == ([9, 5, 15, 13], "layers/car-1.png")
    assert (car["modal_bbox"], car["occlusion_rate"]) == ([9, 5, 15, 13], round(50 / 195, 6))


def test_confidences_and_mutual_pairs(tmp_path):
    scene, _ = row_of_cars()
    scene.graph = OcclusionGraph(3)
    scene.graph.add_occlusion(0, 1, confidence=1 / 3)
    scene.graph.add_occlusion(1, 2)
    scene.graph.add_mutual(1, 0, (40.126, 50))
    save_layered_scene(scene, tmp_path / "scene")
    path = tmp_path / "scene" / "graph.json"
    document = json.loads(path.read_text())
    assert document["edges"] == [["car-0", "car-1"], ["car-1", "car-2"]]
    assert document["edge_confidences"] == [0.3333, None]
    assert document["mutual"] == [{"objects": ["car-0", "car-1"], "increments": [50.0, 40.13]}]
    graph = load_layered_scene(tmp_path / "scene").graph
    assert (graph.confidence(0, 1), graph.confidence(1, 2)) == (0.3333, None)
    assert graph.mutual_pairs == {(0, 1): (50.0, 40.13)}

    # A folder of an older version.
    del document["edge_confidences"], document["mutual"]
    path.write_text(json.dumps(document))
    graph = load_layered_scene(tmp_path / "scene").graph
    assert graph.edges == [(0, 1), (1, 2)] and graph.mutual_pairs == {}
    assert graph.confidence(0, 1) is None


# ------------------------------------------------------------------ what is never replaced


def with_samples():
    """car-1 with two completions, one of them the chosen one."""
    scene, _ = row_of_cars()
    wider = WindowMask.filled((8, 5, 24, 18))
    scene.layers[1].samples = [
        MaskSample(scene.layers[1].amodal_mask, 0.75),
        MaskSample(wider, 0.25),
    ]
    return scene


def test_samples_come_back(tmp_path):
    scene = with_samples()
    save_layered_scene(scene, tmp_path / "scene")
    read = load_layered_scene(tmp_path / "scene")
    assert [layer.samples for layer in read.layers] == [[], scene.layers[1].samples, []]
    assert graph_document(read) == graph_document(scene)
    # Objects without any have no key, and a scene without any is written as ever.
    assert ["samples" in entry for entry in graph_document(read)["objects"]] == [False, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda car: car.update(samples=7), "'samples': it is not a list"),
        (lambda car: car.update(samples=[7]), "'samples': 7 is not a mask with a weight"),
        (lambda car: car["samples"].pop(), "'samples': the weights add up to 0.75, not to 1"),
        (lambda car: car["samples"][0].pop("weight"), "'samples': 'weight' is missing"),
        (lambda car: car["samples"][0].update(weight=True), "'weight' is True, not a number"),
        (lambda car: car["samples"][0].update(weight=1.5), "'weight' is 1.5, not a number"),
        (lambda car: car["samples"][0]["segmentation"].update(size=[40, 24]), "of size [40, 24]"),
        (lambda car: car["samples"][0]["segmentation"].update(counts="a0"), "'samples': "),
        (lambda car: car["samples"][0]["segmentation"].update(counts=[[1]]), "'samples': "),
        (
            lambda car: car["samples"][0].update(
                segmentation=WindowMask.filled((0, 0, 2, 2)).to_rle(24, 40)
            ),
            "the modal mask reaches out of one",
        ),
    ],
)
def test_samples_that_are_damaged(tmp_path, change, message):
    folder = tmp_path / "scene"
    save_layered_scene(with_samples(), folder)
    document = json.loads((folder / "graph.json").read_text())
    change(document["objects"][1])
    (folder / "graph.json").write_text(json.dumps(document))
    _refused(lambda: load_layered_scene(folder), "object 'car-1'", message)


def test_an_older_scene_is_replaced_whole(folder):
    scene, _ = circle()
    _refused(lambda: save_layered_scene(scene, folder), str(folder), "--overwrite replaces it")
    _equal(load_layered_scene(folder), row_of_cars()[0])
    save_layered_scene(scene, folder, overwrite=True)
    assert sorted(p.name for p in (folder / "layers").iterdir()) == ["a.png", "b.png", "c.png"]
    assert [p.name for p in folder.parent.iterdir()] == ["scene"]


def test_a_folder_that_is_no_scene_is_never_replaced(folder, tmp_path):
    scene, _ = circle()
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "holiday.png").write_text("keep me")
    _refused(lambda: save_layered_scene(scene, photos), str(photos), "name another folder")
    file = tmp_path / "file"
    file.write_text("keep me")
    _refused(lambda: save_layered_scene(scene, file), str(file))
    # A graph.json of something else; a scene with other files in its folders.
    (photos / "graph.json").write_text('{"nodes": []}')
    replace = functools.partial(save_layered_scene, overwrite=True)
    _refused(lambda: replace(scene, photos), "not the graph.json of a layered scene")
    for extra in ("notes.txt", "layers/notes.txt", "layers/mine.png", "overview.png"):
        (folder / extra).write_text("keep me")
        _refused(lambda: replace(scene, folder), extra, "name another folder")
        (folder / extra).unlink()
    # A folder with something in it where one of our files was.
    (folder / "layers" / "car-1.png").rename(tmp_path / "car-1.png")
    (folder / "layers" / "car-1.png").mkdir()
    _refused(lambda: replace(scene, folder), "layers/car-1.png", "name another folder")
    (folder / "layers" / "car-1.png").rmdir()
    (tmp_path / "car-1.png").rename(folder / "layers" / "car-1.png")
    assert (photos / "holiday.png").read_text() == file.read_text() == "keep me"
    _equal(load_layered_scene(folder), row_of_cars()[0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "photos", "scene"]


def test_the_older_scene_stays_when_writing_fails(folder, monkeypatch):
    scene, _ = circle()

    def full(*_):
        raise OSError(28, "No space left on device")

    for what in ("fromarray", "Path.write_text"):
        with monkeypatch.context() as patch:
            owner = module.Path if "." in what else module.Image
            patch.setattr(owner, what.rpartition(".")[2], full)
            _refused(lambda: save_layered_scene(scene, folder, overwrite=True), "No space left")
        _equal(load_layered_scene(folder), row_of_cars()[0])
    rename = module.Path.rename

    def fail_for_new(path, target):
        if path.name == "new":
            full()
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(module.Path, "rename", fail_for_new)
        _refused(lambda: save_layered_scene(scene, folder, overwrite=True), "No space left")
    _equal(load_layered_scene(folder), row_of_cars()[0])
    assert os.listdir(folder.parent) == ["scene"]


def test_soft_edges_come_back_with_the_photo(tmp_path):
    scene, photo = row_of_cars()
    folder = tmp_path / "scene"
    save_layered_scene(scene, folder)
    # What older programs read, too.
    assert json.loads((folder / "graph.json").read_text())["version"] == 1
    assert load_layered_scene(folder).photo is None and not (folder / "photo.png").exists()
    scene.photo = photo
    scene.layers[0].rgba[:, 0, 3] = 90
    save_layered_scene(scene, folder, overwrite=True)
    assert json.loads((folder / "graph.json").read_text())["version"] == 2
    back = load_layered_scene(folder)
    _equal(scene, back)
    assert np.array_equal(back.photo, photo)
    Image.new("RGB", (40, 25)).save(folder / "photo.png")
    _refused(lambda: load_layered_scene(folder), str(folder / "photo.png"), "40 x 25 px", "40 x 24")
    (folder / "photo.png").unlink()
    _refused(lambda: load_layered_scene(folder), str(folder / "photo.png"), "No such")
    save_layered_scene(scene, folder, overwrite=True)  # a photo is no stranger to it
    with pytest.raises(ValueError, match="photo"):
        replace(scene, photo=photo[1:])


def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path):
    scene, _ = row_of_cars()
    scene.layers[1].name = "../car"
    _refused(lambda: save_layered_scene(scene, tmp_path / "scene"), "'../car' cannot be the name")
    scene, _ = row_of_cars()
    scene.layers[1].rgba = np.zeros((0, 0, 4), np.uint8)
    _refused(lambda: save_layered_scene(scene, tmp_path / "scene"), "'car-1' has no pixel")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ damage


def test_missing_files(folder):
    (folder / "layers" / "car-1.png").unlink()
    _refused(lambda: load_layered_scene(folder), str(folder / "layers" / "car-1.png"), "No such")
    (folder / "background.png").unlink()
    _refused(lambda: load_layered_scene(folder), str(folder / "background.png"), "No such")
    (folder / "graph.json").unlink()
    assert not is_layered_scene(folder)
    _refused(lambda: load_layered_scene(folder), str(folder), "not a layered scene")


def test_pictures_that_do_not_fit(folder):
    layer, background = folder / "layers" / "car-1.png", folder / "background.png"
    pixels = Image.open(layer)
    pixels.load()
    pixels.crop((0, 0, 14, 13)).save(layer)
    _refused(lambda: load_layered_scene(folder), str(layer), "[9, 5, 14, 13]", "[9, 5, 15, 13]")
    pixels.convert("RGB").save(layer)
    _refused(lambda: load_layered_scene(folder), str(layer), "RGB pixels where RGBA is expected")
    pixels.save(layer)
    whole = layer.read_bytes()
    for damaged in (b"", whole[:60], whole[: len(whole) // 2], b"not a picture"):
        layer.write_bytes(damaged)
        _refused(lambda: load_layered_scene(folder), str(layer))
    Image.new("RGB", (40, 25)).save(background)
    _refused(lambda: load_layered_scene(folder), str(background), "40 x 25 px", "40 x 24")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '"version"', "\x00", "[" * 100_000])
def test_graph_json_that_is_none(folder, text):
    (folder / "graph.json").write_text(text)
    _refused(lambda: load_layered_scene(folder), str(folder / "graph.json"))


@pytest.mark.parametrize("key", ["height", "objects", "edges", "neighbours"])
def test_graph_json_without_a_key(refuse, key):
    refuse(lambda d: d.pop(key), f"'{key}' is missing")


@pytest.mark.parametrize("key", ["name", "x0", "segmentation", "modal_segmentation", "category"])
def test_an_object_without_a_key(refuse, key):
    refuse(lambda d: d["objects"][1].pop(key), f"'{key}' is missing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(version=3), "version 3; this program reads 1 to 2"),
        (lambda d: d.update(version="1"), "version '1'; this program reads 1 to 2"),
        (lambda d: d["objects"][1].update(x0=10), "[10, 5, 15, 13]"),
        (lambda d: d["objects"][1].update(name="car-0"), "two objects have the same name"),
        (lambda d: d["objects"].pop(), "['car-1', 'car-2'] are not two objects"),
        (lambda d: d["edges"].append(["car-2", "car-9"]), "['car-2', 'car-9'] are not two"),
        (lambda d: d["edges"].append(["car-1", "car-1"]), "'car-1' stands there twice"),
        (lambda d: d["edges"].append(["car-1", "car-0"]), "its contrary"),
        (lambda d: d["edges"].append(["car-1"]), "['car-1'] are not two"),
        (lambda d: d["edges"].append(7), "edges: 7 are not two"),
        (lambda d: d.update(edge_confidences=[1]), "edge_confidences: 1 for 2 edges"),
        (lambda d: d.update(edge_confidences=[1, 2]), "confidence 2 is not in [0, 1]"),
        (lambda d: d.update(edge_confidences=[1, "x"]), "graph.json"),
        (lambda d: d.update(edge_confidences=7), "graph.json"),
        (lambda d: d.update(mutual=[{"objects": ["car-0"], "increments": [1, 2]}]), "are not two"),
        (lambda d: d.update(mutual=[{"objects": ["car-0", "car-1"]}]), "'increments' is missing"),
        (lambda d: d.update(mutual=[7]), "graph.json"),
        (lambda d: d.update(objects=7), "graph.json"),
        (lambda d: d.update(objects=[7]), "graph.json"),
        (lambda d: d["objects"][1]["segmentation"].update(size=[40, 24]), "'car-1'"),
        (lambda d: d["objects"][1]["segmentation"].update(counts="a0"), "'car-1'"),
        (lambda d: d["objects"][1].update(modal_segmentation="x"), "'car-1'"),
    ],
)
def test_graph_json_that_does_not_fit(refuse, change, message):
    refuse(change, "graph.json", message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(height=24.0), "'height' is 24.0, not a whole number"),
        (lambda d: d.update(height=10**30), "40 x 24 px"),
        (lambda d: d.update(width=True), "'width' is True, not a whole number"),
        (lambda d: d.update(width=float("nan")), "'width' is nan"),
        (lambda d: d.update(file_name=7), "'file_name' is 7, not text"),
        (lambda d: d.update(method=["edits"]), "'method' is ['edits'], not an object"),
        (lambda d: d.update(neighbours={}), "'neighbours' is {}, not a list"),
        (lambda d: d.update(mutual=7), "'mutual' is 7, not a list"),
        (
            lambda d: d.update(mutual=[{"objects": ["car-0", "car-1"], "increments": [1]}]),
            "increments [1] are not two numbers",
        ),
        (
            lambda d: d.update(mutual=[{"objects": ["car-0", "car-1"], "increments": [1, 1e999]}]),
            "increments [1, inf] are not two numbers",
        ),
        (lambda d: d["objects"][1].update(name=["car-1"]), "['car-1'] cannot be the name"),
        (lambda d: d["objects"][1].update(x0=9.0), "'x0' is 9.0"),
        (lambda d: d["objects"][1].update(category_id="1"), "'category_id' is '1'"),
        (lambda d: d["objects"][1].update(category=None), "'category' is None"),
        (lambda d: d["objects"][1].update(instance_id=[1]), "'instance_id' is [1]"),
        (
            lambda d: d["objects"][1].update(
                modal_segmentation=d["objects"][0]["modal_segmentation"]
            ),
            "'car-1': its modal mask reaches out of its amodal mask",
        ),
        (lambda d: d["objects"][1].update(layer="../../x.png"), "'layer' is '../../x.png'"),
        (lambda d: d["objects"][1].update(layer="layers/../x.png"), "'layer' is"),
        (lambda d: d["objects"][1].update(layer="/etc/passwd"), "'layer' is '/etc/passwd'"),
        (lambda d: d["objects"][1].update(layer=7), "'layer' is 7"),
    ],
)
def test_wrong_types_and_ways_out_of_the_folder(refuse, change, message):
    refuse(change, "graph.json", message)


def test_a_pipe_in_place_of_a_picture_is_not_waited_for(folder):
    for name in ("layers/car-1.png", "background.png"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        _refused(lambda name=name: load_layered_scene(folder), f"{folder / name}: not a file")


# ------------------------------------------------------------------ names


def test_files_fit_every_file_system(tmp_path):
    names = ["con", "Car", "car", "ＣＡＲ", "x" * 180, "猫" * 60 + "-1", "nul.a", "A\u0308", "Ä"]
    scene, _ = row_of_cars()
    first = scene.layers[0]
    scene.layers = [dataclasses.replace(first, name=name) for name in names]
    scene.graph = OcclusionGraph(len(names))
    save_layered_scene(scene, tmp_path / "scene")
    files = [p.stem for p in (tmp_path / "scene" / "layers").iterdir()]
    assert sorted(files) == sorted(
        ["_con", "Car", "car-2", "ＣＡＲ-3", "x" * 100, "猫" * 33, "_nul.a", "Ä", "Ä-2"]
    )
    assert [layer.name for layer in load_layered_scene(tmp_path / "scene").layers] == names


def test_the_photo_is_known_by_its_name_alone(tmp_path):
    for number, name in enumerate(["/home/me/street.png", "C:\\me\\street.png", "street.png"]):
        scene, _ = row_of_cars()
        scene.file_name = name
        folder = tmp_path / str(number)
        save_layered_scene(scene, folder)
        assert json.loads((folder / "graph.json").read_text())["file_name"] == "street.png"
    # An older version's folder.
    path = folder / "graph.json"
    path.write_text(path.read_text().replace('"street.png"', '"/home/me/street.png"'))
    assert load_layered_scene(folder).file_name == "street.png"


# ------------------------------------------------------------------ what was asked for


def test_a_finished_scene_is_known_by_its_request(tmp_path):
    wanted = {"photo_sha256": "a", "masks_sha256": "b", "method": "raw", "settings_sha256": "c"}
    folder = tmp_path / "scene"
    save_layered_scene(row_of_cars()[0], folder, request=wanted)
    check_request(folder, dict(reversed(wanted.items())))
    for change, message in (
        ({"photo_sha256": "x"}, "made with another photo: --overwrite"),
        ({"method": "nog", "masks_sha256": "x"}, "other masks and another method: "),
        ({"method": "nog", "settings_sha256": "x"}, "made with another method: "),
        ({"settings_sha256": "x"}, "made with other settings: "),
        ({"weights_sha256": "x"}, "made with other weights: "),
    ):
        _refused(lambda change=change: check_request(folder, wanted | change), message)
    _refused(lambda: check_request(folder, {"photo_sha256": "a"}), "other masks and another")
    many = wanted | {f"setting_{k}": k for k in "abcdef"}
    said = "another setting a and another setting b and another setting c and 3 more that differ:"
    _refused(lambda: check_request(folder, many), said)
    (folder / "layers" / "car-1.png").unlink()
    _refused(lambda: check_request(folder, wanted), "layers/car-1.png is missing")
    save_layered_scene(row_of_cars()[0], tmp_path / "older")
    _refused(lambda: check_request(tmp_path / "older", wanted), "does not say which photo, masks")


UNSAFE = [
    "", ".", "..", "../car-1", "a/b", "/etc/car", "a\\b", "C:car", "a\0b", "a\nb", ".car", "car.",
    " car", "car ", "a*", "a?", 'a"', "a<b", "a|b", "x" * 201, "\ud800", None, 7,
    "a\u202eb", "a\u2028b", "\x9b1m",
]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_no_file_should_have(refuse, name):
    refuse(lambda d: d["objects"][1].update(name=name), "cannot be the name of an object")


@pytest.mark.parametrize(
    "name", ["car-0", "traffic light-3", "st. nick-1", "ö", "x" * 200, "車-1", "हिन्दी-0"]
)
def test_names_that_are_fine(name):
    check_object_name(name)
