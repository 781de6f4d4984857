"""The one way to evaluate: which loader, predictor and evaluators a config asks for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from detectron2.evaluation import DatasetEvaluator, inference_on_dataset
from detectron2.utils import comm
from torch import nn
from torch.utils.data import DataLoader

from ..chosen_steps import images_needed
from ..data.datasets import ensure_registered
from ..data.loaders import SceneDataset, build_scene_test_loader
from ..deoccluder import Deoccluder
from ..evaluation import build_evaluators
from ..inference.calibration import RequestCalibration
from ..inference.loader_work import work_in_workers
from ..inference.steps import require_record_categories
from ..structures import Deocclusion, Scene
from ..systems import system_of

# task -> metric -> value.
Metrics = dict[str, dict[str, float]]


def build_test_loader(cfg, dataset_name: str) -> Iterable:
    """Batches of a data set, as the predictor of the config takes them.

    Args:
        dataset_name: registered, or ``FORMAT[.modal]:JSON[@IMAGE_ROOT]``.
    """
    ensure_registered(dataset_name)
    network = system_of(cfg).network
    if network.test_loader is not None:
        return network.test_loader(cfg, dataset_name)
    return build_scene_test_loader(cfg, dataset_name, load_images=images_needed(cfg))


def build_predictor(cfg, model: nn.Module) -> Callable:
    """What maps the batches of the test loader to what the evaluators take.

    Args:
        model: the trained network.
    """
    network = system_of(cfg).network
    if network.predictor is not None:
        return network.predictor(cfg, model)
    return model if network.test_loader is not None else Deoccluder.from_config(cfg, model)


def build_evaluator(cfg, dataset_name: str, output_dir: str | None = None) -> DatasetEvaluator:
    """What judges the predictor's results on a data set.

    Args:
        output_dir: folder of ``{task}_results.json``; None writes no file.
    """
    ensure_registered(dataset_name)
    network = system_of(cfg).network
    if network.evaluators is not None:
        return network.evaluators(cfg, dataset_name, output_dir)
    return build_evaluators(dataset_name, output_dir)


def judge(
    predictor: Callable, loader: Iterable, evaluators: DatasetEvaluator | list[DatasetEvaluator]
) -> dict:
    """Run a predictor over a loader's batches, and give its results to evaluators.

    It is Detectron2's ``inference_on_dataset``; scenes are de-occluded in the loader's workers, by
    a deoccluder that is calibrated on all of them.

    Args:
        predictor, loader, evaluators: see the functions that build them.

    Raises:
        UserError: the data set has a category id that a network does not know.
    """
    dataset = getattr(loader, "dataset", None)
    if isinstance(dataset, SceneDataset):
        require_record_categories(dataset.records, getattr(predictor, "steps", ()))
    if not isinstance(predictor, Deoccluder) or not isinstance(loader, DataLoader):
        return inference_on_dataset(predictor, loader, evaluators)
    if predictor.needs_calibration:
        predictor = predictor.calibrated(_calibration(predictor, loader))
    with work_in_workers(loader, _Deocclude(predictor), predictor.runners) as deoccluded:
        return inference_on_dataset(_results_of, deoccluded, evaluators)


def _calibration(deoccluder: Deoccluder, loader: DataLoader) -> RequestCalibration:
    """What the first process measures on a test set, in all processes."""
    found = None
    if comm.is_main_process():
        records = loader.dataset
        # As in ``work_in_workers``: a single one on a CPU is of no use.
        workers = loader.num_workers if loader.num_workers > 1 else 0
        found = deoccluder.calibration(_Scenes(records), len(records), workers)
    return comm.all_gather(found)[0]


@dataclass
class _Scenes:
    """Reads the scenes of a test set."""

    records: Sequence[dict]

    def __call__(self, numbers: Sequence[int]) -> list[Scene]:
        return [self.records[number]["scene"] for number in numbers]


@dataclass
class _Deocclude:
    """Adds its result to every record of a batch."""

    deoccluder: Deoccluder

    def __call__(self, records: list[dict]) -> list[dict]:
        for record, result in zip(records, self.deoccluder(records), strict=True):
            record["deocclusion"] = result
        return records


def _results_of(records: list[dict]) -> list[Deocclusion]:
    return [record["deocclusion"] for record in records]


def evaluate_deocclusion(
    cfg,
    dataset_name: str,
    model: nn.Module | None = None,
    *,
    hidden_bins: int = 4,
    loader: Iterable | None = None,
) -> Metrics:
    """Evaluate the steps that a config names on one data set, whatever its network is for.

    Args:
        cfg: with ``MODEL.WEIGHTS``, where a step runs its network and ``model`` is None.
        model: the trained network; None to load it.
        hidden_bins: see ``evaluation.build_evaluators``.
        loader: of the data set's scenes; None to build it.

    Returns:
        task -> metric -> value on the main process; empty elsewhere.

    Raises:
        UserError: settings, weights or data that cannot be used.
    """
    ensure_registered(dataset_name)
    deoccluder = Deoccluder.from_config(cfg, model)
    if loader is None:
        loader = build_scene_test_loader(cfg, dataset_name, load_images=deoccluder.uses_rgb)
    evaluators = build_evaluators(dataset_name, hidden_bins=hidden_bins)
    result = judge(deoccluder, loader, evaluators)
    if not comm.is_main_process():
        return {}
    return {task: dict(values) for task, values in result.items()}


def evaluation_folder(output_dir: str, dataset_name: str) -> str:
    """Where the results of a data set go; names on the fly hold paths."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", dataset_name).strip("_")
    return os.path.join(output_dir, "inference", name)
