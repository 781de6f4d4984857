"""Mask R-CNN on data as they are read: its mapper, its evaluation, and what does not fit it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, DatasetMapper, MetadataCatalog
from detectron2.evaluation import COCOEvaluator
from detectron2.structures import Boxes, Instances
from PIL import Image
from pycocotools import mask as mask_util

from deocclusion_d2.config import load_config
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.picture_mapper import PictureMapper
from deocclusion_d2.engine.evaluate import build_evaluator, build_test_loader
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.systems import system_of
from tests.helpers import box_mask

CONFIG = "amodal_mask_rcnn_R_18_FPN_kins_quick.yaml"
H, W = 40, 60
BOXES = [(5, 5, 25, 25), (22, 10, 42, 30), (45, 5, 55, 35)]


def rle(x0: int, y0: int, x1: int, y1: int) -> dict:
    return WindowMask.from_array(box_mask(H, W, x0, y0, x1, y1)).to_rle(H, W)


def document(first_id: int = 1, categories: int = 2) -> dict:
    """A modal COCO file of one image and three objects."""
    return {
        "images": [{"id": 1, "file_name": "1.png", "height": H, "width": W}],
        "categories": [{"id": 3 + k, "name": f"c{k}"} for k in range(categories)],
        "annotations": [
            {
                "id": first_id + number,
                "image_id": 1,
                "category_id": 3 + number % 2,
                "iscrowd": 0,
                "segmentation": rle(*box),
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": (box[2] - box[0]) * (box[3] - box[1]),
            }
            for number, box in enumerate(BOXES)
        ],
    }


def write(folder: Path, content: dict) -> str:
    """A file and its image; its name as a data set."""
    Image.fromarray(np.full((H, W, 3), 90, np.uint8)).save(folder / "1.png")
    path = folder / "data.json"
    path.write_text(json.dumps(content))
    return f"coco:{path}@{folder}"


def config(*options: str):
    return load_config(CONFIG, ["MODEL.ROI_HEADS.NUM_CLASSES", "2", *options])


def found(masks: list[np.ndarray], classes: list[int], scores: list[float]) -> dict:
    """What a detector would give."""
    boxes = [
        mask_util.toBbox(mask_util.encode(np.asfortranarray(m.astype(np.uint8)))) for m in masks
    ]
    boxes = np.array(boxes).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    instances = Instances(masks[0].shape)
    instances.pred_boxes = Boxes(torch.from_numpy(boxes).float())
    instances.pred_masks = torch.from_numpy(np.stack(masks))
    instances.pred_classes = torch.tensor(classes)
    instances.scores = torch.tensor(scores)
    return {"instances": instances}


def perfect() -> dict:
    return found([box_mask(H, W, *box) for box in BOXES], [0, 1, 0], [0.9, 0.8, 0.7])


def evaluate(evaluator, image_ids: list, outputs: list[dict]) -> dict:
    evaluator.reset()
    evaluator.process([{"image_id": number} for number in image_ids], outputs)
    with contextlib.redirect_stdout(io.StringIO()):
        return evaluator.evaluate()


def judged(name: str, folder: Path, image_id=1) -> tuple[float, float]:
    """AP of boxes and masks of the perfect predictions."""
    evaluator = build_evaluator(config(), ensure_registered(name), str(folder))
    results = evaluate(evaluator, [image_id], [perfect()])
    return results["bbox"]["AP"], results["segm"]["AP"]


def edit(change: str) -> tuple[dict, int | str]:
    """A document that Detectron2's evaluation of the raw file stumbles over; its image's id."""
    content = document(first_id=0 if change == "ids from 0" else 1)
    images, annotations = content["images"], content["annotations"]
    if change == "text ids":
        for number, annotation in enumerate(annotations):
            annotation.update(id=f"a{number}", image_id="one")
        images[0]["id"] = "one"
    elif change == "empty segmentation":
        annotations[0]["segmentation"] = []
    elif change == "flat polygon":
        annotations[0]["segmentation"] = [5, 5, 25, 5, 25, 25, 5, 25]
    elif change == "boxes null":
        for annotation in annotations:
            annotation["bbox"] = None
    elif change == "boxes of no size":
        annotations[1]["bbox"] = [0, 0, 0, 0]
    elif change == "no areas":
        for annotation in annotations:
            del annotation["area"]
    elif change == "a crowd that is not found":
        annotations.append(
            {**annotations[0], "id": 9, "iscrowd": 1, "segmentation": rle(0, 36, 60, 40)}
        )
    return content, images[0]["id"]


@pytest.mark.parametrize(
    "change",
    [
        "ids from 0",
        "text ids",
        "flat polygon",
        "boxes null",
        "boxes of no size",
        "no areas",
        "a crowd that is not found",
    ],
)
def test_perfect_predictions_are_perfect(tmp_path, coco_library, change):
    content, image_id = edit(change)
    boxes, masks = judged(write(tmp_path, content), tmp_path / "out", image_id)
    assert boxes == pytest.approx(100) and masks == pytest.approx(100)


@pytest.mark.parametrize("format_name", ["coco", "kins"])
def test_an_instance_without_a_mask_need_not_be_found(tmp_path, format_name):
    content, _ = edit("empty segmentation")
    for annotation in content["annotations"]:
        annotation["inmodal_seg"] = annotation["segmentation"]
    name = ensure_registered(write(tmp_path, content).replace("coco:", f"{format_name}:"))
    others = found([box_mask(H, W, *box) for box in BOXES[1:]], [1, 0], [0.8, 0.7])
    results = evaluate(build_evaluator(config(), name, str(tmp_path)), [1], [others])
    assert results["bbox"]["AP"] == results["segm"]["AP"] == pytest.approx(100)


def test_what_is_left_out_on_reading_is_no_truth(tmp_path):
    """The modal view of KINS leaves out an object without a visible pixel."""
    content = document()
    for annotation in content["annotations"]:
        annotation["inmodal_seg"] = annotation["segmentation"]
    hidden = {**content["annotations"][0], "id": 9}
    empty = mask_util.encode(np.zeros((H, W), np.uint8, order="F"))
    hidden["inmodal_seg"] = {"size": [H, W], "counts": empty["counts"].decode()}
    content["annotations"].append(hidden)
    name = write(tmp_path, content).replace("coco:", "kins.modal:")
    assert judged(name, tmp_path / "out") == pytest.approx((100, 100))


def disturbed(records: list[dict]) -> list[dict]:
    """Predictions that miss some instances and are off for others."""
    rng, outputs = np.random.default_rng(0), []
    for record in records:
        masks, classes = [], []
        for annotation in record["annotations"]:
            if rng.random() < 0.15:
                continue
            mask = mask_util.decode(annotation["segmentation"]).astype(bool)
            masks.append(np.roll(mask, rng.integers(-2, 3, 2).tolist(), (0, 1)))
            classes.append(annotation["category_id"] if rng.random() < 0.9 else 0)
        outputs.append(found(masks, classes, rng.random(len(masks)).tolist()))
    return outputs


def test_good_files_are_judged_as_by_detectron2(tiny_kins, tmp_path, coco_library):
    """To the last digit as by its evaluator on the file itself."""
    path = tiny_kins / "instances_val.json"
    name = ensure_registered(f"kins:{path}@{tiny_kins / 'testing' / 'image_2'}")
    records = DatasetCatalog.get(name)
    outputs, ids = disturbed(records), [record["image_id"] for record in records]
    cfg = config("MODEL.ROI_HEADS.NUM_CLASSES", "8")
    ours = evaluate(build_evaluator(cfg, name, str(tmp_path / "ours")), ids, outputs)
    metadata = MetadataCatalog.get(name)
    raw = "mask_rcnn_test_raw"
    MetadataCatalog.pop(raw, None)
    MetadataCatalog.get(raw).set(
        json_file=str(path),
        thing_classes=metadata.thing_classes,
        thing_dataset_id_to_contiguous_id=metadata.thing_dataset_id_to_contiguous_id,
    )
    theirs = COCOEvaluator(
        raw, ("bbox", "segm"), output_dir=str(tmp_path / "theirs"), use_fast_impl=False
    )
    theirs = evaluate(theirs, ids, outputs)
    assert 0 < theirs["segm"]["AP"] < 100
    # Beyond theirs: by the hidden share, which the file tells of every object.
    by_share = ours.pop("hidden")
    objects = sum(v for key, v in by_share.items() if key.startswith("objects-"))
    assert objects == sum(len(record["annotations"]) for record in records)
    assert json.dumps(ours) == json.dumps(theirs)
    written = [sorted(path.name for path in (tmp_path / w).iterdir()) for w in ("ours", "theirs")]
    assert written[0] == written[1]
    file = "coco_instances_results.json"
    assert (tmp_path / "ours" / file).read_text() == (tmp_path / "theirs" / file).read_text()


def test_some_images_and_none_found(tmp_path, coco_library):
    """Without any detection Detectron2 gives NaN."""
    content = document()
    content["images"].append({"id": 2, "file_name": "1.png", "height": H, "width": W})
    content["annotations"].append({**content["annotations"][0], "id": 9, "image_id": 2})
    name = ensure_registered(write(tmp_path, content))
    evaluator = build_evaluator(config(), name, None)
    evaluator.reset()
    evaluator.process([{"image_id": 1}], [perfect()])
    assert evaluator.evaluate()["segm"]["AP"] < 90
    evaluator.reset()
    evaluator.process([{"image_id": 1}], [perfect()])
    assert evaluator.evaluate([1])["segm"]["AP"] == pytest.approx(100)
    results = evaluate(evaluator, [1], [{"instances": perfect()["instances"][:0]}])
    assert np.isnan(results["bbox"]["AP"]) and np.isnan(results["segm"]["AP"])


def test_a_second_evaluation_sees_the_file_as_it_is_now(tmp_path):
    name = write(tmp_path, document())
    assert judged(name, tmp_path) == pytest.approx((100, 100))
    content = document()
    content["annotations"][0]["segmentation"] = rle(5, 5, 25, 11)
    write(tmp_path, content)
    assert judged(name, tmp_path)[1] < 99
    assert not list(tmp_path.glob("*coco_format*"))


def test_ids_of_two_kinds_are_refused(tmp_path):
    content = document()
    content["images"].append({"id": "two", "file_name": "2.png", "height": H, "width": W})
    name = ensure_registered(write(tmp_path, content))
    with pytest.raises(UserError, match="some image ids are numbers and some texts"):
        build_evaluator(config(), name, str(tmp_path))


# -------------------------------------------------------------------- what fits the network


def training(name: str, *options: str):
    cfg = config("DATASETS.TRAIN", f"('{name}',)", "DATALOADER.NUM_WORKERS", "0", *options)
    return system_of(cfg).network.train_loader(cfg)


@pytest.mark.parametrize("number", [1, 3, 80])
def test_another_number_of_classes(tmp_path, number):
    name = write(tmp_path, document())
    classes = ("MODEL.ROI_HEADS.NUM_CLASSES", str(number))
    expected = rf"ROI_HEADS.NUM_CLASSES = {number}, but data set '.*' has 2 categories \(c0, c1\)"
    with pytest.raises(UserError, match=f"{expected}: set .*NUM_CLASSES to 2"):
        training(name, *classes)
    with pytest.raises(UserError, match=expected):
        build_test_loader(config(*classes), name)


def test_retinanet_names_its_own_key(tmp_path):
    name = write(tmp_path, document())
    with pytest.raises(UserError, match="^MODEL.RETINANET.NUM_CLASSES = 80, .* to 2"):
        training(name, "MODEL.META_ARCHITECTURE", "RetinaNet")


@pytest.mark.parametrize("left", ["none", "crowds", "empty masks"])
def test_nothing_to_learn_from(tmp_path, left):
    content = document()
    if left == "none":
        content["annotations"] = []
    for annotation in content["annotations"]:
        annotation.update({"iscrowd": 1} if left == "crowds" else {"segmentation": []})
    for keep in ("True", "False"):
        with pytest.raises(UserError, match=r"DATASETS.TRAIN = .*there is no instance to learn"):
            training(write(tmp_path, content), "DATALOADER.FILTER_EMPTY_ANNOTATIONS", keep)


def test_data_sets_of_other_categories(tmp_path):
    (tmp_path / "a").mkdir()
    other = document()
    other["categories"][1]["name"] = "else"
    names = [write(tmp_path, document()), write(tmp_path / "a", other)]
    with pytest.raises(UserError, match=r"has other categories than .*\(c0, else; c0, c1\)"):
        training("', '".join(names))


def test_masks_are_no_polygons(tmp_path):
    with pytest.raises(UserError, match="INPUT.MASK_FORMAT = 'polygon': .* set it to bitmask"):
        training(write(tmp_path, document()), "INPUT.MASK_FORMAT", "polygon")


# -------------------------------------------------------------------- images


@pytest.mark.parametrize("image_format", ["BGR", "RGB", "L", "YUV-BT.601"])
@pytest.mark.parametrize("is_train", [True, False])
def test_samples_are_those_of_detectron2(tiny_kins, image_format, is_train):
    name = f"kins:{tiny_kins}/instances_train.json@{tiny_kins}/training/image_2"
    record = DatasetCatalog.get(ensure_registered(name))[0]
    cfg = config("INPUT.FORMAT", image_format, "INPUT.CROP.ENABLED", "True")
    samples = []
    for mapper in (DatasetMapper(cfg, is_train), PictureMapper(cfg, is_train)):
        np.random.seed(0)  # noqa: NPY002 - Detectron2 draws from it
        samples.append(mapper(record))
    theirs, ours = samples
    assert set(theirs) == set(ours)
    assert torch.equal(theirs["image"], ours["image"])
    if is_train:
        for field in ("gt_boxes", "gt_masks"):
            a, b = theirs["instances"].get(field).tensor, ours["instances"].get(field).tensor
            assert torch.equal(a, b)


def test_images_that_do_not_fit(tmp_path):
    name = write(tmp_path, document())
    loader = build_test_loader(config("DATALOADER.NUM_WORKERS", "0"), name)
    Image.fromarray(np.full((W, H, 3), 90, np.uint8)).save(tmp_path / "1.png")
    with pytest.raises(UserError, match=r"1\.png: the photo is 40 x 60 pixels, its masks"):
        next(iter(loader))
    with pytest.raises(UserError, match=r"1\.png: the photo is 40 x 60 pixels, its masks"):
        next(iter(training(name)))
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"1\.png: not a readable picture"):
        next(iter(loader))
