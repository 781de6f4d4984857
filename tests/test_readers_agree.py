"""One file is read alike by conversion, by training and evaluation, by ``--masks`` and by pictures.

Every kind of oddity that was met in files of others: the four readers see the same masks, or they
refuse the file for the same reason.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from pycocotools import mask as mask_util

from deocclusion_d2.cli.visualize_deocclusion import _name_of_input
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.data.datasets import ensure_registered, load_dataset_dicts, read_json, to_rle
from deocclusion_d2.data.datasets.told_format import tell_format
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.decomposition import open_masks
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask

HEIGHT, WIDTH = 120, 160


def box(x: int, y: int, w: int, h: int) -> np.ndarray:
    array = np.zeros((HEIGHT, WIDTH), bool)
    array[y : y + h, x : x + w] = True
    return array


# A square A in front of B, of which 600 px are hidden, and C apart.
A, WHOLE_B, C = box(60, 40, 40, 50), box(30, 20, 50, 50), box(120, 80, 30, 30)
B = WHOLE_B & ~A
OUTLINE = [60, 40, 100, 40, 100, 90, 60, 90]
AREAS = [2000, 1900, 900]


def rle(array: np.ndarray) -> dict:
    return WindowMask.from_array(array).to_rle(HEIGHT, WIDTH)


def scene() -> dict:
    """A, B and C as COCO."""
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": category,
            "segmentation": rle(mask),
            "bbox": [float(v) for v in WindowMask.from_array(mask).xywh],
            "area": int(mask.sum()),
            "iscrowd": 0,
        }
        for number, (mask, category) in enumerate(((A, 1), (B, 1), (C, 2)), 1)
    ]
    return {
        "info": {},
        "images": [{"id": 1, "file_name": "im1.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "person"}],
    }


def changed(change: Callable[[dict], object]) -> dict:
    document = scene()
    change(document)
    return document


def every(**values: object) -> dict:
    """All annotations get these values; ... takes the key away."""

    def change(document: dict) -> None:
        for annotation in document["annotations"]:
            for key, value in values.items():
                annotation.pop(key, None)
                if value is not ...:
                    annotation[key] = value

    return changed(change)


def first(**values: object) -> dict:
    """The first annotation gets these values; ... takes the key away."""

    def change(document: dict) -> None:
        for key, value in values.items():
            document["annotations"][0].pop(key, None)
            if value is not ...:
                document["annotations"][0][key] = value

    return changed(change)


def mapped(key: str, of: Callable[[int], object], *lists: str) -> dict:
    """The values of a key of annotations (and of other lists' ids), written in another way."""

    def change(document: dict) -> None:
        for annotation in document["annotations"]:
            annotation[key] = of(annotation[key])
        for name in lists:
            for entry in document[name]:
                entry["id"] = of(entry["id"])

    return changed(change)


def with_true_masks(document: dict, **of_b: object) -> dict:
    document["annotations"][1].update(segmentation=rle(WHOLE_B), **of_b)
    return document


def cocoa_entry(**values: object) -> dict:
    regions = [
        {"segmentation": rle(A), "order": 1, "name": "front"},
        {"segmentation": rle(WHOLE_B), "order": 2, "name": "b", "visible_mask": rle(B)},
        {"segmentation": rle(C), "order": 3, "name": "c"},
    ]
    return {"id": 5, "image_id": 1, "file_name": "im1.png", "regions": regions, **values}


GOOD = json.dumps(scene())
ENTRY = {key: value for key, value in scene()["annotations"][0].items() if key != "id"}

# What the readers see of single objects, as areas of masks that are not empty; or why they refuse.
CASES: dict[str, tuple[object, list[int] | str]] = {
    "plain": (scene(), AREAS),
    "category ids from 0": (
        mapped("category_id", lambda i: i - 1, "categories"),
        AREAS,
    ),
    "category ids that are texts": (mapped("category_id", str, "categories"), AREAS),
    "category ids that are floats": (mapped("category_id", float), AREAS),
    "image ids that are floats": (mapped("image_id", float), AREAS),
    "image ids that are texts": (mapped("image_id", str, "images"), AREAS),
    "annotation ids that are texts": (mapped("id", str), AREAS),
    "annotation ids from 0": (mapped("id", lambda i: i - 1), AREAS),
    "no category": (every(category_id=...), AREAS),
    "no category 1": (
        changed(
            lambda d: (
                d["categories"].pop(0),
                d["annotations"][0].pop("category_id"),
                d["annotations"][1].update(category_id=2),
            )
        ),
        AREAS,
    ),
    "no categories": (changed(lambda d: d.pop("categories")), "category id 2|'category_id' 2"),
    "COCOA-cls, the first not hidden": (
        with_true_masks(scene(), visible_mask=rle(B), invisible_mask=rle(WHOLE_B & ~B)),
        AREAS,
    ),
    "KINS, the first not hidden": (with_true_masks(scene(), inmodal_seg=rle(B)), AREAS),
    "converted, a crowd first": (
        {
            **with_true_masks(every(modal_segmentation=rle(B)), modal_segmentation=rle(B)),
            "annotations": [
                {**scene()["annotations"][0], "id": 50, "iscrowd": 1},
                {**scene()["annotations"][1], "modal_segmentation": rle(B)},
            ],
        },
        [1900],
    ),
    "converted, all crowds": (
        {**every(iscrowd=1), "info": {"deocclusion": {"version": "0.2"}}},
        [],
    ),
    "COCOA with a text as image id": (cocoa_entry(image_id="im1", id=...), AREAS),
    "COCOA": (cocoa_entry(), AREAS),
    "KINS and COCOA-cls in one": (
        changed(
            lambda d: (
                d["annotations"][0].update(inmodal_seg=rle(A)),
                d["annotations"][1].update(visible_mask=rle(B)),
            )
        ),
        "annotation 1 is of format kins .* annotation 2 of format cocoa_cls",
    ),
    "all crowds": (every(iscrowd=1), []),
    "boxes alone": (every(segmentation=[]), []),
    "boxes alone, no key": (every(segmentation=...), []),
    "no annotations": (changed(lambda d: d.update(annotations=[])), []),
    "shares of the size": (
        every(segmentation=[[v / (HEIGHT, WIDTH)[k % 2 == 0] for k, v in enumerate(OUTLINE)]]),
        [1, 1, 1],
    ),
    "a stray point": (first(segmentation=[OUTLINE, [80.0, 60.0]]), AREAS),
    "an empty part": (first(segmentation=[OUTLINE, []]), AREAS),
    "an empty list in a list": (first(segmentation=[[]]), AREAS[1:]),
    "an empty list": (first(segmentation=[]), AREAS[1:]),
    "null": (first(segmentation=None), AREAS[1:]),
    "no mask": (first(segmentation=...), AREAS[1:]),
    "a flat polygon": (first(segmentation=OUTLINE), AREAS),
    "pairs": (first(segmentation=[[60, 40], [100, 40], [100, 90], [60, 90]]), AREAS),
    "a list of pairs": (first(segmentation=[[[60, 40], [100, 40], [100, 90], [60, 90]]]), AREAS),
    "an RLE in a list": (first(segmentation=[rle(A)]), AREAS),
    "no size": (
        changed(lambda d: d["images"].__setitem__(0, {"id": 1, "file_name": "im1.png"})),
        AREAS,
    ),
    "NaN as area": (every(area=float("nan")), AREAS),
    "NaN as box": (every(bbox=[float("nan")] * 4), AREAS),
    "NaN in a polygon": (first(segmentation=[[1, 1, 5, float("nan"), 5, 5]]), "NaN"),
    "null as box": (every(bbox=None), AREAS),
    "null as iscrowd": (every(iscrowd=None), AREAS),
    "no box": (every(bbox=...), AREAS),
    "a box of a huge number": (every(bbox=[0, 0, 10**400, 1]), "'bbox' is"),
    "counts as Python writes bytes": (
        first(segmentation={"size": [HEIGHT, WIDTH], "counts": str(rle(A)["counts"].encode())}),
        AREAS,
    ),
    "backslashes": (
        changed(lambda d: d["images"][0].update(file_name="images\\im1.png")),
        AREAS,
    ),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), AREAS),
    "UTF-16": (GOOD.encode("utf-16"), AREAS),
    "gzip": (gzip.compress(GOOD.encode()), "gunzip"),
    "empty": (b"", "the file is empty"),
    "cut": (GOOD[:400].encode(), "cut off"),
    "Python": (str(scene()).encode(), "json.dump"),
    "JSON Lines": ((GOOD + "\n" + GOOD).encode(), "JSON Lines"),
    "a number": (b"3", "not an object"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "a number of 5,000 digits": (
        GOOD.replace("2000", "1" * 5000).encode(),
        "too many digits",
    ),
    "a key twice": (b'{"images": [], "images": [], "annotations": []}', "stands twice"),
    "Segment Anything": ([{**ENTRY, "predicted_iou": 0.9, "image_id": ...}], "Segment Anything"),
    "panoptic": (
        changed(lambda d: d.update(annotations=[{"segments_info": [], "image_id": 1}])),
        "panoptic",
    ),
    "labelme": ({"shapes": [], "imagePath": "im1.png"}, "labelme"),
    "VIA": ({"im1.png99": {"filename": "im1.png", "regions": [], "size": 99}}, "VIA"),
    "two annotations of one id": (
        changed(lambda d: d["annotations"][1].update(id=1)),
        "twice",
    ),
    "an image that is nowhere": (first(image_id=7), "image id 7|image 7"),
    "an unknown category": (first(category_id=9), "category id 9|'category_id' 9"),
}  # fmt: skip


