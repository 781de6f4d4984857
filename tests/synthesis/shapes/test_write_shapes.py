"""Files of the generic shapes: schema, seeds, workers, refusals, and the formats that read them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pycocotools import mask as mask_api

from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.errors import UserError
from deocclusion_d2.synthesis.shapes import (
    GenericShapesConfig,
    scene_of,
    split_path,
    write_splits,
)
from tests.helpers import program_of

SMALL = GenericShapesConfig(96, 128, seed=1)
PROGRAM = Path(__file__).parents[3] / "datasets" / "prepare_generic_shapes.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return program_of(PROGRAM)


def test_masks_and_layers_are_those_of_the_scenes(tmp_path: Path) -> None:
    write_splits(tmp_path, {"train": 4, "val": 1}, SMALL, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "instances_train.json",
        "instances_val.json",
    ]
    data = json.loads(split_path(tmp_path, "train").read_text())
    assert [image["id"] for image in data["images"]] == [0, 1, 2, 3]
    assert len({entry["id"] for entry in data["annotations"]}) == len(data["annotations"])
    for image in data["images"]:
        entries = [e for e in data["annotations"] if e["image_id"] == image["id"]]
        objects = scene_of(SMALL, "train", image["id"])
        assert [entry["layer"] for entry in entries] == list(range(len(objects)))
        for entry, item in zip(entries, objects, strict=True):
            assert (entry["category_id"], entry["shape"]) == (1, item.family)
            for key, mask in (("segmentation", item.amodal), ("inmodal_seg", item.modal)):
                np.testing.assert_array_equal(mask_api.decode(entry[key]).astype(bool), mask)
            assert entry["area"] == item.amodal.sum()
            assert entry["bbox"] == mask_api.toBbox(entry["segmentation"]).tolist()
            assert entry["inmodal_bbox"] == mask_api.toBbox(entry["inmodal_seg"]).tolist()


@pytest.mark.parametrize("view", ["amodal", "modal"])
def test_the_format_of_kins_reads_them(tmp_path: Path, view: str) -> None:
    (path,) = write_splits(tmp_path, {"val": 3}, SMALL, progress=False)
    records = load_dataset_dicts(str(path), str(tmp_path / "images"), "kins", view)
    found = [len(record["annotations"]) for record in records]
    assert found == [len(scene_of(SMALL, "val", index)) for index in range(3)]


def test_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    (one,) = write_splits(tmp_path / "one", {"train": 6}, SMALL, 0, progress=False)
    (two,) = write_splits(tmp_path / "two", {"train": 6}, SMALL, 2, progress=False)
    assert one.read_bytes() == two.read_bytes()


def test_scene_does_not_depend_on_the_count(tmp_path: Path) -> None:
    paths = [write_splits(tmp_path / str(n), {"val": n}, SMALL, progress=False)[0] for n in (2, 5)]
    few, more = (json.loads(path.read_text())["annotations"] for path in paths)
    assert few == [entry for entry in more if entry["image_id"] < 2]


def test_seed_split_and_index_all_matter() -> None:
    other = GenericShapesConfig(96, 128, seed=2)
    scenes = [
        scene_of(SMALL, "train", 0),
        scene_of(SMALL, "train", 1),
        scene_of(SMALL, "val", 0),
        scene_of(other, "train", 0),
    ]
    covered = [np.any([item.amodal for item in scene], axis=0) for scene in scenes]
    for i in range(len(covered)):
        for j in range(i):
            assert (covered[i] != covered[j]).mean() > 0.05


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_share_of_scattered_scenes(share: float) -> None:
    config = GenericShapesConfig(96, 128, scattered_share=share)
    scenes = [scene_of(config, "train", index) for index in range(10)]
    overlaps = [np.sum([item.amodal for item in scene], axis=0).max() > 1 for scene in scenes]
    assert np.mean(overlaps) == 1 - share


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 8}, "at least 64"),
        ({"seed": -1}, "seed"),
        ({"scattered_share": 1.5}, "0 ... 1"),
        ({"scattered_share": float("nan")}, "0 ... 1"),
    ],
)
def test_config_refuses_nonsense(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        GenericShapesConfig(**arguments)


def test_existing_json_is_replaced_only_on_request(tmp_path: Path) -> None:
    (path,) = write_splits(tmp_path, {"train": 1}, SMALL, progress=False)
    before = path.read_bytes()
    with pytest.raises(UserError, match="--overwrite"):
        write_splits(tmp_path, {"val": 1, "train": 2}, SMALL, progress=False)
    assert path.read_bytes() == before and not split_path(tmp_path, "val").exists()
    write_splits(tmp_path, {"train": 2}, SMALL, overwrite=True, progress=False)
    assert path.read_bytes() != before


def test_program_writes_and_sums_up(
    tmp_path: Path, program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--height", "96", "--width", "128", "--num-workers", "0"]
    arguments = ["--output", str(tmp_path), "--train", "2", "--val", "0", *size]
    program.main(arguments)
    assert "2 images" in capsys.readouterr().out
    assert not split_path(tmp_path, "val").exists()
    with pytest.raises(SystemExit, match="1"):
        program.main(arguments)
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    program.main([*arguments, "--overwrite"])


@pytest.mark.parametrize(
    "wrong", [["--train", "-1"], ["--train", "0", "--val", "0"], ["--num-workers", "-1"]]
)
def test_program_explains_wrong_arguments_in_one_line(
    tmp_path: Path, program: ModuleType, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        program.main(["--output", str(tmp_path), *wrong])
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
