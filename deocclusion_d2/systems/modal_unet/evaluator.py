"""Predicted modal masks against true ones: COCO's mask AP, and the mean IoU of matched pairs."""

from __future__ import annotations

import contextlib
import io
from collections import OrderedDict

import numpy as np
from pycocotools import mask as mask_util

from ...evaluation.base import SumEvaluator
from ...evaluation.coco_api import evaluate_coco
from ...structures import Scene
from .segmenter import ModalPrediction, coco_results


class ModalSegmentationEvaluator(SumEvaluator):
    """Measures a ``ModalPrediction`` (Sec. 4.1; the paper reports 52.7 mAP on KINS).

    Results, in percent, under ``modal_segmentation``: ``AP`` and ``AP50`` of COCO's evaluation of
    masks, ``mIoU``, the mean over instances of the IoU of a predicted mask with the true mask whose
    box was given, and the number of ``instances``.
    """

    task = "modal_segmentation"
    unit = "instances"
    leaves_out = False

    def empty(self) -> tuple[list[dict], list[dict], list[dict]]:
        return [], [], []

    def process(self, inputs: list[dict], outputs: list[ModalPrediction]) -> None:
        """Add the images of a batch.

        Args:
            inputs: dicts with ``scene`` (:class:`Scene`).
            outputs: one :class:`ModalPrediction` per input.
        """
        images, truth, predicted = self.parts
        for record, output in zip(inputs, outputs, strict=True):
            scene = record["scene"]
            images.append({"id": scene.image_id, "height": scene.height, "width": scene.width})
            truth += _true_annotations(scene)
            predicted += coco_results(scene, output)

    def summarise(
        self, images: list[dict], truth: list[dict], predicted: list[dict]
    ) -> tuple[OrderedDict[str, float], str]:
        """Without any instance only their number, 0."""
        results: OrderedDict[str, float] = OrderedDict()
        if truth:
            results["AP"], results["AP50"] = _mask_ap(images, truth, predicted)
            results["mIoU"] = 100.0 * float(np.mean(_matched_ious(truth, predicted)))
        results["instances"] = len(truth)
        return results, " " + ", ".join(f"{name} {value:.2f}" for name, value in results.items())


def build_evaluator(cfg, dataset_name: str, output_dir: str | None) -> ModalSegmentationEvaluator:
    """What judges the predicted masks; any data set with images serves."""
    return ModalSegmentationEvaluator(output_dir)


def _true_annotations(scene: Scene) -> list[dict]:
    return [
        {
            "id": scene.instance_ids[i],
            "image_id": scene.image_id,
            "category_id": int(scene.category_ids[i]),
            "segmentation": mask.to_rle(scene.height, scene.width),
            "bbox": mask.xywh,
            "area": mask.area,
            "iscrowd": 0,
        }
        for i, mask in enumerate(scene.modal_masks)
        if not mask.is_empty
    ]


def _mask_ap(images: list[dict], truth: list[dict], predicted: list[dict]) -> tuple[float, float]:
    """COCO's AP and AP50 in percent."""
    categories = [{"id": c} for c in sorted({a["category_id"] for a in truth})]
    document = {"images": images, "annotations": truth, "categories": categories}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = evaluate_coco(document, predicted, "segm")
    return 100.0 * float(evaluation.stats[0]), 100.0 * float(evaluation.stats[1])


def _matched_ious(truth: list[dict], predicted: list[dict]) -> list[float]:
    """IoU of every prediction with the instance that it is meant for: both lists are aligned."""
    return [
        float(mask_util.iou([p["segmentation"]], [t["segmentation"]], [0])[0, 0])
        for t, p in zip(truth, predicted, strict=True)
    ]
