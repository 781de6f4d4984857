"""Where the tools that evaluate and predict may write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deocclusion_d2.cli import compare_methods, predict_modal_masks, visualize_training_samples

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
