"""COCO's evaluation of boxes and masks on the data as they are read, not on the raw file.

Where the data say what is hidden, that of masks also by the hidden share.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from detectron2.data import MetadataCatalog
from detectron2.evaluation import COCOEvaluator
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager

from ..data.datasets import is_ours
from ..data.loaders import records_of
from ..errors import UserError
from ..structures.run_lengths import area_of, box_of
from .coco_api import evaluate_coco
from .hidden_objects import evaluate_by_hidden_share, hidden_group
from .overlapping_images import evaluate_by_overlap


def build_detector_evaluator(cfg, dataset_name: str, output_dir: str | None) -> COCOEvaluator:
    """COCO's evaluation of boxes, and of masks where the network makes some."""
    tasks = ("bbox", "segm") if cfg.MODEL.MASK_ON else ("bbox",)
    if is_ours(dataset_name):
        return build_coco_evaluator(dataset_name, tasks, output_dir)
    # Detectron2 would take the ground truth that an earlier run wrote, of whatever labels the name
    # stood for then.
    stale = os.path.join(output_dir or "", f"{dataset_name}_coco_format.json")
    if comm.is_main_process() and os.path.exists(stale):
        os.remove(stale)
    # The fast implementation needs Detectron2's C++ part.
    return COCOEvaluator(dataset_name, tasks, output_dir=output_dir, use_fast_impl=False)


def build_coco_evaluator(
    dataset_name: str, tasks: Sequence[str], output_dir: str | None
) -> ReadCOCOEvaluator:
    """Detectron2's evaluator with the dataset dicts of a data set of this package as truth.

    What reading repairs, leaves out or takes for a crowd is so here too; ids may start anywhere and
    be texts.

    Raises:
        UserError: the data set cannot be read, or its image ids are numbers and texts.
    """
    read, metadata = records_of(dataset_name), MetadataCatalog.get(dataset_name)
    truth = coco_truth(read, metadata.thing_classes, metadata.thing_dataset_id_to_contiguous_id)
    if len({isinstance(image["id"], str) for image in truth["images"]}) > 1:
        raise UserError(
            f"data set {dataset_name!r}: some image ids are numbers and some texts, which "
            "pycocotools mixes up: make them all of one kind"
        )
    truth["images"].sort(key=lambda image: image["id"])  # ranks equal scores, as Detectron2
    # Detectron2 takes the truth from a file that a name stands for; it reads it at once.
    name = f"{dataset_name} as it is read"
    MetadataCatalog.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        json_file = Path(folder) / "truth.json"
        json_file.write_text(json.dumps(truth), encoding="utf-8")
        MetadataCatalog.get(name).set(
            json_file=str(json_file),
            thing_classes=metadata.thing_classes,
            thing_dataset_id_to_contiguous_id=metadata.thing_dataset_id_to_contiguous_id,
        )
        # The fast implementation needs Detectron2's C++ part.
        evaluator = ReadCOCOEvaluator(
            name, tuple(tasks), output_dir=output_dir, use_fast_impl=False
        )
    evaluator.truth = truth
    evaluator.groups = [hidden_group(a) for _, a in _objects(read)]
    return evaluator


class ReadCOCOEvaluator(COCOEvaluator):
    """Detectron2's evaluator whose numbers are those of ``evaluate_coco``: same files and keys.

    Attributes:
        truth: what is read from the data set, as :func:`coco_truth` gives it.
        groups: of each of its annotations, see ``hidden_group``. Where any has one, the results
            have a task "hidden" too, see ``evaluate_by_hidden_share``; else "overlap", see
            ``evaluate_by_overlap``.
    """

    truth: dict
    groups: list[str | None]

    def _eval_predictions(self, predictions: list[dict], img_ids: list | None = None) -> None:
        """The step of ``evaluate`` that Detectron2's own and others' evaluators replace."""
        if img_ids is not None:
            super()._eval_predictions(predictions, img_ids)
            return
        category_of = dict(enumerate(category["id"] for category in self.truth["categories"]))
        results = [
            {**result, "category_id": category_of[result["category_id"]]}
            for prediction in predictions
            for result in prediction["instances"]
        ]
        if self._output_dir:
            path = os.path.join(self._output_dir, "coco_instances_results.json")
            with PathManager.open(path, "w") as file:
                file.write(json.dumps(results))
        for task in sorted(self._tasks):
            judged = results
            if task == "segm":  # sizes are those of the masks, not of the boxes
                judged = [{k: v for k, v in r.items() if k != "bbox"} for r in results]
            evaluation = evaluate_coco(self.truth, judged, task) if results else None
            self._results[task] = self._derive_coco_results(
                evaluation, task, class_names=self._metadata.thing_classes
            )
        if "segm" not in self._tasks or not results:
            return
        if any(self.groups):
            self._results["hidden"] = evaluate_by_hidden_share(self.truth, self.groups, results)
        else:
            masks = [{k: v for k, v in result.items() if k != "bbox"} for result in results]
            self._results["overlap"] = evaluate_by_overlap(self.truth, masks)


def coco_truth(
    records: Sequence[dict], names: Sequence[str], contiguous_ids: Mapping[int, int]
) -> dict:
    """Dataset dicts as a COCO document for pycocotools.

    Annotation ids are 1 to N, as COCOeval takes 0 for "no match"; areas are those of the masks. An
    instance with an empty mask is left out, as it is in training.

    Args:
        records: with ``segmentation`` (compressed RLE) and ``bbox`` [x, y, w, h] per annotation.
        names: of the categories, by contiguous number.
        contiguous_ids: the data set's category id -> contiguous number.
    """
    id_of = {number: category for category, number in contiguous_ids.items()}
    annotations: list[dict] = []
    for record, annotation in _objects(records):
        rle, box = annotation["segmentation"], annotation["bbox"]
        if min(box[2:]) <= 0:
            box = box_of(rle)
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": record["image_id"],
                "category_id": annotation["dataset_category_id"],
                "segmentation": rle,
                "bbox": [float(value) for value in box],
                "area": area_of(rle),
                "iscrowd": int(annotation["iscrowd"]),
            }
        )
    return {
        "info": {},
        "images": [
            {"id": r["image_id"], "height": r["height"], "width": r["width"]} for r in records
        ],
        "categories": [{"id": id_of[n], "name": name} for n, name in enumerate(names)],
        "annotations": annotations,
    }


def _objects(records: Sequence[dict]) -> Iterator[tuple[dict, dict]]:
    """(dataset dict, annotation) of the instances that have a pixel, crowds among them."""
    for record in records:
        for annotation in record["annotations"]:
            if area_of(annotation["segmentation"]):
                yield record, annotation
