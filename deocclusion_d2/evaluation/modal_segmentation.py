"""Predicted modal masks against true ones: COCO's mask AP, and the mean IoU of matched pairs."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections import OrderedDict
from itertools import chain

import numpy as np
from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from pycocotools import mask as mask_util
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..inference.modal_segmentation import ModalPrediction, coco_results
from ..structures import Scene


class ModalSegmentationEvaluator(DatasetEvaluator):
    """Measures a ``ModalPrediction`` (Sec. 4.1; the paper reports 52.7 mAP on KINS).

    Results, in percent, under ``modal_segmentation``: ``AP`` and ``AP50`` of COCO's evaluation of
    masks, ``mIoU``, the mean over instances of the IoU of a predicted mask with the true mask whose
    box was given, and the number of ``instances``.
    """

    task = "modal_segmentation"

    def __init__(self, output_dir: str | None = None) -> None:
        """
        Args:
            output_dir: folder for ``modal_segmentation_results.json``; None writes no file.
        """
        self._output_dir = output_dir
        self._logger = logging.getLogger(__name__)
        self.reset()

    def reset(self) -> None:
        self._images: list[dict] = []
        self._truth: list[dict] = []
        self._predicted: list[dict] = []

    def process(self, inputs: list[dict], outputs: list[ModalPrediction]) -> None:
        """Add the images of a batch.

        Args:
            inputs: dicts with ``scene`` (:class:`Scene`).
            outputs: one :class:`ModalPrediction` per input.
        """
        for record, output in zip(inputs, outputs, strict=True):
            scene = record["scene"]
            self._images.append(
                {"id": scene.image_id, "height": scene.height, "width": scene.width}
            )
            self._truth += _true_annotations(scene)
            self._predicted += coco_results(scene, output)

    def evaluate(self) -> OrderedDict:
        """Compare the instances of all processes.

        Returns:
            On the main process ``{task: {metric: value}}``, else nothing. Without any instance only
            their number, 0.
        """
        gathered = comm.gather((self._images, self._truth, self._predicted), dst=0)
        if not comm.is_main_process():
            return OrderedDict()
        images, truth, predicted = (list(chain(*part)) for part in zip(*gathered, strict=True))
        results: OrderedDict[str, float] = OrderedDict()
        if truth:
            results["AP"], results["AP50"] = _mask_ap(images, truth, predicted)
            results["mIoU"] = 100.0 * float(np.mean(_matched_ious(truth, predicted)))
        else:
            self._logger.warning("%s: no instances to measure", self.task)
        results["instances"] = len(truth)
        text = ", ".join(f"{name} {value:.2f}" for name, value in results.items())
        self._logger.info("Evaluation results for %s: %s", self.task, text)
        if self._output_dir:
            PathManager.mkdirs(self._output_dir)
            path = os.path.join(self._output_dir, f"{self.task}_results.json")
            with PathManager.open(path, "w") as file:
                file.write(json.dumps({"results": results}, indent=1, allow_nan=False) + "\n")
        return OrderedDict({self.task: results})


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
    # COCOeval takes a matched annotation's id for a flag: 0 would be no match.
    truth = [{**annotation, "id": k} for k, annotation in enumerate(truth, start=1)]
    categories = [{"id": c} for c in sorted({a["category_id"] for a in truth})]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "annotations": truth, "categories": categories}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(predicted), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100.0 * float(evaluation.stats[0]), 100.0 * float(evaluation.stats[1])


def _matched_ious(truth: list[dict], predicted: list[dict]) -> list[float]:
    """IoU of every prediction with the instance that it is meant for: both lists are aligned."""
    return [
        float(mask_util.iou([p["segmentation"]], [t["segmentation"]], [0])[0, 0])
        for t, p in zip(truth, predicted, strict=True)
    ]
