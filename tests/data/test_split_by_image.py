"""The tool that splits a data set by image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import program_of

PROGRAM = Path(__file__).parents[2] / "datasets" / "split_by_image.py"


@pytest.fixture(scope="module")
def tool():
    return program_of(PROGRAM)


def document(count=20):
    """Images 3, 6, ...; image number k has k % 4 annotations."""
    images = [{"id": 3 * k, "file_name": f"{k}.jpg", "extra": k} for k in range(count)]
    annotations = [
        {"id": 100 * k + j, "image_id": 3 * k, "depth": 0.5, "segmentation": []}
        for k in range(count)
        for j in range(k % 4)
    ]
    return {
        "info": {"year": 2024},
        "images": images,
        "annotations": annotations[::-1],
        "categories": [{"id": 1, "name": "thing"}],
        "more": [1, 2],
    }


@pytest.fixture
def split(tool, tmp_path, capsys):
    """Write a document, split it, and read the two parts."""

    def run(data, *options):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(data))
        tool.main(["--input", str(path), *options, "--overwrite"])
        return [json.loads((tmp_path / f"a_{part}.json").read_text()) for part in ("train", "val")]

    return run


def test_every_image_goes_to_one_part_with_its_annotations(split, tmp_path, capsys):
    data = document()
    train, val = split(data, "--val-share", "0.25")
    assert len(val["images"]) == 5
    for part in (train, val):
        ids = [image["id"] for image in part["images"]]
        # As in the input: order, other keys, and what entries hold.
        assert part["images"] == [i for i in data["images"] if i["id"] in ids]
        assert part["annotations"] == [a for a in data["annotations"] if a["image_id"] in ids]
        assert {k: part[k] for k in ("info", "categories", "more")} == {
            k: data[k] for k in ("info", "categories", "more")
        }
        assert list(part) == list(data)
    assert len(train["images"]) == 15
    assert len(train["annotations"]) + len(val["annotations"]) == len(data["annotations"])
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'a_train.json'}: 15 images, {len(train['annotations'])} annotations",
        f"{tmp_path / 'a_val.json'}: 5 images, {len(val['annotations'])} annotations",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a_train.json", "a_val.json"]


def test_split_by_the_beginning_of_file_names(split, tool, tmp_path, capsys):
    train, val = split(document(), "--val-prefix", "1")  # 1.jpg, 10.jpg to 19.jpg
    assert [i["extra"] for i in val["images"]] == [1, *range(10, 20)]
    assert len(train["images"]) == 9
    for prefix in ("x", ""):
        with pytest.raises(SystemExit):
            tool.main(["--input", str(tmp_path / "a.json"), "--overwrite", "--val-prefix", prefix])
        assert "with --val-prefix" in capsys.readouterr().err


def test_split_depends_on_seed_and_ids_alone(split):
    def validated(data, *options):
        return {image["id"] for image in split(data, *options)[1]["images"]}

    data = document()
    first = validated(data)
    assert len(first) == 2
    assert validated({**data, "images": data["images"][::-1]}) == first
    assert validated(data, "--val-share", "0.5") > first
    assert len({frozenset(validated(data, "--seed", str(seed))) for seed in range(6)}) > 1


@pytest.mark.parametrize(("share", "count"), [("0.001", 1), ("0.999", 3), ("0.5", 2)])
def test_no_part_is_empty(split, share, count):
    assert len(split(document(4), "--val-share", share)[1]["images"]) == count


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ({"images": []}, [], "no list 'annotations'"),
        ([1], [], "no list 'images'"),
        (document(1), [], "1 image(s) cannot be split"),
        (document(), ["--val-share", "1"], "--val-share 1: give a share between 0 and 1"),
        ({**document(), "images": document()["images"] * 2}, [], "two images have the same id"),
        ({**document(), "images": [{"file_name": "x"}]}, [], "images[0] has no 'id'"),
        ({**document(), "annotations": [{"id": 1}]}, [], "annotations[0] has no 'image_id'"),
        (
            {**document(), "annotations": [{"id": 1, "image_id": 5}]},
            [],
            "annotations[0] is of image 5, which is not among the images",
        ),
        (document(), ["--val-output", "FOLDER/a.json"], "name one file twice"),
        (document(), ["--val-output", "FOLDER/a.json/b.json"], "a.json is no folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    split, tmp_path, capsys, data, options, message
):
    options = [option.replace("FOLDER", str(tmp_path)) for option in options]
    with pytest.raises(SystemExit) as stop:
        split(data, *options)
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    if not options:
        assert str(tmp_path / "a.json") in line
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_missing_input_is_one_line(tool, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool.main(["--input", str(tmp_path / "none.json")])
    assert "there is no such file" in capsys.readouterr().err


def test_older_parts_are_not_replaced_unasked(split, tool, tmp_path, capsys):
    split(document())
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    for more in ([], ["--train-output", str(tmp_path / "new.json")]):
        with pytest.raises(SystemExit):
            tool.main(["--input", str(tmp_path / "a.json"), *more])
        assert "exists: pass --overwrite to replace it" in capsys.readouterr().err
        assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before