def without_dots(value: object) -> object:
    """A document without the values that are ``...``."""
    if isinstance(value, dict):
        return {k: without_dots(v) for k, v in value.items() if v is not ...}
    return [without_dots(v) for v in value] if isinstance(value, list) else value


def by_conversion(path: Path) -> list[dict]:
    output = path.with_name("converted.json")
    convert(ConversionJob(path, output, method="raw"))
    masks = [
        a.get("modal_segmentation")
        for a in json.loads(output.read_text())["annotations"]
        if not a.get("iscrowd")
    ]
    # The output has them as the input does.
    decoded = [mask_util.decode(to_rle(m, HEIGHT, WIDTH)).astype(bool) for m in masks]
    return [rle(array) for array in decoded]


def by_loading(path: Path) -> list[dict]:
    name = tell_format(read_json(str(path)), str(path)).name
    (record,) = load_dataset_dicts(str(path), str(path.parent), name, "modal")
    return [a["modal_segmentation"] for a in record["annotations"] if not a["iscrowd"]]


def by_masks(path: Path) -> list[dict]:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    photo = open_masks(str(path))(Path("photos/im1.png"), image)
    return [mask.to_rle(HEIGHT, WIDTH) for mask in photo.scene.modal_masks]


def by_pictures(path: Path) -> list[dict]:
    name = _name_of_input(str(path), None, None)
    (record,) = DatasetCatalog.get(ensure_registered(name))
    return [m.to_rle(HEIGHT, WIDTH) for m in scene_from_record(record)[0].modal_masks]


