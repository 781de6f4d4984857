import json

import numpy as np
import pytest

from deocclusion_d2.evaluation import AmodalBoxEvaluator, OrderingEvaluator
from deocclusion_d2.evaluation.amodal_box import clip_boxes, paired_box_iou, tight_boxes
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, WindowMask

HEIGHT, WIDTH = 20, 30


def rect(x0, y0, x1, y1):
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), dtype=bool))


def evaluate(predicted, boxes, levels=None, modal=None):
    evaluator = AmodalBoxEvaluator()
    modal = predicted if modal is None else modal
    scene = Scene(HEIGHT, WIDTH, modal, np.ones(len(modal)))
    truth = SceneTruth(
        amodal_boxes=np.array(boxes, dtype=float),
        occlusion_levels=None if levels is None else np.array(levels),
    )
    output = Deocclusion(OcclusionGraph(len(modal)), predicted)
    evaluator.process([{"scene": scene, "truth": truth}], [output])
    return evaluator.evaluate()["amodal_box"]


def test_box_iou_by_hand():
    a = np.array([[0, 0, 4, 4], [0, 0, 2, 2], [1, 1, 3, 5], [0, 0, 0, 0]], dtype=float)
    b = np.array([[2, 2, 6, 6], [5, 5, 6, 6], [1, 1, 3, 5], [0, 0, 0, 0]], dtype=float)
    np.testing.assert_allclose(paired_box_iou(a, b), [4 / 28, 0, 1, 0])


def test_masks_and_boxes_are_cut_at_the_border():
    boxes = clip_boxes(np.array([[-5.5, 2, 4, 99], [31, 0, 40, 5]]), HEIGHT, WIDTH)
    np.testing.assert_array_equal(boxes, [[0, 2, 4, 20], [30, 0, 30, 5]])
    # The second mask has only one pixel inside, far from its own box's corner.
    hook = np.zeros((6, 6), dtype=bool)
    hook[0, :], hook[:, 0] = True, True
    masks = [rect(3, 4, 8, 9), WindowMask(-5, 3, hook), rect(-9, 0, -2, 5), WindowMask.empty()]
    np.testing.assert_array_equal(
        tight_boxes(masks, HEIGHT, WIDTH), [[3, 4, 8, 9], [0, 3, 1, 4], [0, 0, 0, 0], [0, 0, 0, 0]]
    )
    assert tight_boxes([], HEIGHT, WIDTH).shape == (0, 4)
    assert clip_boxes(np.array([]), HEIGHT, WIDTH).shape == (0, 4)


def test_mean_iou_by_level():
    # 16 / 32; a box that leaves the image, cut to what the mask covers; 0 (nothing completed).
    modal = [rect(0, 0, 4, 4), rect(26, 0, 30, 4), rect(10, 10, 12, 12), rect(5, 5, 6, 6)]
    boxes = [[0, 0, 4, 8], [26, 0, 36, 4], [10, 10, 14, 12], [5, 5, 6, 6]]
    predicted = [*modal[:2], WindowMask.empty(), modal[3]]
    results = evaluate(predicted, boxes, [1, 0, 1, -1], modal)
    assert results == pytest.approx(
        {
            "IoU": 100 * (0.5 + 1 + 0 + 1) / 4,
            "boxes": 4,
            "IoU-level0": 100.0,
            "boxes-level0": 1,
            "IoU-level1": 25.0,
            "boxes-level1": 2,
        }
    )


def test_what_is_left_out():
    empty, nan = WindowMask.empty(), np.nan
    # No box; box outside the image; nothing visible; measured, at an unknown level.
    modal = [rect(0, 0, 2, 2), rect(0, 0, 2, 2), empty, rect(4, 4, 6, 6)]
    boxes = [[nan] * 4, [-9, -9, -1, -1], [3, 3, 5, 5], [4, 4, 6, 6]]
    assert evaluate(modal, boxes) == {"IoU": 100.0, "boxes": 1}
    assert evaluate([], np.zeros((0, 4))) == {"boxes": 0}


def test_raw_masks_of_real_street_scenes(real_data):
    """Every 20th frame: near the figures measured on every fifth (0.873, 0.763, 0.474)."""
    with open(real_data / "kitti_mots" / "dev.json") as file:
        dev = json.load(file)
    with open(real_data / "kitti_mots" / "dev_labels.json") as file:
        labels = {label["annotation_id"]: label for label in json.load(file)}
    by_image = {}
    for annotation in dev["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)

    box_evaluator, depth_evaluator = AmodalBoxEvaluator(), OrderingEvaluator("depth")
    for image in dev["images"]:
        if int(image["file_name"][-10:-4]) % 20:
            continue
        annotations = [a for a in by_image.get(image["id"], []) if a["id"] in labels]
        known = [labels[a["id"]] for a in annotations]
        masks = [WindowMask.from_rle(a["segmentation"]) for a in annotations]
        boxes = np.array([label["amodal_bbox"] for label in known]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes[[label["truncated"] > 0 for label in known]] = np.nan
        scene = Scene(
            image["height"], image["width"], masks, [a["category_id"] for a in annotations]
        )
        truth = SceneTruth(
            amodal_boxes=boxes,
            occlusion_levels=np.array([label["occluded"] for label in known], dtype=int),
            depths=np.array([label["depth"] for label in known]),
        )
        # In front: whose lower end is lower in the image.
        bottoms = np.array([mask.box[3] for mask in masks])
        graph = OcclusionGraph.from_order_matrix(np.sign(bottoms[:, None] - bottoms[None]))
        record, output = {"scene": scene, "truth": truth}, Deocclusion(graph, masks)
        box_evaluator.process([record], [output])
        depth_evaluator.process([record], [output])
    boxes = box_evaluator.evaluate()["amodal_box"]
    assert boxes["boxes"] > 200
    assert boxes["IoU-level0"] == pytest.approx(87.3, abs=2)
    assert boxes["IoU-level1"] == pytest.approx(76.3, abs=2)
    assert boxes["IoU-level2"] == pytest.approx(47.4, abs=4)
    order = depth_evaluator.evaluate()["ordering"]
    assert order["pairs"] > 100
    assert order["Acc"] > 95
