"""Fits the ordering prior to a data set, without any label.

Dual completion is right where its two increments differ clearly, and guesses where they do not.
So it teaches a logistic regression on the geometry of the pair, in two rounds:

1. Where things lie in the image, from the pairs of which dual completion is sure. Position is not
   what dual completion looks at, so the two rarely err together.
2. All features, from the pairs of which dual completion and position together are sure. (Taught by
   dual completion alone, features of shape and size take over its errors.)

Neither round is believed when it does not predict dual completion's sign on images held out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.data import DatasetCatalog
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from sklearn.linear_model import LogisticRegression
from torch.utils.data import DataLoader
from tqdm import tqdm

from ...data.datasets import ensure_registered
from ...data.loaders import build_scene_test_loader
from ...errors import UserError
from ...files import file_sha256
from ...inference.loader_work import work_in_workers
from ...inference.steps import owns_pixels, require_categories, require_record_categories
from ...version import __version__
from .ordering import DualCompletion
from .ordering_prior import OrderingPrior, relative_difference
from .pair_features import FEATURES, pair_features
from .patch_completer import PatchCompleter
from .steps import build_dual_completion

# The features that are taught by dual completion alone.
POSITION = ("lower_edge", "centre")
# Dual completion is sure of a pair when its relative difference is above this.
SURE_DIFFERENCE = 0.3
# Both together are sure when their log odds are above this.
SURE_LOG_ODDS = 1.0
# Log odds of dual completion at a relative difference of 1.
DUAL_WEIGHT = 1.5
# A prior must predict this share of dual completion's signs on images held out, and lie this many
# standard deviations of a coin's share above one half.
LEAST_ACCURACY = 0.6
_LEAST_DEVIATIONS = 3.0
_FOLDS = 5
# Six coefficients need no more images than this, which are taken at equal distances.
ENOUGH_IMAGES = 1000

# Of paths in the name of a data set.
_FOLDERS = re.compile(r"[^:@]*[/\\]")

# Coefficients out of features (P, F) and relative differences (P,).
_Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def fit_ordering_prior(
    cfg,
    dataset_names: Sequence[str],
    output_json: str | Path,
    *,
    every: int | None = None,
    features: Sequence[str] = FEATURES,
    model: torch.nn.Module | None = None,
) -> OrderingPrior:
    """Fit the prior of a trained PCNet-M and data sets, and write its JSON.

    The processes of a group share the work; call it in all of them.

    Args:
        cfg: config of PCNet-M; its thresholds are used.
        dataset_names: registered, or ``FORMAT[.modal]:JSON[@IMAGE_ROOT]``; only modal masks are
            looked at.
        output_json: file to write; its folder is made.
        every: only every so many images; None for about ``ENOUGH_IMAGES`` of all.
        features: names of ``FEATURES`` to use.
        model: the trained network, which ``cfg.MODEL.WEIGHTS`` holds too, or ""; without it the
            config's is built and these weights loaded.

    Returns:
        The prior, in every process.

    Raises:
        UserError: settings, weights or data that cannot be used.
    """
    unknown = [name for name in features if name not in FEATURES]
    if unknown or not features:
        raise UserError(f"features {unknown or features}: use one or more of {', '.join(FEATURES)}")
    if every is not None and every < 1:
        raise UserError(f"every {every} images: use 1 or more")
    cfg = cfg.clone()
    cfg.defrost()
    # Whatever else the config orders by.
    cfg.DEOCCLUSION.ORDERING = "dual_completion"
    cfg.DEOCCLUSION.ORDERING_PRIOR = ""
    if cfg.MODEL.META_ARCHITECTURE != "PCNetM":
        raise UserError(
            "the ordering prior helps PCNetM, but MODEL.META_ARCHITECTURE is "
            f"{cfg.MODEL.META_ARCHITECTURE!r}; use a config of PCNetM"
        )
    ordering = build_dual_completion(cfg, PatchCompleter.from_config(cfg, model))
    if every is None:
        total = sum(len(DatasetCatalog.get(ensure_registered(name))) for name in dataset_names)
        every = max(1, round(total / ENOUGH_IMAGES))
    loaders = [
        build_scene_test_loader(cfg, name, every, load_images=ordering.uses_rgb)
        for name in dataset_names
    ]
    for loader in loaders:
        require_record_categories(loader.dataset.records, [ordering])
    owned = owns_pixels(cfg)
    values, relative, images, count = _together(
        [_measure(ordering, loader, owned) for loader in loaders]
    )
    prior = None
    # Another machine need not have the weights' file.
    if comm.is_main_process():
        fitted_on = {
            "version": __version__,
            # Whoever gets the prior with its weights is told no folders.
            "dataset": ", ".join(_FOLDERS.sub("", name) for name in dataset_names),
            "images": count,
            **_weights(cfg.MODEL.WEIGHTS),
            "order_threshold": ordering.threshold,
            "dilation": ordering.dilation,
        }
        prior = fit_prior(values, relative, images, features, fitted_on)
    prior = comm.all_gather(prior)[0]
    # By every process: on any machine it is there when the call ends, and whole at any time.
    prior.save(output_json)
    return prior


def deciding_settings(cfg) -> list:
    """The config's values that decide the prior of a network and a data set."""
    options = cfg.DEOCCLUSION
    settings = [options.ORDER_THRESHOLD, options.DILATION, options.PRECISION]
    return [*settings, cfg.INPUT.INSTANCE_CROP.dump(), cfg.INPUT.PARTIAL_COMPLETION.dump()]


