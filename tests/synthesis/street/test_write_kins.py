"""Files of the synthetic KINS data set: layout, schema, seeds, refusals, resumption."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from deocclusion_d2.data.datasets import to_rle
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.synthesis.street import (
    SyntheticKinsConfig,
    scene_of,
    split_paths,
    write_split,
    write_splits,
)
from deocclusion_d2.synthesis.street import write_kins as writer
from tests.helpers import program_of

SMALL = SyntheticKinsConfig(64, 208, seed=1)
PROGRAM = Path(__file__).parents[3] / "datasets" / "prepare_synthetic_kins.py"


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return program_of(PROGRAM)


def test_layout_and_schema_are_those_of_kins(tmp_path: Path) -> None:
    write_splits(tmp_path, {"train": 2, "val": 1}, SMALL, progress=False)
    assert sorted(_files(tmp_path)) == [
        "instances_train.json",
        "instances_val.json",
        "testing/image_2/000000.jpg",
        "training/image_2/000000.jpg",
        "training/image_2/000001.jpg",
    ]
    data = json.loads((tmp_path / "instances_train.json").read_text())
    assert {entry["id"]: entry["name"] for entry in data["categories"]} == {
        1: "cyclist",
        2: "pedestrian",
        3: "rider",
        4: "car",
        5: "tram",
        6: "truck",
        7: "van",
        8: "misc",
    }
    for entry in data["images"]:
        image = cv2.imread(str(tmp_path / "training/image_2" / entry["file_name"]))
        assert image.shape == (entry["height"], entry["width"], 3) == (64, 208, 3)
    kins_keys = {
        *("id", "image_id", "category_id", "iscrowd", "segmentation", "bbox", "area"),
        *("inmodal_seg", "inmodal_bbox"),
    }
    for entry in data["annotations"]:
        assert kins_keys <= set(entry)
        assert entry["inmodal_seg"]["size"] == [64, 208]
        assert isinstance(entry["inmodal_seg"]["counts"], str)
    assert len({entry["id"] for entry in data["annotations"]}) == len(data["annotations"])


def test_same_bytes_for_one_and_two_processes(tmp_path: Path) -> None:
    write_split(tmp_path / "one", "train", 4, SMALL, num_workers=0, progress=False)
    write_split(tmp_path / "two", "train", 4, SMALL, num_workers=2, progress=False)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_image_does_not_depend_on_the_count(tmp_path: Path) -> None:
    write_split(tmp_path / "few", "val", 2, SMALL, progress=False)
    write_split(tmp_path / "more", "val", 4, SMALL, progress=False)
    few, more = _files(tmp_path / "few"), _files(tmp_path / "more")
    for name in ("testing/image_2/000000.jpg", "testing/image_2/000001.jpg"):
        assert few[name] == more[name]
    first, second = (json.loads(files["instances_val.json"]) for files in (few, more))
    assert first["annotations"] == [e for e in second["annotations"] if e["image_id"] < 2]


def test_seed_split_and_index_all_matter() -> None:
    other = SyntheticKinsConfig(64, 208, seed=2)
    images = [
        scene_of(SMALL, "train", 0).image,
        scene_of(SMALL, "train", 1).image,
        scene_of(SMALL, "val", 0).image,
        scene_of(other, "train", 0).image,
    ]
    for i in range(len(images)):
        for j in range(i):
            assert (images[i] != images[j]).mean() > 0.2
    np.testing.assert_array_equal(images[0], scene_of(SMALL, "train", 0).image)


def test_png_holds_the_rendered_pixels(tmp_path: Path) -> None:
    config = SyntheticKinsConfig(64, 208, seed=1, image_format="png")
    write_split(tmp_path, "train", 1, config, progress=False)
    image = cv2.imread(str(split_paths(tmp_path, "train")[0] / "000000.png"))
    np.testing.assert_array_equal(image, scene_of(config, "train", 0).image)


def test_existing_json_is_replaced_only_on_request(tmp_path: Path) -> None:
    write_split(tmp_path, "train", 1, SMALL, progress=False)
    before = _files(tmp_path)
    with pytest.raises(UserError, match="--overwrite"):
        write_split(tmp_path, "train", 2, SMALL, progress=False)
    with pytest.raises(UserError, match="instances_train"):
        write_splits(tmp_path, {"val": 1, "train": 1}, SMALL, progress=False)
    assert _files(tmp_path) == before
    other = SyntheticKinsConfig(64, 208, seed=9)
    write_split(tmp_path, "train", 1, other, overwrite=True, progress=False)
    assert _files(tmp_path) != before
    assert sorted(_files(tmp_path)) == sorted(before)


def test_interrupted_run_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole"
    write_split(whole, "train", 3, SMALL, progress=False)
    rendered: list[int] = []

    def render(config: SyntheticKinsConfig, split: str, index: int):
        if index == 2 and 2 not in rendered:
            rendered.append(2)
            raise KeyboardInterrupt
        rendered.append(index)
        return scene_of(config, split, index)

    monkeypatch.setattr(writer, "scene_of", render)
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        write_split(stopped, "train", 3, SMALL, progress=False)
    assert not split_paths(stopped, "train")[1].exists()
    with pytest.raises(UserError, match="other settings"):
        write_split(stopped, "train", 3, SyntheticKinsConfig(64, 208, seed=8), progress=False)
    write_split(stopped, "train", 3, SMALL, progress=False)
    assert rendered == [0, 1, 2, 2]
    assert _files(stopped) == _files(whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 8}, "at least 32"),
        ({"seed": -1}, "seed"),
        ({"image_format": "gif"}, "jpg or png"),
        ({"jpeg_quality": 0}, "jpeg_quality"),
    ],
)
def test_config_refuses_nonsense(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SyntheticKinsConfig(**arguments)


def test_program_writes_and_sums_up(
    tmp_path: Path, program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--height", "64", "--width", "208", "--num-workers", "1"]
    arguments = ["--output", str(tmp_path), "--train", "2", "--val", "0", *size]
    program.main(arguments)
    assert "2 images" in capsys.readouterr().out
    assert not (tmp_path / "instances_val.json").exists()
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
    assert _files(tmp_path) == {}


WHOLE = SyntheticKinsConfig(96, 288, seed=1, image_format="png", whole_objects=True)


def test_whole_objects(tmp_path: Path) -> None:
    """Masks are those without them; a copy is the picture where the object is seen."""
    write_splits(tmp_path, {"val": 3}, WHOLE, progress=False)
    data = json.loads((tmp_path / "instances_val.json").read_text())
    plain = SyntheticKinsConfig(96, 288, seed=1, image_format="png")
    hidden = 0
    for image in data["images"]:
        picture = cv2.imread(str(tmp_path / "testing/image_2" / image["file_name"]))
        background = cv2.imread(str(tmp_path / "testing/image_2" / image["background"]))
        assert background.shape == picture.shape
        rows = [a for a in data["annotations"] if a["image_id"] == image["id"]]
        without = writer.annotations_of(scene_of(plain, "val", image["id"]), image["id"])
        assert [{k: v for k, v in a.items() if "full" not in k} for a in rows] == json.loads(
            json.dumps(without)
        )
        anything = np.zeros(picture.shape[:2], bool)
        for row in rows:
            path = tmp_path / "testing/image_2" / row["full_object"]
            copy = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            x, y, w, h = row["full_object_box"]
            amodal = WindowMask.from_array(copy[..., 3], x, y)
            assert copy.shape == (h, w, 4) and amodal.area == row["area"]
            assert amodal == WindowMask.from_rle(to_rle(row["segmentation"], 96, 288))
            modal = WindowMask.from_rle(row["inmodal_seg"])
            anything |= amodal.to_array(96, 288)
            # The camera's blur mixes colours at the border.
            padded = np.pad(modal.to_array(96, 288).astype(np.uint8), 1, mode="edge")
            inner = cv2.erode(padded, np.ones((3, 3)))[1:-1, 1:-1] > 0
            whole = np.zeros_like(picture)
            whole[y : y + h, x : x + w] = copy[..., :3]
            assert np.array_equal(whole[inner], picture[inner])
            hidden += amodal.area - modal.area
        far = cv2.dilate(anything.astype(np.uint8), np.ones((3, 3))) == 0
        assert np.array_equal(background[far], picture[far])
    assert hidden > 500
    assert data["info"]["whole_objects"] is True


def test_whole_objects_do_not_depend_on_workers(tmp_path: Path) -> None:
    for workers in (0, 2):
        write_split(tmp_path / str(workers), "train", 2, WHOLE, workers, progress=False)
    assert _files(tmp_path / "0") == _files(tmp_path / "2")


def test_whole_objects_and_none_are_two_runs(tmp_path: Path) -> None:
    plain = SyntheticKinsConfig(64, 208, seed=1)
    assert "whole_objects" not in plain.to_json()
    parts = writer._parts_of(tmp_path, "train")
    parts.open({"recipe": 1, **plain.to_json()}, False, None)
    with pytest.raises(UserError, match="unfinished run with other settings"):
        write_split(tmp_path, "train", 1, SyntheticKinsConfig(64, 208, 1, whole_objects=True))
