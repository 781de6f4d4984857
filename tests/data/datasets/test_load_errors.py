"""What is wrong with a file is said in one line that names file, image and annotation."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from deocclusion_d2.data.datasets import InvalidAnnotation, load_dataset_dicts
from deocclusion_d2.errors import UserError

GOOD = {
    "images": [{"id": 7, "file_name": "b.png", "height": 6, "width": 8}],
    "categories": [{"id": 4, "name": "car"}],
    "annotations": [
        {
            "id": 11,
            "image_id": 7,
            "category_id": 4,
            "segmentation": [[0, 1, 6, 1, 6, 5, 0, 5]],
            "bbox": [0, 1, 6, 4],
            "inmodal_seg": {"size": [6, 8], "counts": [48]},
        }
    ],
}
COCOA = {
    "images": GOOD["images"],
    "annotations": [
        {"id": 5, "image_id": 7, "regions": [{"segmentation": [0, 1, 6, 1, 6, 5, 0, 5]}] * 2}
    ],
}
PLACE = "image 7 (b.png), annotation 11: "


def delete(*path: object) -> Callable[[dict], None]:
    def change(document: dict) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


def put(*path_and_value: object) -> Callable[[dict], None]:
    *path, last, value = path_and_value

    def change(document: dict) -> None:
        for key in path:
            document = document[key]
        document[last] = value

    return change


def twice(key: str) -> Callable[[dict], None]:
    return lambda document: document[key].append(document[key][0])


def message(tmp_path: Path, document: object, format: str = "kins") -> str:
    """The message of the error, without the file's name at its head."""
    path = tmp_path / "x.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(InvalidAnnotation) as caught:
        load_dataset_dicts(str(path), "", format)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_the_files_are_good_as_they_are(tmp_path: Path) -> None:
    for document, format in ((GOOD, "kins"), (COCOA, "cocoa")):
        (tmp_path / "x.json").write_text(json.dumps(document))
        assert len(load_dataset_dicts(str(tmp_path / "x.json"), "", format)) == 1


ANNOTATION = ("annotations", 0)
IMAGE = ("images", 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (delete("images"), "no list 'images'"),
        (delete("annotations"), "no list 'annotations'"),
        (put("annotations", {}), "no list 'annotations'"),
        (put("categories", {}), "no list 'categories'"),
        (delete("categories"), PLACE + "category id 4 is not in 'categories'"),
        (delete("categories", 0, "id"), "a category has no key 'id'"),
        (put("categories", 0, "name", []), "category 4: 'id' must be an integer and 'name' a"),
        (put("categories", 0, "id", 4.5), "category 4.5: 'id' must be an integer and 'name' a"),
        (twice("categories"), "category id 4 occurs twice"),
        (put(*IMAGE, "x"), "an image has no key 'id'"),
        (delete(*IMAGE, "id"), "an image has no key 'id'"),
        (put(*IMAGE, "id", 7.5), "image 7.5: an id must be an integer or a text"),
        (delete(*IMAGE, "file_name"), "image 7: it has neither 'file_name' nor 'coco_url'"),
        (delete(*IMAGE, "height"), "image 7 (b.png): it has no key 'height'"),
        (put(*IMAGE, "width", 0), "image 7 (b.png): 'width' is 0, not a positive integer"),
        (put(*IMAGE, "width", "8"), "image 7 (b.png): 'width' is '8', not a positive integer"),
        (twice("images"), "image id 7 occurs twice (b.png)"),
        (put(*ANNOTATION, []), "an annotation is a list, not an object"),
        (delete(*ANNOTATION, "image_id"), "annotation 11: it has no key 'image_id'"),
        (put(*ANNOTATION, "image_id", 8), "annotation 11: image id 8 is not in 'images'"),
        (put(*ANNOTATION, "image_id", [8]), "annotation 11: 'image_id': an id must be"),
        (delete(*ANNOTATION, "id"), "image 7 (b.png): an annotation has no key 'id'"),
        (put(*ANNOTATION, "id", None), "image 7 (b.png), annotation None: an id must be"),
        (twice("annotations"), "image 7 (b.png): annotation id 11 occurs twice"),
        (put(*ANNOTATION, "category_id", "car"), PLACE + "'category_id' is 'car', not an integer"),
        (put(*ANNOTATION, "category_id", 9), PLACE + "category id 9 is not in 'categories'"),
        (put(*ANNOTATION, "iscrowd", 2), PLACE + "'iscrowd' is 2, not 0 or 1"),
        (delete(*ANNOTATION, "segmentation"), PLACE + "it has no key 'segmentation'"),
        (delete(*ANNOTATION, "inmodal_seg"), "no annotation has 'inmodal_seg', the visible"),
        (put(*ANNOTATION, "segmentation", None), PLACE + "'segmentation' is null"),
        (
            put(*ANNOTATION, "segmentation", [[0, 0, 5, 5]]),
            PLACE + "'segmentation': a polygon of 4",
        ),
        (
            put(*ANNOTATION, "segmentation", [[0, 0, 5, 0, math.nan, 5]]),
            PLACE + "'segmentation': a polygon holds a coordinate that is NaN or infinite",
        ),
        (
            put(*ANNOTATION, "inmodal_seg", "size", [8, 6]),
            PLACE + "'inmodal_seg': the RLE's size [8, 6] is not the image's [6, 8]",
        ),
        (
            put(*ANNOTATION, "inmodal_seg", "counts", "0z"),
            PLACE + "'inmodal_seg': the RLE's counts hold a character outside its alphabet",
        ),
        (put(*ANNOTATION, "bbox", [0, 1, 6]), PLACE + "'bbox' is [0, 1, 6], not [x, y, width"),
        (put(*ANNOTATION, "bbox", [0, 1, -6, 4]), PLACE + "'bbox' is [0, 1, -6, 4], not"),
        (put(*ANNOTATION, "bbox", [0, 1, True, 4]), PLACE + "'bbox' is [0, 1, True, 4], not"),
        (put(*ANNOTATION, "bbox", [0, 1, 10**400, 4]), "'bbox' is [0, 1, an integer of 1329 bits,"),
        (put(*ANNOTATION, "bbox", "0146"), PLACE + "'bbox' is '0146', not"),
    ],
)
def test_bad_files(tmp_path: Path, change: Callable[[dict], None], expected: str) -> None:
    document = copy.deepcopy(GOOD)
    change(document)
    assert expected in message(tmp_path, document)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (delete("annotations", 0, "regions"), "annotation 5: it has no list 'regions'"),
        (put("annotations", 0, "id", [5]), "annotation [5]: an id must be an integer or a text"),
        (
            put("annotations", 0, "regions", [{}] * 1000),
            "annotation 5: ids of regions are made from an",
        ),
        (put("annotations", 0, "regions", 1, 3), "annotation 5002: a region is a int, not an"),
        (
            put("annotations", 0, "regions", 1, {"visible_mask": {"size": [6, 8], "counts": [48]}}),
            "annotation 5002: it has no key 'segmentation'",
        ),
        (
            put("annotations", 0, "regions", 1, {"segmentation": [0, 1]}),
            "annotation 5002: 'segmentation': a polygon of 2 numbers",
        ),
        (
            put("annotations", 0, "depth_constraint", "1-2,2-3"),
            "annotation 5: depth_constraint '2-3' is not",
        ),
        (
            put("annotations", 0, "depth_constraint", "0-1"),
            "annotation 5: depth_constraint '0-1' is not",
        ),
        (
            put("annotations", 0, "depth_constraint", "1"),
            "annotation 5: depth_constraint '1' is not 'i-j'",
        ),
        (
            put("annotations", 0, "depth_constraint", "1-x"),
            "annotation 5: depth_constraint '1-x' is not 'i-j'",
        ),
    ],
)
def test_bad_cocoa_files(tmp_path: Path, change: Callable[[dict], None], expected: str) -> None:
    document = copy.deepcopy(COCOA)
    change(document)
    assert f"image 7 (b.png), {expected}" in message(tmp_path, document, "cocoa")


