"""Where the tools that evaluate and predict may write, and how all end when nothing is taken."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from deocclusion_d2 import cli
from deocclusion_d2.cli import (
    COMMANDS,
    compare_methods,
    deocclude,
    edit_scene,
    predict_modal_masks,
    visualize_training_samples,
)
from deocclusion_d2.errors import READER_GONE
from tests.helpers import program_of

ROOT = Path(__file__).resolve().parents[2]
QUICK = ROOT / "configs" / "quick_schedules"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (compare_methods, ["--config-file", "pcnet_m_kins", "--dataset", "coco:DATA"]),
        (predict_modal_masks, ["--config-file", "modal_unet_kins", "--dataset", "coco:DATA"]),
    ],
)
def test_outputs_are_no_inputs_and_replace_nothing_unasked(tool, arguments, tmp_path, capsys):
    data, older, photo = tmp_path / "d.json", tmp_path / "o.json", tmp_path / "photo.json"
    data.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    older.write_text("{}")
    photo.write_bytes(b"\xff\xd8\xff")
    (tmp_path / "link.json").symlink_to(data)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    arguments = [a.replace("DATA", str(data)) for a in arguments]
    for output, more, message in (
        ("d.json", ["--overwrite"], "d.json is the input"),
        ("link.json", ["--overwrite"], "link.json is the input"),
        ("o.json", [], "o.json exists: pass --overwrite"),
        ("photo.json", ["--overwrite"], "photo.json exists and is no JSON file"),
        ("o.json/x.json", [], "o.json is no folder"),
    ):
        with pytest.raises(SystemExit) as end:
            tool.main([*arguments, "--output", str(tmp_path / output), *more])
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert end.value.code == 1 and error.startswith("error: ") and message in error
        assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_picture_of_samples_is_never_drawn_over_a_photo(tmp_path, capsys):
    photo = tmp_path / "a.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\nphoto")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}],
        "annotations": [],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "d.json").write_text(json.dumps(document))
    config = str(QUICK / "pcnet_m_kitti_mots_quick.yaml")
    data = ["DATASETS.TRAIN", f"('coco:{tmp_path / 'd.json'}',)"]
    for more, message in (
        ([], "a.png exists: pass --overwrite"),
        (["--overwrite"], "a.png is one of the inputs"),
    ):
        with pytest.raises(SystemExit):
            visualize_training_samples.main(
                ["--config-file", config, "--output", str(photo), *more, *data]
            )
        assert message in capsys.readouterr().err
    assert photo.read_bytes().endswith(b"photo")


def ends(main, arguments, where: str) -> int:
    """The status with which a tool ends whose output goes to a full disk or to no reader."""
    if where == "full disk":
        stream = open("/dev/full", "w")  # noqa: SIM115
    else:
        reader, writer = os.pipe()
        os.close(reader)
        stream = open(writer, "w")  # noqa: SIM115
    with stream, contextlib.redirect_stdout(stream), pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


SAID = {"full disk": (1, "error: No space left on device\n"), "no reader": (READER_GONE, "")}


@pytest.mark.parametrize("where", SAID)
def test_every_tool_is_guarded_from_its_first_line_to_its_last(where, capsys):
    tools = [cli, *(importlib.import_module(f"{cli.__name__}.{m}") for m, _ in COMMANDS.values())]
    for path in sorted((ROOT / "datasets").glob("*.py")):
        tools.append(program_of(path))
    for tool in tools:
        # Help is printed before anything else is done. The guard's function is around all of it.
        ended = (ends(tool.main, ["--help"], where), capsys.readouterr().err)
        assert ended == SAID[where], tool.__name__
        assert tool.main.__wrapped__, tool.__name__


def test_what_a_tool_says_last(tmp_path, capsys):
    data = {
        "images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [1, 1, 5, 5],
                "area": 25,
                "segmentation": [[1, 1, 6, 1, 6, 6, 1, 6]],
            }
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "d.json").write_text(json.dumps(data))
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "b\x1b[31m\u202e.jpg").write_bytes(b"none")
    image, masks, output = (str(tmp_path / name) for name in ("photos", "d.json", "layers"))
    arguments = ["--image", image, "--masks", masks, "--output", output]
    deocclude.main([*arguments, "--skip-invalid", "--num-workers", "0"])
    skipped = capsys.readouterr().err.splitlines()[-1]
    assert skipped.startswith("skipped: ") and "b\\x1b[31m\\u202e.jpg" in skipped
    (scene,) = (tmp_path / "layers").iterdir()
    for where, (status, line) in SAID.items():
        assert ends(edit_scene.main, ["--scene", str(scene), "--list"], where) == status
        assert capsys.readouterr().err == line
        again = ["--image", f"{image}/a.png", "--masks", masks, "--output", str(scene)]
        # It is there already: nothing is printed before the last line.
        assert ends(deocclude.main, again, where) == status
        assert capsys.readouterr().err == line
