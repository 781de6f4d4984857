"""Chooses the evaluators of a data set by its ``evaluator_type``."""

from __future__ import annotations

from collections.abc import Callable

from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators

from ..errors import UserError
from .amodal_box import AmodalBoxEvaluator
from .completion import AmodalCompletionEvaluator
from .ordering import OrderingEvaluator
from .reliability import ReliabilityEvaluator

# evaluator_type -> function of (output_dir, hidden_bins). To add a type, add an entry:
# EVALUATORS["my_type"] = lambda output_dir, hidden_bins: [MyEvaluator(output_dir)]
EVALUATORS: dict[str, Callable[[str | None, int], list[DatasetEvaluator]]] = {
    "amodal": lambda output_dir, hidden_bins: [
        OrderingEvaluator("amodal", output_dir),
        AmodalCompletionEvaluator(output_dir, hidden_bins),
        ReliabilityEvaluator(output_dir),
    ],
    "cocoa": lambda output_dir, hidden_bins: [
        OrderingEvaluator(("depth_constraint", "amodal"), output_dir),
        AmodalCompletionEvaluator(output_dir, hidden_bins),
        ReliabilityEvaluator(output_dir),
    ],
    "kitti_mots_dev": lambda output_dir, hidden_bins: [
        OrderingEvaluator("depth", output_dir),
        AmodalBoxEvaluator(output_dir),
    ],
}


def build_evaluators(
    dataset_name: str, output_dir: str | None = None, hidden_bins: int = 4
) -> DatasetEvaluators:
    """The evaluators of de-occlusion for a registered data set.

    Args:
        dataset_name: name in Detectron2's catalogs.
        output_dir: folder for ``{task}_results.json``; None writes no files.
        hidden_bins: bins of the hidden share by which completion is split; a divisor of 100.

    Raises:
        UserError: the data set names no ``evaluator_type``, an unknown one, or "modal": labels
            that know nothing of what is hidden.
    """
    evaluator_type = MetadataCatalog.get(dataset_name).get("evaluator_type")
    if evaluator_type in EVALUATORS:
        return DatasetEvaluators(EVALUATORS[evaluator_type](output_dir, hidden_bins))
    if evaluator_type == "modal":
        raise UserError(
            f"data set {dataset_name!r} cannot be evaluated: its labels are modal and know neither "
            "order nor hidden parts; name one with amodal labels in DATASETS.TEST"
        )
    raise UserError(
        f"data set {dataset_name!r} cannot be evaluated: its evaluator_type is {evaluator_type!r}; "
        f"register it with one of {sorted(EVALUATORS)}"
    )
