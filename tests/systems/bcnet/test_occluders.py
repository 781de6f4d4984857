"""What hides an object, as BCNet's first layer learns it: by hand, and through the mapper."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.data import transforms as T
from PIL import Image

from deocclusion_d2 import load_config
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.picture_mapper import PictureMapper
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.systems.bcnet.mapper import BCNetMapper, build_train_loader
from deocclusion_d2.systems.bcnet.occluders import in_front, neighbours, occluder_masks
from tests.helpers import box_mask

CONFIG = "bcnet_R_18_FPN_kins_quick"
H, W = 40, 60


def filled(*box: int) -> WindowMask:
    return WindowMask.filled(box)


def rle(*boxes: tuple) -> dict:
    return WindowMask.from_array(np.any([box_mask(H, W, *box) for box in boxes], axis=0)).to_rle(
        H, W
    )


def targets(masks: list[WindowMask], min_pixels: int = 20) -> list[int]:
    found = occluder_masks(masks, neighbours(masks, 0.05), min_pixels)
    return [mask.area for mask in found]


def test_neighbours_by_hand():
    """IoU of the boxes 50 / 150, 10 / 190 and 0: enough, enough but too few pixels, none."""
    assert targets([filled(0, 0, 10, 10), filled(5, 0, 15, 10)]) == [50, 50]
    touching = [filled(0, 0, 10, 10), filled(9, 0, 19, 10)]
    assert neighbours(touching, 0.05) == [[1], [0]]
    assert targets(touching) == [0, 0] and targets(touching, 9) == [10, 10]
    assert neighbours([filled(0, 0, 10, 10), filled(10, 0, 20, 10)], 0.0) == [[], []]
    # Both limits are exclusive.
    exact = [filled(0, 0, 21, 10), filled(20, 0, 21, 10)]  # 10 / 210
    assert neighbours(exact, 10 / 210) == [[], []] and neighbours(exact, 0.047) == [[1], [0]]
    assert targets([filled(0, 0, 5, 5), filled(0, 0, 5, 4)], 20) == [0, 0]


def test_neighbours_slowly():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 30, (40, 2))
    masks = [
        filled(x, y, x + w, y + h)
        for (x, y), (w, h) in zip(
            corners.tolist(), rng.integers(1, 20, (40, 2)).tolist(), strict=True
        )
    ]
    masks[3] = WindowMask.empty()
    boxes = [m.to_array(60, 60) for m in masks]  # a filled box is its own box
    for i, found in enumerate(neighbours(masks, 0.05)):
        expected = [
            j
            for j in range(40)
            if j != i and (boxes[i] & boxes[j]).sum() > 0.05 * (boxes[i] | boxes[j]).sum()
        ]
        assert sorted(found) == expected


def test_an_occluder_ends_with_the_object_s_box():
    """Two occluders, one larger than the object: the union, inside the box, holes and all."""
    ring = filled(0, 0, 40, 40) - filled(12, 12, 18, 18)
    masks = [filled(10, 10, 20, 20), ring, filled(12, 12, 14, 14)]
    found = occluder_masks(masks, [[1, 2], [], [0]], 3)
    assert found[0].area == 100 - 36 + 4 and found[0].box == (10, 10, 20, 20)
    assert found[1].is_empty and found[2].area == 4
    assert occluder_masks([WindowMask.empty(), masks[0]], [[1], [0]], 0) == [WindowMask.empty()] * 2


# -------------------------------------------------------------------- who is in front

FRONT, BACK = (10, 10, 30, 30), (20, 10, 45, 30)


def kins(crowd: bool = False) -> dict:
    """FRONT hides 10 x 20 pixels of BACK; a third object far away, and perhaps a crowd."""
    rows = [
        (rle(BACK), rle((30, 10, 45, 30))),
        (rle(FRONT), rle(FRONT)),
        (rle((50, 0, 58, 8)), rle((50, 0, 58, 8))),
    ]
    if crowd:
        rows.insert(0, (rle((0, 0, W, H)), rle((0, 0, W, H))))
    return {
        "images": [{"id": 7, "file_name": "1.png", "height": H, "width": W}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {
                "id": 100 + k,
                "image_id": 7,
                "category_id": 1,
                "iscrowd": int(crowd and k == 0),
                "segmentation": amodal,
                "inmodal_seg": modal,
                "bbox": WindowMask.from_rle(amodal).xywh,
                "inmodal_bbox": WindowMask.from_rle(modal).xywh,
                "area": WindowMask.from_rle(amodal).area,
            }
            for k, (amodal, modal) in enumerate(rows)
        ],
    }


def record_of(folder, document: dict, format: str) -> dict:
    pixels = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "1.png")
    path = folder / f"{format}.json"
    path.write_text(json.dumps(document))
    return DatasetCatalog.get(ensure_registered(f"{format}:{path}@{folder}"))[0]


def mapper(*opts: str, flip: bool = False) -> BCNetMapper:
    found = BCNetMapper(load_config(CONFIG, [*opts]), True)
    found.augmentations = T.AugmentationList([T.RandomFlip(prob=1.0)] if flip else [])
    return found


def occluders_of(sample: dict) -> torch.Tensor:
    return sample["instances"].gt_occluder_masks.tensor


IN_FRONT = ("MODEL.BCNET.OCCLUDERS", "in_front")


def test_true_masks_say_who_is_in_front(tmp_path):
    record = record_of(tmp_path, kins(crowd=True), "kins")
    assert in_front(record) == [[], [2], [], []]
    hidden = torch.from_numpy(box_mask(H, W, 20, 10, 30, 30))
    found = occluders_of(mapper(*IN_FRONT)(record))
    assert torch.equal(found[0], hidden) and not found[1:].any()
    # For neighbours it goes both ways.
    both = occluders_of(mapper()(record))
    assert torch.equal(both[0], hidden) and torch.equal(both[1], hidden) and not both[2].any()
    # Of visible parts: what lies in the box of BACK's is nothing, for FRONT hides its left part.
    visible = record_of(tmp_path, kins(), "kins.modal")
    assert in_front(visible) == [[1], [], []]
    assert not occluders_of(mapper(*IN_FRONT)(visible)).any()


def test_converted_labels_say_who_is_in_front(tmp_path):
    """Also against the masks; of two that hide each other both do."""
    document = kins()
    for annotation, ids in zip(document["annotations"], ([], [100, 999], [102]), strict=True):
        annotation["modal_segmentation"] = annotation.pop("inmodal_seg")
        annotation["occluder_ids"] = ids
    document["annotations"][2]["mutual_occlusion_ids"] = [101]
    document["annotations"][1]["mutual_occlusion_ids"] = [102]
    document["annotations"][2]["occluder_ids"] = []
    record = record_of(tmp_path, document, "pseudo_amodal")
    assert in_front(record) == [[], [0, 2], [1]]


def test_nobody_says_who_is_in_front(tmp_path):
    document = kins()
    for annotation in document["annotations"]:
        del annotation["inmodal_seg"], annotation["inmodal_bbox"]
    record = record_of(tmp_path, document, "coco")
    assert in_front(record) is None
    with pytest.raises(UserError, match="nothing says which object is in front"):
        mapper(*IN_FRONT)(record)
    assert occluders_of(mapper()(record)).any()
    record["annotations"] = record["annotations"][:1]  # nothing can hide it
    assert not occluders_of(mapper(*IN_FRONT)(record)).any()


def test_annotators_say_who_is_in_front(tmp_path):
    record = record_of(tmp_path, kins(crowd=True), "kins")
    record["depth_constraints"] = [(1, 3)]
    assert in_front(record) == [[], [], [], [1]]


# -------------------------------------------------------------------- samples


def test_all_else_is_mask_rcnn_s(tmp_path):
    record = record_of(tmp_path, kins(crowd=True), "kins")
    cfg = load_config(CONFIG)
    samples = []
    for kind in (BCNetMapper, PictureMapper):
        np.random.seed(0)  # noqa: NPY002 - Detectron2's random flips are this generator's
        samples.append(kind(cfg, True)(record))
    own, plain = samples
    assert torch.equal(own["image"], plain["image"])
    assert torch.equal(own["instances"].gt_boxes.tensor, plain["instances"].gt_boxes.tensor)
    assert torch.equal(own["instances"].gt_masks.tensor, plain["instances"].gt_masks.tensor)
    assert torch.equal(own["instances"].gt_classes, plain["instances"].gt_classes)
    assert (
        own["instances"].gt_occluder_masks.tensor.shape == plain["instances"].gt_masks.tensor.shape
    )


def test_a_flipped_image_has_flipped_occluders(tmp_path):
    record = record_of(tmp_path, kins(), "kins")
    plain, flipped = mapper(*IN_FRONT)(record), mapper(*IN_FRONT, flip=True)(record)
    assert occluders_of(plain).any()
    assert torch.equal(occluders_of(flipped), occluders_of(plain).flip(2))
    assert torch.equal(
        flipped["instances"].gt_masks.tensor, plain["instances"].gt_masks.tensor.flip(2)
    )


def test_an_image_of_crowds_alone(tmp_path):
    record = record_of(tmp_path, kins(crowd=True), "kins")
    record["annotations"] = record["annotations"][:1]
    for opts in ((), ("INPUT.CROP.ENABLED", "True")):
        sample = mapper(*opts)(record)
        assert len(sample["instances"]) == 0 and len(occluders_of(sample)) == 0


def test_polygons_of_detectron2_s_own_data(tmp_path):
    record = record_of(tmp_path, kins(), "kins")
    for annotation, box in zip(record["annotations"], (BACK, FRONT, (50, 0, 58, 8)), strict=True):
        x0, y0, x1, y1 = box
        annotation["segmentation"] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
    sample = mapper("INPUT.MASK_FORMAT", "polygon")(record)
    assert torch.equal(occluders_of(sample)[0], torch.from_numpy(box_mask(H, W, 20, 10, 30, 30)))
    assert len(sample["instances"].gt_masks) == 3


def test_settings_that_cannot_be(tmp_path):
    record_of(tmp_path, kins(), "kins")
    name = f"kins:{tmp_path}/kins.json@{tmp_path}"
    opts = ["DATASETS.TRAIN", f"('{name}',)", "MODEL.ROI_HEADS.NUM_CLASSES", "1"]
    with pytest.raises(UserError, match="OCCLUDERS = 'behind': use neighbours or in_front"):
        build_train_loader(load_config(CONFIG, [*opts, "MODEL.BCNET.OCCLUDERS", "behind"]))
    head = ["MODEL.ROI_MASK_HEAD.NAME", "MaskRCNNConvUpsampleHead"]
    for more in (head, ["MODEL.MASK_ON", "False"], ["MODEL.ROI_MASK_HEAD.NAME", "Nothing"]):
        with pytest.raises(UserError, match="MODEL.SYSTEM is bcnet, but MODEL.MASK_ON is "):
            build_train_loader(load_config(CONFIG, [*opts, *more]))
    for key, value in (("BOX_IOU", "1.0"), ("BOX_IOU", "-0.1"), ("MIN_PIXELS", "-1")):
        with pytest.raises(UserError, match=f"MODEL.BCNET.{key} = {value}"):
            build_train_loader(load_config(CONFIG, [*opts, f"MODEL.BCNET.{key}", value]))
    # Modal masks alone: said before training begins.
    document = kins()
    for annotation in document["annotations"]:
        del annotation["inmodal_seg"], annotation["inmodal_bbox"]
    record_of(tmp_path, document, "coco")
    opts[1] = f"('coco:{tmp_path}/coco.json@{tmp_path}',)"
    with pytest.raises(UserError, match=r"image 7 \(.*1.png\): nothing says which object is in fr"):
        build_train_loader(load_config(CONFIG, [*opts, *IN_FRONT]))
