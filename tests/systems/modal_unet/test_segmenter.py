"""Modal masks from image and box: what is predicted, written and measured."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deocclusion_d2 import load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference import NetworkRunner
from deocclusion_d2.modeling import UNet
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.systems.modal_unet.evaluator import ModalSegmentationEvaluator
from deocclusion_d2.systems.modal_unet.network import ModalUNet
from deocclusion_d2.systems.modal_unet.segmenter import ModalPrediction, ModalSegmenter
from deocclusion_d2.systems.modal_unet.segmenter import write_predictions as write
from tests.helpers import RuleNetwork, box_mask, randomise, scene_of
from tests.inference.test_invariance import H, W, scenes

# Image id -> masks; the last one of the second image has no visible pixel.
MASKS = {
    11: [box_mask(H, W, 5, 5, 25, 30), box_mask(H, W, 30, 8, 60, 20)],
    12: [box_mask(H, W, 10, 10, 40, 41)],
}


class BrightInBox(RuleNetwork):
    """Foreground: bright pixels inside the box. (Channel 0 is red, channel 3 the box.)"""

    def __init__(self) -> None:
        super().__init__(lambda red, box: (red > 0) & (box > 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x[:, [0, 3]])


@pytest.fixture
def modal_json(tmp_path):
    """A modal COCO JSON whose images are white on every instance, and black elsewhere."""
    images, annotations = [], []
    for image_id, masks in MASKS.items():
        name = f"{image_id}.png"
        cv2.imwrite(str(tmp_path / name), np.any(masks, axis=0).astype(np.uint8) * 255)
        images.append({"id": image_id, "file_name": name, "height": H, "width": W})
        for mask in masks:
            window = WindowMask.from_array(mask)
            annotations.append(
                {
                    "id": 100 + len(annotations),
                    "image_id": image_id,
                    "category_id": 4,
                    "segmentation": window.to_rle(H, W),
                    "bbox": window.xywh,
                    "area": window.area,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 4, "name": "car"}, {"id": 7, "name": "van"}]
    path = tmp_path / "modal.json"
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return path


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "MODEL: {META_ARCHITECTURE: ModalUNet, DEVICE: cpu}\nDATALOADER: {NUM_WORKERS: 0}\n"
        "DEOCCLUSION: {PRECISION: float32}\nINPUT: {INSTANCE_CROP: {SIZE: 128}}\n"
    )
    return load_config(str(path))


def test_predictions_are_coco_results_of_ap_100(cfg, modal_json, tmp_path):
    output = tmp_path / "new" / "results.json"
    assert write(cfg, f"coco:{modal_json}", str(output), ModalUNet(network=BrightInBox())) == 3
    results = json.loads(output.read_text())
    assert [r["annotation_id"] for r in results] == [100, 101, 102]
    assert [r["image_id"] for r in results] == [11, 11, 12]
    assert {r["category_id"] for r in results} == {4}
    # The logits' probability of the rule is sigmoid(8).
    assert [r["score"] for r in results] == pytest.approx([1 / (1 + np.exp(-8))] * 3)
    assert results[1]["bbox"] == pytest.approx([30, 8, 30, 12], abs=1)
    truth = COCO(str(modal_json))
    evaluation = COCOeval(truth, truth.loadRes(str(output)), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[1] == 1.0 and evaluation.stats[0] > 0.85
    assert not output.with_name("results.json.part").exists()


def test_evaluator_by_hand(tmp_path, coco_library):
    scene = scene_of([*MASKS[11], np.zeros((H, W), bool)])
    scene.image_id = 11
    perfect = ModalPrediction(scene.modal_masks, np.array([0.9, 0.8, 0.0]))
    evaluator = ModalSegmentationEvaluator(str(tmp_path))
    evaluator.process([{"scene": scene}], [perfect])
    results = evaluator.evaluate()["modal_segmentation"]
    assert results == pytest.approx({"AP": 100, "AP50": 100, "mIoU": 100, "instances": 2})
    written = json.loads((tmp_path / "modal_segmentation_results.json").read_text())
    assert written["results"] == results

    # The better scored mask has an IoU of 0.6: 3 of COCO's 10 thresholds (0.5, 0.55, 0.6) are met.
    # Above, its miss comes first, and the precision is 1/2 up to the recall of 1/2: 51 of 101.
    part = WindowMask.from_array(box_mask(H, W, 5, 5, 17, 30))
    masks = [part, scene.modal_masks[1], WindowMask.empty()]
    evaluator.reset()
    evaluator.process([{"scene": scene}], [ModalPrediction(masks, np.array([0.9, 0.8, 0.0]))])
    results = evaluator.evaluate()["modal_segmentation"]
    assert results["mIoU"] == pytest.approx(80)
    assert results["AP50"] == pytest.approx(100)
    assert results["AP"] == pytest.approx(100 * (3 + 7 * 0.5 * 51 / 101) / 10)
    evaluator.reset()
    assert evaluator.evaluate()["modal_segmentation"] == {"instances": 0}


def test_image_ids_may_be_numbers_and_texts(coco_library):
    """pycocotools would make texts of all of them, and find nothing."""
    mask = box_mask(20, 20, 2, 2, 12, 12)
    evaluator = ModalSegmentationEvaluator()
    for image_id in (1, "two"):
        scene = scene_of([mask])
        scene.image_id = image_id
        perfect = ModalPrediction(scene.modal_masks, np.ones(1))
        evaluator.process([{"scene": scene}], [perfect])
    results = evaluator.evaluate()["modal_segmentation"]
    assert results["AP"] == pytest.approx(100) and results["instances"] == 2


def test_does_not_depend_on_batches():
    model = randomise(ModalUNet(network=UNet(4, 0.25)))
    rng = np.random.default_rng(0)
    with_images = scenes()
    for scene in with_images:
        scene.image = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)

    def fingerprint(predictions: list[ModalPrediction]) -> list:
        return [([m.to_rle(H, W) for m in p.masks], p.scores.tolist()) for p in predictions]

    for batch_size in (1, 3, 64):
        runner = NetworkRunner(model, batch_size=batch_size, precision="float32")
        segmenter = ModalSegmenter(runner, patch_size=32)
        together = fingerprint(segmenter(with_images))
        # To the bit, scores included.
        assert [fingerprint(segmenter([s]))[0] for s in with_images] == together
        assert fingerprint(segmenter(with_images[::-1]))[::-1] == together
    assert any(0.5 < score < 1 for _, scores in together for score in scores)


def test_needs_its_own_network_and_images(cfg):
    segmenter = ModalSegmenter.from_config(cfg, ModalUNet(network=UNet(4, 0.25)))
    with pytest.raises(UserError, match="the scene holds no image"):
        segmenter(scenes())
    cfg.MODEL.META_ARCHITECTURE = "PCNetM"
    with pytest.raises(UserError, match="use a config of ModalUNet"):
        ModalSegmenter.from_config(cfg)