READERS = (by_conversion, by_loading, by_masks, by_pictures)


@pytest.mark.parametrize("case", CASES)
def test_all_readers_agree(tmp_path: Path, case: str) -> None:
    content, expected = CASES[case]
    path = tmp_path / "file.json"
    document = without_dots(copy.deepcopy(content))
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(document).encode())
    before = path.read_bytes()
    seen = []
    for reader in READERS:
        if isinstance(expected, str):
            with pytest.raises(UserError, match=expected) as error:
                reader(path)
            text = str(error.value)
            assert "\n" not in text and "file.json" in text, (reader.__name__, text)
            continue
        masks = [m for m in reader(path) if mask_util.area(m)]
        assert [int(mask_util.area(m)) for m in masks] == expected, reader.__name__
        seen.append(masks)
    assert all(masks == seen[0] for masks in seen)
    assert path.read_bytes() == before
    assert (tmp_path / "converted.json").exists() == (not isinstance(expected, str))


def test_a_second_conversion_keeps_the_modal_masks(tmp_path: Path) -> None:
    """The first annotation is a crowd region, which looks like plain COCO."""
    document = scene()
    document["annotations"].insert(0, {**scene()["annotations"][2], "id": 50, "iscrowd": 1})
    (tmp_path / "in.json").write_text(json.dumps(document))
    for source, target in (("in", "once"), ("once", "twice")):
        convert(ConversionJob(tmp_path / f"{source}.json", tmp_path / f"{target}.json", "convex_r"))
    once, twice = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("once", "twice")
    )
    assert twice["info"]["deocclusion"]["format"] == "pseudo_amodal"
    assert twice["annotations"] == once["annotations"]
    kept = [a["modal_segmentation"] for a in twice["annotations"][1:]]
    assert kept == [rle(A), rle(B), rle(C)]
    assert mask_util.area(twice["annotations"][2]["segmentation"]) > 1900
