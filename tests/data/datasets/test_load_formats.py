"""Every annotation format on a hand-written file, with masks whose pixels are known by hand."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from detectron2.structures import BoxMode
from PIL import Image
from pycocotools import mask as mask_util

from deocclusion_d2.data.datasets import ANNOTATION_FORMATS, ImageInfo, load_dataset_dicts

H, W = 6, 8


def box_mask(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((H, W), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def polygon(x0: int, y0: int, x1: int, y1: int) -> list[int]:
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def rle(mask: np.ndarray) -> dict:
    coded = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [H, W], "counts": coded["counts"].decode()}


def pixels(coded: dict) -> np.ndarray:
    return mask_util.decode(coded).astype(bool)


def same(coded: dict, mask: np.ndarray) -> bool:
    return np.array_equal(pixels(coded), mask)


def write(path: Path, document: object) -> str:
    path.write_text(json.dumps(document))
    return str(path)


# A car at columns 0-5, of which columns 3-5 are hidden by a pedestrian at columns 3-6.
CAR, CAR_VISIBLE = box_mask(0, 1, 6, 5), box_mask(0, 1, 3, 5)
MAN = box_mask(3, 0, 7, 6)
NOTHING = box_mask(0, 0, 0, 0)
CATEGORIES = [{"id": 4, "name": "car"}, {"id": 2, "name": "pedestrian"}]
IMAGES = [
    {"id": 7, "file_name": "b.png", "height": H, "width": W},
    {"id": 3, "file_name": "a.png", "height": H, "width": W},
]


def kins_document() -> dict:
    return {
        "images": IMAGES,
        "categories": CATEGORIES,
        "annotations": [
            {
                "id": 11,
                "image_id": 7,
                "category_id": 4,
                "segmentation": [polygon(0, 1, 6, 5)],
                "bbox": [0, 1, 6, 4],
                "area": 24,
                "iscrowd": 0,
                "inmodal_seg": rle(CAR_VISIBLE),
                "inmodal_bbox": [0, 1, 3, 4],
            },
            {
                "id": 12,
                "image_id": 7,
                "category_id": 2,
                "segmentation": [polygon(3, 0, 7, 6)],
                "bbox": [3, 0, 4, 6],
                "area": 24,
                "iscrowd": 0,
                "inmodal_seg": rle(MAN),
                "inmodal_bbox": [3, 0, 4, 6],
            },
            {  # entirely hidden
                "id": 13,
                "image_id": 7,
                "category_id": 2,
                "segmentation": [polygon(4, 1, 5, 4)],
                "bbox": [4, 1, 1, 3],
                "area": 3,
                "iscrowd": 0,
                "inmodal_seg": rle(NOTHING),
                "inmodal_bbox": [0, 0, 0, 0],
            },
        ],
    }


def kins2020_document() -> dict:
    document = kins_document()
    renamed = {
        "segmentation": "a_segm",
        "bbox": "a_bbox",
        "area": "a_area",
        "inmodal_seg": "i_segm",
        "inmodal_bbox": "i_bbox",
    }
    for annotation in document["annotations"]:
        for old, new in renamed.items():
            annotation[new] = annotation.pop(old)
        annotation.update(oco_id=5, ico_id=1, i_area=1)
    document["annotations"][0]["i_segm"] = [polygon(0, 1, 3, 5)]
    document["annotations"][2]["i_segm"] = []
    return document


def cocoa_cls_document() -> dict:
    document = kins_document()
    for annotation, hidden in zip(document["annotations"], (0.5, 0.0, 1.0), strict=True):
        annotation["visible_mask"] = annotation.pop("inmodal_seg")
        annotation["iscrowd"] = False
        annotation["occlude_rate"] = hidden
        del annotation["inmodal_bbox"]
    document["annotations"][0]["segmentation"] = rle(CAR)
    del document["annotations"][1]["visible_mask"]  # nothing of it is hidden
    hidden = document["annotations"][2]
    del hidden["visible_mask"]
    hidden["invisible_mask"] = rle(box_mask(4, 1, 5, 4))
    return document


def pseudo_amodal_document() -> dict:
    document = kins_document()
    for annotation, occluders in zip(document["annotations"], ([12], [], [12]), strict=True):
        annotation["segmentation"] = (
            rle(CAR) if annotation["id"] == 11 else annotation["segmentation"]
        )
        annotation["modal_segmentation"] = annotation.pop("inmodal_seg")
        annotation["modal_bbox"] = annotation.pop("inmodal_bbox")
        annotation["occluder_ids"] = occluders
        annotation["occlusion_rate"] = 0.5 * len(occluders)
    return document


DOCUMENTS = {
    "kins": kins_document,
    "kins2020": kins2020_document,
    "cocoa_cls": cocoa_cls_document,
    "pseudo_amodal": pseudo_amodal_document,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_amodal_view(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "x.json", DOCUMENTS[name]())
    records = load_dataset_dicts(path, "/images", name, "amodal")
    assert [r["image_id"] for r in records] == [7, 3]
    record = records[0]
    assert record["file_name"] == "/images/b.png"
    assert (record["height"], record["width"]) == (H, W)
    assert "depth_constraints" not in record and records[1]["annotations"] == []

    car, man, hidden = record["annotations"]
    assert [a["id"] for a in (car, man, hidden)] == [11, 12, 13]
    assert [a["category_id"] for a in (car, man, hidden)] == [1, 0, 0]
    assert [a["dataset_category_id"] for a in (car, man, hidden)] == [4, 2, 2]
    assert [a["iscrowd"] for a in (car, man, hidden)] == [0, 0, 0]
    assert car["bbox_mode"] == BoxMode.XYWH_ABS
    assert [a["bbox"] for a in (car, man, hidden)] == [[0, 1, 6, 4], [3, 0, 4, 6], [4, 1, 1, 3]]
    for annotation, amodal, modal in (
        (car, CAR, CAR_VISIBLE),
        (man, MAN, MAN),
        (hidden, box_mask(4, 1, 5, 4), NOTHING),
    ):
        assert same(annotation["segmentation"], amodal)
        assert same(annotation["amodal_segmentation"], amodal)
        assert same(annotation["modal_segmentation"], modal)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_modal_view_leaves_out_what_is_entirely_hidden(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "x.json", DOCUMENTS[name]())
    car, man = load_dataset_dicts(path, "/images", name, "modal")[0]["annotations"]
    assert [a["id"] for a in (car, man)] == [11, 12]
    assert [a["bbox"] for a in (car, man)] == [[0, 1, 3, 4], [3, 0, 4, 6]]
    assert same(car["segmentation"], CAR_VISIBLE) and same(man["segmentation"], MAN)
    assert same(car["modal_segmentation"], CAR_VISIBLE)
    assert same(car["amodal_segmentation"], CAR)


def test_extras_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", kins2020_document())
    first = load_dataset_dicts(path, "", "kins2020")[0]["annotations"][0]
    assert (first["oco_id"], first["ico_id"]) == (5, 1)
    path = write(tmp_path / "y.json", pseudo_amodal_document())
    first = load_dataset_dicts(path, "", "pseudo_amodal")[0]["annotations"][0]
    assert (first["occluder_ids"], first["occlusion_rate"]) == ([12], 0.5)
    assert not {"occluder_confidences", "mutual_occlusion_ids"} & first.keys()
    document = pseudo_amodal_document()
    said = {"occluder_confidences": [0.25], "mutual_occlusion_ids": [13]}
    document["annotations"][0] |= said
    path = write(tmp_path / "y.json", document)
    first = load_dataset_dicts(path, "", "pseudo_amodal")[0]["annotations"][0]
    assert said.items() <= first.items() and first["occluder_ids"] == [12]
    path = write(tmp_path / "z.json", cocoa_cls_document())
    assert load_dataset_dicts(path, "", "cocoa_cls")[0]["annotations"][0]["occlude_rate"] == 0.5


# ---------------------------------------------------------------- modal COCO JSON


def coco_document() -> dict:
    return {
        "images": [
            {"id": 7, "coco_url": "http://images.org/train2017/07.jpg", "height": H, "width": W}
        ],
        "categories": CATEGORIES,
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 4, "segmentation": [polygon(0, 1, 3, 5)]},
            {
                "id": 2,
                "image_id": 7,
                "category_id": 2,
                "iscrowd": 1,
                "bbox": [2.5, 0, 4.25, 6],
                # 18 pixels are columns 0-2, 24 are columns 3-6.
                "segmentation": {"size": [H, W], "counts": [18, 24, 6]},
            },
            {"id": 3, "image_id": 7, "category_id": 2, "segmentation": rle(MAN), "track_id": 9},
        ],
    }


def test_modal_coco(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", coco_document())
    (record,) = load_dataset_dicts(path, "coco", "coco", "modal")
    assert record["file_name"] == "coco/train2017/07.jpg"
    first, crowd, tracked = record["annotations"]
    assert first["bbox"] == [0, 1, 3, 4], "without a box in the file, the mask's"
    assert crowd["bbox"] == [2.5, 0, 4.25, 6] and [first["iscrowd"], crowd["iscrowd"]] == [0, 1]
    for annotation, mask in ((first, CAR_VISIBLE), (crowd, MAN), (tracked, MAN)):
        assert same(annotation["segmentation"], mask)
        assert same(annotation["modal_segmentation"], mask)
        assert "amodal_segmentation" not in annotation
    assert tracked["track_id"] == 9


def test_crowds_of_a_converted_file_have_one_mask(tmp_path: Path) -> None:
    document = coco_document()
    document["annotations"] = document["annotations"][1:2]
    path = write(tmp_path / "x.json", document)
    for view in ("amodal", "modal"):
        (crowd,) = load_dataset_dicts(path, "", "pseudo_amodal", view)[0]["annotations"]
        assert crowd["iscrowd"] == 1 and same(crowd["segmentation"], MAN)
        assert same(crowd["modal_segmentation"], MAN)


def test_labels_are_attached(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", coco_document())
    labels = write(
        tmp_path / "labels.json",
        [
            {
                "annotation_id": 3,
                "amodal_bbox": [1.5, 0, 5, 6],
                "occluded": 2,
                "truncated": 0.25,
                "depth": 12.5,
            },
            {"annotation_id": 99, "depth": 1.0},
        ],
    )
    first, _, third = load_dataset_dicts(path, "", "coco", "modal", labels)[0]["annotations"]
    assert third["amodal_bbox"] == [1.5, 0, 5, 6]
    assert (third["occlusion_level"], third["truncated"], third["depth"]) == (2, 0.25, 12.5)
    assert not {"amodal_bbox", "occlusion_level", "truncated", "depth"} & set(first)


# ---------------------------------------------------------------- COCOA


def cocoa_entry() -> dict:
    return {
        "id": 5,
        "image_id": 7,
        "url": "https://s3.org/x/COCO_val2014_000000000007.jpg",
        "depth_constraint": "2-1,2-3,1-3",
        "regions": [
            {
                "segmentation": polygon(0, 1, 6, 5),
                "name": "car",
                "isStuff": 0,
                "occlude_rate": 0.5,
                "order": 2,
                "visible_mask": rle(CAR_VISIBLE),
                "invisible_mask": rle(CAR & ~CAR_VISIBLE),
            },
            {
                "segmentation": polygon(3, 0, 7, 6),
                "name": "man",
                "isStuff": 0,
                "occlude_rate": 0,
                "order": 1,
            },
            {  # entirely hidden
                "segmentation": polygon(4, 1, 5, 4),
                "name": "bag",
                "isStuff": 0,
                "occlude_rate": 1,
                "order": 4,
                "visible_mask": rle(NOTHING),
            },
        ],
    }


def check_cocoa(records: list[dict], file_name: str) -> None:
    record = records[0]
    assert record["file_name"] == file_name and record["image_id"] == 7
    car, man, bag = record["annotations"]
    assert [a["id"] for a in (car, man, bag)] == [5001, 5002, 5003]
    assert {a["category_id"] for a in (car, man, bag)} == {0}
    assert {a["dataset_category_id"] for a in (car, man, bag)} == {1}
    assert [a["order"] for a in (car, man, bag)] == [2, 1, 4]
    assert [a["name"] for a in (car, man, bag)] == ["car", "man", "bag"]
    assert same(car["segmentation"], CAR) and same(car["modal_segmentation"], CAR_VISIBLE)
    assert same(man["segmentation"], MAN) and same(man["modal_segmentation"], MAN)
    assert same(bag["modal_segmentation"], NOTHING)
    assert car["bbox"] == [0, 1, 6, 4]
    # Positions in `regions`, not the regions' `order`, which knows no 3 here.
    assert record["depth_constraints"] == [(1, 0), (1, 2), (0, 2)]


def test_cocoa_with_images(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", {"images": IMAGES, "annotations": [cocoa_entry()]})
    records = load_dataset_dicts(path, "root", "cocoa")
    check_cocoa(records, "root/b.png")
    assert records[1]["annotations"] == [] and "depth_constraints" not in records[1]


def test_cocoa_modal_view_renumbers_the_constraints(tmp_path: Path) -> None:
    entry = cocoa_entry()
    entry["regions"] = [entry["regions"][i] for i in (2, 0, 1)]
    entry["depth_constraint"] = "3-2,3-1,2-1"
    path = write(tmp_path / "x.json", {"images": IMAGES, "annotations": [entry]})
    record = load_dataset_dicts(path, "", "cocoa", "modal")[0]
    assert [a["name"] for a in record["annotations"]] == ["car", "man"]
    assert record["depth_constraints"] == [(1, 0)]


@pytest.mark.parametrize("shape", ["entry", "list", "annotations"])
def test_cocoa_without_images(tmp_path: Path, shape: str) -> None:
    entry = cocoa_entry()
    document = {"entry": entry, "list": [entry], "annotations": {"annotations": [entry]}}[shape]
    path = write(tmp_path / "x.json", document)
    check_cocoa(load_dataset_dicts(path, "root", "cocoa"), "root/COCO_val2014_000000000007.jpg")


def test_cocoa_entry_takes_the_image_beside_it(tmp_path: Path) -> None:
    entry = cocoa_entry()
    entry["regions"] = entry["regions"][1:2]  # no RLE tells the size
    del entry["depth_constraint"]
    Image.new("RGB", (W, H)).save(tmp_path / "scene.jpg")
    path = write(tmp_path / "scene.json", entry)
    (record,) = load_dataset_dicts(path, str(tmp_path), "cocoa")
    assert record["file_name"] == str(tmp_path / "scene.jpg")
    assert (record["height"], record["width"]) == (H, W)
    assert "depth_constraints" not in record
    assert same(record["annotations"][0]["segmentation"], MAN)


def test_first_annotator_of_an_image_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = {**cocoa_entry(), "id": 6, "depth_constraint": ""}
    path = write(tmp_path / "x.json", {"images": IMAGES, "annotations": [cocoa_entry(), second]})
    with caplog.at_level("WARNING"):
        check_cocoa(load_dataset_dicts(path, "root", "cocoa"), "root/b.png")
    assert "1 entries are further annotators'" in caplog.text


# ---------------------------------------------------------------- single items


@pytest.mark.parametrize("name", [*DOCUMENTS, "coco"])
def test_single_items_are_parsed_and_left_untouched(name: str) -> None:
    document = coco_document() if name == "coco" else DOCUMENTS[name]()
    annotation_format = ANNOTATION_FORMATS[name]
    image = annotation_format.images_of(document["images"][0])
    assert (image.id, image.height, image.width) == (7, H, W)
    raw = document["annotations"][0]
    before = copy.deepcopy(raw)
    (parsed,) = annotation_format.parse(raw, image)
    assert raw == before and parsed.raw == before and parsed.raw is not raw
    assert annotation_format.image_id_of(raw) == parsed.image_id == 7
    assert (parsed.id, parsed.category_id, parsed.iscrowd) == (raw["id"], 4, False)
    assert same(parsed.modal, CAR_VISIBLE)
    assert (parsed.amodal is None) == (name == "coco") == (not annotation_format.knows_amodal)


def test_single_cocoa_entry_becomes_coco_annotations() -> None:
    image = ImageInfo(7, H, W, "b.png")
    parsed = ANNOTATION_FORMATS["cocoa"].parse(cocoa_entry(), image)
    assert [p.is_hidden for p in parsed] == [False, False, True]
    raw = parsed[1].raw
    assert {k: raw[k] for k in ("id", "image_id", "category_id", "iscrowd", "name", "order")} == {
        "id": 5002,
        "image_id": 7,
        "category_id": 1,
        "iscrowd": 0,
        "name": "man",
        "order": 1,
    }