def fit_prior(
    values: np.ndarray,
    relative: np.ndarray,
    images: np.ndarray,
    features: Sequence[str] = FEATURES,
    fitted_on: dict[str, Any] | None = None,
) -> OrderingPrior:
    """Fit the prior to measured pairs.

    Args:
        values: (P, len(FEATURES)) of ``pair_features``.
        relative: (P,) of ``relative_difference``: dual completion's opinion.
        images: (P,) number of the image that a pair is of, ascending.
        features: names of ``FEATURES`` to use.
        fitted_on: more to note about the data.

    Returns:
        The prior; it is not enabled when it does not predict dual completion's sign on images held
        out, and then has coefficients of 0.
    """
    names = tuple(features)
    position = np.array([FEATURES.index(name) for name in POSITION])
    chosen = np.array([FEATURES.index(name) for name in names])

    def first_round(values: np.ndarray, relative: np.ndarray, images: np.ndarray) -> np.ndarray:
        sure = np.abs(relative) > SURE_DIFFERENCE
        return _logistic(values[sure][:, position], relative[sure], np.abs(relative[sure]))

    def second_round(values: np.ndarray, relative: np.ndarray, images: np.ndarray) -> np.ndarray:
        score = DUAL_WEIGHT * relative
        if _is_borne_out(*_held_out(first_round, position, values, relative, images)):
            score = score + values[:, position] @ first_round(values, relative, images)
        sure = np.abs(score) > SURE_LOG_ODDS
        return _logistic(values[sure][:, chosen], score[sure], np.abs(np.tanh(score[sure] / 2)))

    accuracy, pairs = _held_out(second_round, chosen, values, relative, images)
    enabled = _is_borne_out(accuracy, pairs)
    coefficients = second_round(values, relative, images) if enabled else np.zeros(len(names))
    return OrderingPrior(
        features=names,
        coefficients=tuple(map(float, coefficients)),
        dual_weight=DUAL_WEIGHT,
        enabled=enabled,
        fitted_on={
            **(fitted_on or {}),
            "pairs": len(relative),
            "confident_pairs": pairs,
            "held_out_accuracy": accuracy,
            "held_out_accuracy_of_position": _held_out(
                first_round, position, values, relative, images
            )[0],
        },
    )


