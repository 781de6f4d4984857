"""The tool as a user meets it: arguments, messages, exit codes, files."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.decomposition import load_layered_scene, save_layered_scene
from deocclusion_d2.editing import SceneEditor
from deocclusion_d2.editing.html_page import scene_page
from deocclusion_d2.files import file_sha256
from tests.editing.scenes import row_of_cars
from tests.helpers import leave_over, program_of

TOOL = Path(__file__).resolve().parents[2] / "tools" / "edit_scene.py"


@pytest.fixture(scope="module")
def main():
    return program_of(TOOL).main


@pytest.fixture
def work(tmp_path):
    """A folder with a scene and a script that moves one car and removes another."""
    save_layered_scene(row_of_cars()[0], tmp_path / "scene")
    edits = [
        {"op": "move", "object": "car-0", "dx": 20, "dy": 3},
        {"op": "delete", "object": "car-1"},
    ]
    (tmp_path / "edits.json").write_text(json.dumps({"version": 1, "edits": edits}))
    return tmp_path


def read(path):
    return np.array(Image.open(path))


def test_picture_and_scene(main, work, capsys):
    (work / "new").mkdir()
    left = [leave_over(work / "new" / "edited.png"), leave_over(work / "scene2")]
    main(
        ["--scene", str(work / "scene"), "--script", str(work / "edits.json")]
        + ["--output", str(work / "new" / "edited.png"), "--save-scene", str(work / "scene2")]
    )
    assert not any(path.exists() for path in left)
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {work / 'new' / 'edited.png'}",
        f"wrote {work / 'scene2'}",
    ]
    editor = SceneEditor(row_of_cars()[0])
    editor.move("car-0", 20, 3)
    editor.delete("car-1")
    assert np.array_equal(read(work / "new" / "edited.png"), editor.compose())
    saved = load_layered_scene(work / "scene2")
    assert np.array_equal(SceneEditor(saved).compose(), editor.compose())
    assert [p.name for p in (work / "new").iterdir()] == ["edited.png"]


def test_without_a_script_the_picture_is_the_photo(main, work):
    main(["--scene", str(work / "scene"), "--output", str(work / "photo.png")])
    assert np.array_equal(read(work / "photo.png"), row_of_cars()[1])
    # Yet it is not taken for the file that the photo was read from.
    scene, photo = row_of_cars()
    Image.fromarray(photo).save(work / "street.png")
    scene.description["photo_sha256"] = file_sha256(work / "street.png")
    save_layered_scene(scene, work / "known")
    for _ in range(2):
        main(["--scene", str(work / "known"), "--output", str(work / "photo.png"), "--overwrite"])


def test_list(main, work, capsys):
    main(["--scene", str(work / "scene"), "--list"])
    assert capsys.readouterr().out.splitlines() == [
        "car-0: 12 x 10 px at (2, 6); hides car-1",
        "car-1: 15 x 13 px at (9, 5), 26% hidden in its photo; hides car-2",
        "car-2: 16 x 16 px at (18, 4), 30% hidden in its photo",
    ]
    main(["--scene", str(work / "scene"), "--script", str(work / "edits.json"), "--list"])
    assert capsys.readouterr().out.splitlines()[0] == "car-0: 12 x 10 px at (22, 9)"


def test_the_page_shows_the_scene_as_loaded_or_as_edited(main, work, capsys):
    main(["--scene", str(work / "scene"), "--html", str(work / "page.html")])
    assert capsys.readouterr().out == f"wrote {work / 'page.html'}\n"
    assert (work / "page.html").read_text("utf-8") == scene_page(row_of_cars()[0])
    main(
        ["--scene", str(work / "scene"), "--script", str(work / "edits.json")]
        + ["--html", str(work / "page.html"), "--save-scene", str(work / "scene2"), "--overwrite"]
    )
    edited = load_layered_scene(work / "scene2")
    assert [layer.x0 for layer in edited.layers] == [22, 18]
    assert (work / "page.html").read_text("utf-8") == scene_page(edited)
    assert sorted(p.name for p in work.iterdir()) == ["edits.json", "page.html", "scene", "scene2"]


def test_a_scene_may_be_replaced_by_its_edited_self(main, work, capsys):
    arguments = ["--scene", str(work / "scene"), "--script", str(work / "edits.json")]
    (work / "link").symlink_to(work / "scene")
    for name in ("scene", "link"):
        with pytest.raises(SystemExit):
            main([*arguments, "--save-scene", str(work / name)])
        assert "is the scene that is edited: name another folder" in capsys.readouterr().err
    assert len(load_layered_scene(work / "scene").layers) == 3
    main([*arguments, "--save-scene", str(work / "link"), "--overwrite"])
    assert (work / "link").is_symlink()
    assert [layer.name for layer in load_layered_scene(work / "scene").layers] == ["car-0", "car-2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--script", "bad.json"], "bad.json: edit 2 (delete): there is no object 'cat-0'"),
        (["--script", "none.json"], "none.json: there is no such file"),
        (["--scene", "photos"], "photos: not a layered scene"),
        (["--save-scene", "photos"], "photos: exists and is no layered scene"),
        (["--output", "edited.jpg"], "edited.jpg: not a .png file"),
        (["--output", "scene2/edited.png"], "scene2/edited.png: inside of scene2"),
        (["--output", "scene/edited.png"], "scene/edited.png: inside of scene"),
        (["--html", "page.htm"], "page.htm: not a .html file"),
        (["--html", "scene/page.html"], "scene/page.html: inside of scene"),
        (["--html", "photos/holiday.txt/page.html"], "photos/holiday.txt is no folder"),
        (["--output", "photos/holiday.txt/edited.png"], "photos/holiday.txt is no folder"),
    ],
)
def test_an_error_is_one_line_and_nothing_is_written(
    main, work, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(work)
    edits = [{"op": "delete", "object": "car-1"}, {"op": "delete", "object": "cat-0"}]
    (work / "bad.json").write_text(json.dumps({"version": 1, "edits": edits}))
    (work / "photos").mkdir()
    (work / "photos" / "holiday.txt").write_text("keep me")
    before = sorted(work.rglob("*"))
    given = {"--scene": "scene", "--output": "edited.png", "--save-scene": "scene2"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    with pytest.raises(SystemExit) as end:
        main([part for pair in given.items() for part in pair])
    printed = capsys.readouterr()
    assert end.value.code == 1 and printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert message in printed.err
    assert sorted(work.rglob("*")) == before


def test_no_output_is_an_input_or_replaces_anything_unasked(main, work, capsys, monkeypatch):
    monkeypatch.chdir(work)
    scene, photo = row_of_cars()
    Image.fromarray(photo).save("street.png")  # the photo's name, of a folder without its hash
    Image.fromarray(photo).save("renamed.png", compress_level=1)
    scene.description["photo_sha256"] = file_sha256(Path("renamed.png"))
    save_layered_scene(scene, "known")
    save_layered_scene(scene, "other")
    Path("page.html").write_text("<!DOCTYPE html>mine")
    Path("notes.png").write_text("mine")
    os.link("edits.json", "hard.html")
    insert = {"op": "insert", "scene": "other", "object": "car-1", "x": 9, "y": 9}
    Path("insert.json").write_text(json.dumps({"version": 1, "edits": [insert]}))
    before = {p: p.read_bytes() for p in work.rglob("*") if p.is_file()}
    for arguments, message in (
        ("--scene scene --output street.png --overwrite", "street.png is the scene's photo"),
        ("--scene known --output renamed.png --overwrite", "renamed.png is the scene's photo"),
        ("--scene known --output street.png", "street.png exists: pass --overwrite"),
        ("--scene scene --html page.html", "page.html exists: pass --overwrite"),
        ("--scene scene --output notes.png --overwrite", "notes.png exists and is no PNG file"),
        (
            "--scene scene --script edits.json --html hard.html --overwrite",
            "hard.html is the input",
        ),
        ("--scene scene --save-scene other", "other: there is a scene already"),
        ("--scene scene --script insert.json --save-scene other --overwrite", "other is one of"),
        ("--scene scene --script insert.json --html other/a.html", "inside of other"),
        (
            "--scene scene --output known/layers/car-0.png --overwrite",
            "known, which holds",
        ),
        ("--scene scene --save-scene scene/sub", "inside of scene"),
        ("--scene scene --save-scene a.png --output a.png", "a.png: is to be the scene's folder"),
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments.split())
        printed = capsys.readouterr()
        assert end.value.code == 1 and printed.err.count("\n") == 1 and message in printed.err
        assert {p: p.read_bytes() for p in work.rglob("*") if p.is_file()} == before
    main(["--scene", "scene", "--html", "page.html", "--overwrite"])
    main(
        [
            "--scene",
            "scene",
            "--script",
            "insert.json",
            "--save-scene",
            "new",
            "--html",
            "page.html",
            "--overwrite",
        ]
    )
    for text in (Path("new/graph.json").read_text(), Path("page.html").read_text()):
        assert str(work) not in text
    assert json.loads(Path("new/graph.json").read_text())["method"]["edits"][0]["scene"] == "other"


def test_nothing_to_do(main, work, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--scene", str(work / "scene"), "--script", str(work / "edits.json")])
    assert end.value.code == 2
    assert "give --list, --output, --html or --save-scene" in capsys.readouterr().err
