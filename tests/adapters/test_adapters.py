"""Results of other libraries, by stand-ins that hold what theirs do.

tests/integrations has the real ones.
"""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from deocclusion_d2.adapters import Predictions, from_results
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.scene_input import scene_from_masks
from tests.helpers import box_mask

H, W = 40, 60
MASKS = np.stack([box_mask(H, W, 5, 5, 25, 20), box_mask(H, W, 30, 8, 44, 30)])


def detections(**values):
    given = {"mask": MASKS, "confidence": np.array([0.9, 0.4]), "class_id": np.array([7, 3])}
    return SimpleNamespace(xyxy=np.zeros((2, 4)), **{**given, **values})


def transformers_result(segmentation, scores=(0.9, 0.4)):
    infos = [{"id": k + 4, "label_id": 7 - 4 * k, "score": s} for k, s in enumerate(scores)]
    return {"segmentation": segmentation, "segments_info": infos}


class Boxes:
    def __init__(self, count):
        self.conf, self.cls = torch.tensor([0.9, 0.4])[:count], torch.tensor([7.0, 3.0])[:count]

    def __len__(self):
        return len(self.conf)


def yolo(masks, boxes=2):
    held = None if masks is None else SimpleNamespace(data=masks)
    return SimpleNamespace(orig_shape=(H, W), masks=held, boxes=Boxes(boxes), names={})


ID_MAP = np.full((H, W), -1.0)
ID_MAP[MASKS[0]], ID_MAP[MASKS[1]] = 4, 5
FORMS = {
    "supervision": detections(),
    "map": transformers_result(torch.from_numpy(ID_MAP)),
    "binary maps": transformers_result(torch.from_numpy(MASKS).float()),
    "in a list": [transformers_result(ID_MAP.astype(np.int32))],
    "ultralytics": yolo(torch.from_numpy(MASKS).to(torch.uint8)),
    "in a list of ultralytics": [yolo(MASKS.astype(np.float32))],
}


@pytest.mark.parametrize("form", FORMS)
def test_masks_scores_and_classes(form):
    found = from_results(FORMS[form])
    assert found.masks.dtype == bool and np.array_equal(found.masks, MASKS)
    assert found.scores == pytest.approx([0.9, 0.4]) and found.classes == [7, 3]
    scene, rows = scene_from_masks(FORMS[form], contiguous_ids={70: 7, 30: 3}, min_score=0.3)
    assert rows == [0, 1] and scene.category_ids.tolist() == [70, 30]
    assert scene.scores == pytest.approx([0.9, 0.4])


def test_predict_takes_them_and_leaves_low_scores_out():
    result = Deoccluder.baseline("raw").predict(FORMS["map"])
    assert result.rows == [0] and result.scene.scores == [0.9]
    assert np.array_equal(result.amodal_masks[0].to_array(H, W), MASKS[0])


def test_what_is_of_no_library_is_left_to_others():
    for other in (MASKS, list(MASKS), {"instances": 1}, [], [{"segmentation": MASKS[0]}], None):
        assert from_results(other) is None
    given = Predictions(MASKS)
    assert from_results(given) is given


@pytest.mark.parametrize("size", [(96, 128), (64, 64), (416, 640), (32, 61)])
def test_masks_of_the_networks_size_come_back(size):
    """Scaled by one factor and padded evenly, as YOLO's input is; the odd pixel lies behind."""
    scale = min(size[0] / H, size[1] / W)
    inner = round(H * scale), round(W * scale)
    top, left = (int((size[k] - inner[k]) / 2) for k in (0, 1))
    network = np.zeros((2, *size), np.float32)
    for k, mask in enumerate(MASKS.astype(np.float32)):
        scaled = cv2.resize(mask, inner[::-1], interpolation=cv2.INTER_NEAREST)
        network[k, top : top + inner[0], left : left + inner[1]] = scaled
    found = from_results(yolo(network)).masks
    assert found.shape == MASKS.shape
    # Right but for a border of one pixel.
    around = np.ones((3, 3), np.uint8)
    for mask, truth in zip(found, MASKS.astype(np.uint8), strict=True):
        assert (mask <= cv2.dilate(truth, around)).all() and (
            mask >= cv2.erode(truth, around)
        ).all()


@pytest.mark.parametrize(
    "empty",
    [
        transformers_result(np.full((H, W), -1), scores=()),
        yolo(None, boxes=0),
        yolo(np.zeros((0, 20, 30)), boxes=0),
    ],
    ids=["transformers", "ultralytics", "ultralytics without masks"],
)
def test_nothing_found(empty):
    scene, rows = scene_from_masks(empty)
    assert (scene.height, scene.width, len(scene), rows) == (H, W, 0, [])


def test_no_detections_have_no_size():
    empty = SimpleNamespace(xyxy=np.zeros((0, 4)), mask=None, confidence=None, class_id=None)
    scene, _ = scene_from_masks(empty, image=np.zeros((H, W, 3), np.uint8))
    assert (scene.height, scene.width, len(scene)) == (H, W, 0)
    with pytest.raises(UserError, match="no masks and no image"):
        scene_from_masks(empty)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (detections(mask=None), "these Detections have boxes alone"),
        (yolo(None), "these Results have boxes alone"),
        (transformers_result([[1, 5, 9, 2]]), "leave out return_coco_annotation"),
        (transformers_result(None), "is no map of segments"),
        (transformers_result(MASKS[:1]), "1 masks and 2 segments_info"),
        ([yolo(MASKS), yolo(MASKS)], "results for 2 images: give those of one"),
        (yolo(MASKS[:1]), "1 masks, 2 scores: give one per mask"),
        (detections(class_id=np.array([1]), confidence=None), "2 masks, 1 class numbers"),
        (detections(mask=MASKS[0]), r"shape \(40, 60\), not \(N, H, W\)"),
    ],
)
def test_refusals(results, message):
    with pytest.raises(UserError, match=message) as error:
        scene_from_masks(results)
    assert "\n" not in str(error.value)


def test_masks_of_another_size_than_the_image():
    small = transformers_result(ID_MAP[::2, ::2])
    with pytest.raises(UserError) as error:
        scene_from_masks(small, image=np.zeros((H, W, 3), np.uint8))
    assert str(error.value) == (
        "the image is 60 x 40 pixels, the masks 30 x 20: "
        "post-process with target_sizes=[(height, width)]"
    )


def test_class_numbers_are_no_category_ids():
    with pytest.raises(UserError, match="these masks have class numbers"):
        scene_from_masks(detections(), needs_category=True)
