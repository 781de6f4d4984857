"""How well pseudo-amodal labels agree with true ones (Sec. 4.1, label conversion)."""

from __future__ import annotations

from detectron2.data import DatasetCatalog

from ..data.datasets import ensure_registered
from ..data.scenes import deocclusion_from_record, scene_from_record
from ..errors import UserError
from .build import build_evaluators


def label_quality(converted: str, truth: str) -> dict[str, dict[str, float]]:
    """Compare a converted data set with the true one, as an evaluator compares predictions.

    Args:
        converted: data set of format "pseudo_amodal", e.g. ``pseudo_amodal:out.json``.
        truth: data set with amodal truth, of the same images and annotation ids.

    Returns:
        task -> metric -> value, see ``evaluation``.

    Raises:
        UserError: the two do not hold the same instances.
    """
    labels = {r["image_id"]: r for r in DatasetCatalog.get(ensure_registered(converted))}
    records = DatasetCatalog.get(ensure_registered(truth))
    evaluators = build_evaluators(truth)
    evaluators.reset()
    for record in records:
        scene, known = scene_from_record(record)
        label = labels.get(record["image_id"])
        ids = [a["id"] for a in label["annotations"] if not a.get("iscrowd")] if label else []
        if ids != scene.instance_ids:
            raise UserError(
                f"{converted}: image {record['image_id']} ({record['file_name']}) does not hold "
                f"the instances that it has in {truth}"
            )
        labelled = deocclusion_from_record(label, *scene_from_record(label))
        evaluators.process([{"scene": scene, "truth": known}], [labelled])
    return {task: dict(metrics) for task, metrics in evaluators.evaluate().items()}