def _logistic(values: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """An antisymmetric logistic regression: no intercept, L2.

    Args:
        values: (P, F) antisymmetric features.
        target: (P,), its sign is to be predicted.
        weight: (P,) of the pairs.

    Returns:
        (F,) log odds per unit of a feature; zeros without pairs.
    """
    if not len(values):
        return np.zeros(values.shape[1])
    # L2 needs features of one scale. Their mean stays: subtracting it would break the antisymmetry.
    scale = np.sqrt((values**2).mean(axis=0))
    scale[scale == 0] = 1.0
    # Every pair from both sides: half of the cases are positive, whatever the pairs' orientation.
    cases = np.concatenate([values, -values]) / scale
    labels = np.concatenate([target > 0, target < 0])
    weights = np.concatenate([weight, weight]) / 2
    model = LogisticRegression(fit_intercept=False, max_iter=1000)
    return model.fit(cases, labels, sample_weight=weights).coef_[0] / scale


def _held_out(
    fit: _Fit, columns: np.ndarray, values: np.ndarray, relative: np.ndarray, images: np.ndarray
) -> tuple[float, int]:
    """How well a fit to the other images predicts dual completion's sign where it is sure.

    The images are cut into a few stretches, of which each is held out once: frames of a video that
    follow each other are much the same.

    Returns:
        Accuracy (one half without pairs), and the number of pairs.
    """
    numbers = np.unique(images)
    fold = np.searchsorted(numbers, images) * _FOLDS // max(len(numbers), 1)
    sure = np.abs(relative) > SURE_DIFFERENCE
    right, count = 0, int(sure.sum())
    for k in range(_FOLDS):
        others, test = fold != k, sure & (fold == k)
        if test.any():
            coefficients = fit(values[others], relative[others], images[others])
            scores = values[test][:, columns] @ coefficients
            right += int(np.count_nonzero(np.sign(scores) == np.sign(relative[test])))
    return (right / count if count else 0.5), count


def _is_borne_out(accuracy: float, pairs: int) -> bool:
    """Whether the accuracy on so many pairs held out is clearly above that of a coin."""
    by_chance = 0.5 + _LEAST_DEVIATIONS * 0.5 / math.sqrt(max(pairs, 1))
    return accuracy >= max(LEAST_ACCURACY, by_chance)


# Features, relative differences and images of all neighbours, and the number of images.
_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray, int]


def _together(parts: Sequence[_Pairs]) -> _Pairs:
    """Several loaders' pairs of all processes; the same in each process."""
    # A data set's images stand together and in order, whatever the number of processes.
    by_loader = zip(*comm.all_gather(list(parts)), strict=True)
    everywhere = [part for of_processes in by_loader for part in of_processes]
    values, relative, images, counts = zip(*everywhere, strict=True)
    first = np.cumsum([0, *counts[:-1]])
    numbers = [part + start for part, start in zip(images, first, strict=True)]
    return np.concatenate(values), np.concatenate(relative), np.concatenate(numbers), sum(counts)


def _measure(ordering: DualCompletion, loader: DataLoader, owned: bool) -> _Pairs:
    """The pairs of a loader's images in this process.

    Args:
        owned: look at masks as the ordering sees them, where some overlap.
    """
    values = [np.zeros((0, len(FEATURES)))]
    relative = [np.zeros(0)]
    images = [np.zeros(0, dtype=int)]
    count = 0
    measure = _MeasureScenes(ordering, owned)
    with work_in_workers(loader, measure, [ordering.runner]) as batches:
        for batch in tqdm(
            batches, "ordering prior", unit="batch", disable=not comm.is_main_process()
        ):
            for of_pairs, differences in batch:
                values.append(of_pairs)
                relative.append(differences)
                images.append(np.full(len(differences), count))
                count += 1
    return np.concatenate(values), np.concatenate(relative), np.concatenate(images), count


@dataclass
class _MeasureScenes:
    """Measures the pairs of a batch of records: features and relative differences by scene."""

    ordering: DualCompletion
    owned: bool

    def __call__(self, records: list[dict]) -> list[tuple[np.ndarray, np.ndarray]]:
        scenes = [record["scene"] for record in records]
        require_categories(scenes, [self.ordering])
        if self.owned:
            scenes = [scene.owned()[0] for scene in scenes]
        return [
            (pair_features(scene, pairs), relative_difference(increments))
            for scene, (pairs, increments) in zip(
                scenes, self.ordering.increments(scenes), strict=True
            )
        ]


def _weights(name: str) -> dict[str, str]:
    if not name:
        return {}
    path = Path(PathManager.get_local_path(name))
    return {"weights": path.name, "weights_sha256": file_sha256(path)}
