"""The tool that makes training shapes of completed objects."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.data.instance_table import InstanceTable
from deocclusion_d2.structures import WindowMask

PROGRAM = Path(__file__).parents[2] / "datasets" / "prepare_completed_shapes.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("prepare_completed_shapes", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rle(x0, x1):
    """Columns x0 to x1 of rows 2 to 7 of a picture of 10 x 40 pixels."""
    mask = np.zeros((10, 40), bool)
    mask[2:8, x0:x1] = True
    return WindowMask.from_array(mask).to_rle(10, 40)


def annotation(number, visible, whole, confidences, **more):
    return {
        "id": number,
        "image_id": 7,
        "category_id": 2,
        "iscrowd": 0,
        "segmentation": rle(*whole),
        "modal_segmentation": rle(*visible),
        "occluder_ids": list(range(len(confidences))),
        "occluder_confidences": confidences,
        "occlusion_rate": 1 - (visible[1] - visible[0]) / (whole[1] - whole[0]),
        **more,
    }


@pytest.fixture
def document():
    annotations = [
        annotation(1, (0, 10), (0, 10), []),  # whole
        annotation(2, (10, 16), (6, 16), [0.9]),  # 40 % hidden
        annotation(3, (16, 22), (12, 22), [0.9, 0.2]),  # one occluder is a guess
        annotation(4, (22, 24), (14, 24), [0.9]),  # 80 % hidden
        annotation(5, (24, 34), (22, 34), [0.3, 0.5]),  # 17 % hidden
    ]
    unsure = annotation(6, (34, 38), (32, 38), [])
    del unsure["occluder_confidences"]  # as a baseline writes it
    return {
        "images": [{"id": 7, "file_name": "a/7.png", "height": 10, "width": 40}],
        "annotations": [*annotations, {**unsure, "occluder_ids": [5]}],
        "categories": [{"id": 2, "name": "car"}],
    }


@pytest.fixture
def run(tool, tmp_path, document):
    def run(*options):
        (tmp_path / "amodal.json").write_text(json.dumps(document))
        output = tmp_path / "shapes.json"
        tool.main(["--input", str(tmp_path / "amodal.json"), "--output", str(output), *options])
        return json.loads(output.read_text())

    return run


def test_sure_and_not_too_hidden_objects_are_taken_whole(run, document):
    shapes = run()
    assert [a["source_id"] for a in shapes["annotations"]] == [2, 5]
    assert [a["segmentation"] for a in shapes["annotations"]] == [rle(6, 16), rle(22, 34)]
    assert [a["bbox"] for a in shapes["annotations"]] == [[6, 2, 10, 6], [22, 2, 12, 6]]
    assert [i["file_name"] for i in shapes["images"]] == ["a/7.png"] * 2
    assert shapes["categories"] == document["categories"]
    taken = run("--min-confidence", "0.2", "--hidden", "0.3", "0.9")["annotations"]
    assert [a["source_id"] for a in taken] == [2, 3, 4]


def test_training_reads_them_as_objects_that_touch_nothing(run, tmp_path):
    # Where they stand 2 and 3 share pixels.
    assert len(run("--min-confidence", "0.2")["annotations"]) == 3
    records = load_dataset_dicts(str(tmp_path / "shapes.json"), "pictures", "coco", "modal")
    table = InstanceTable(records)
    assert len(table) == 3 and table.isolated().all()
    assert set(table.file_names) == {"pictures/a/7.png"} and set(table.category_ids) == {2}
    assert [table.modal_mask(k).area for k in range(3)] == [60, 60, 72]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda d: None, ["--min-confidence", "1"], "no object was completed"),
        (lambda d: None, ["--hidden", "0.5", "0.1"], "MIN <= MAX"),
        (lambda d: d.pop("images"), [], "no list 'images'"),
        (lambda d: d["annotations"][1].update(image_id=8), [], "annotation 2: image id 8"),
        (lambda d: d["annotations"][1].pop("segmentation"), [], "annotation 2: it has no key"),
    ],
)
def test_errors_are_one_line_and_write_nothing(
    run, document, tmp_path, capsys, change, options, message
):
    change(document)
    with pytest.raises(SystemExit):
        run(*options)
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error
    assert not (tmp_path / "shapes.json").exists()