def test_bad_cocoa_entries(tmp_path: Path) -> None:
    entry = COCOA["annotations"][0]
    assert message(tmp_path, entry, "cocoa") == (
        "image 7, entry 5: no mask of it tells the image's size, "
        "and there is no image x.jpg or x.png in the image root ''"
    )
    assert "neither 'file_name' nor 'url'" in message(tmp_path, [entry], "cocoa")
    assert message(tmp_path, [{"regions": []}], "cocoa") == "an entry has no key 'image_id'"
    assert message(tmp_path, {}, "cocoa") == "the file has no list 'annotations'"


@pytest.mark.parametrize("text", ["", "{", "{}x", "\x00"])
def test_not_json(tmp_path: Path, text: str) -> None:
    assert message(tmp_path, text).startswith("not a JSON file: ")


def test_not_text(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InvalidAnnotation, match="x.json: not a JSON file"):
        load_dataset_dicts(str(tmp_path / "x.json"), "", "kins")


@pytest.mark.parametrize("document", [[], 3, "[]", None])
def test_not_an_object(tmp_path: Path, document: object) -> None:
    assert "not an object" in message(tmp_path, document)


def test_no_file_format_or_view(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such annotation file"):
        load_dataset_dicts(str(tmp_path / "x.json"), "", "kins")
    with pytest.raises(UserError, match="unknown annotation format 'kinz'; the known ones are"):
        load_dataset_dicts("x.json", "", "kinz")
    with pytest.raises(UserError, match="unknown view 'both'"):
        load_dataset_dicts("x.json", "", "kins", "both")
    with pytest.raises(UserError, match="'coco' has no amodal masks: take its modal view"):
        load_dataset_dicts("x.json", "", "coco", "amodal")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, "the file holds no list of labels"),
        ([{}], "a label has no key 'annotation_id'"),
        ([{"annotation_id": 1}] * 2, "annotation 1 occurs twice"),
        ([{"annotation_id": 1, "amodal_bbox": [1]}], "annotation 1: 'amodal_bbox' is [1], not"),
        ([{"annotation_id": 1, "depth": "far"}], "annotation 1: 'depth' is 'far', not a number"),
        ([{"annotation_id": 1, "depth": 2}], "none of its annotation_ids is in "),
    ],
)
def test_bad_labels(tmp_path: Path, labels: object, expected: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps(GOOD))
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(labels))
    with pytest.raises(InvalidAnnotation) as caught:
        load_dataset_dicts(str(tmp_path / "x.json"), "", "kins", labels_json=str(path))
    assert str(caught.value).startswith(f"{path}: ") and expected in str(caught.value)
