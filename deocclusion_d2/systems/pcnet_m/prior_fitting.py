"""Fits the ordering prior to a data set, without any label.

Dual completion is right where its two increments differ clearly, and guesses where they do not.
So the pairs of which it is sure teach a logistic regression on the geometry of pairs. Each of their
labels may be wrong, so the likelihood of a label is that of a teacher who errs in one case of ten
(noise-robust logistic regression: Bootkrajang & Kaban, ECML-PKDD 2012).

- It learns from position alone where that predicts dual completion nearly as well as all features
  do: position is not what dual completion looks at, so the two rarely err together. Features of
  shape and size take over its errors.
- It is believed only where, on images held out, it predicts the sure pairs beyond chance, *and*
  agrees with the pairs of which dual completion is unsure. Those are the ones that it would
  overrule. Dual completion is right more often than not there too, so that what contradicts it
  more often than it agrees is itself wrong there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.data import DatasetCatalog
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from scipy.optimize import minimize
from scipy.special import expit
from torch.utils.data import DataLoader
from tqdm import tqdm

from ...data.datasets import ensure_registered
from ...data.loaders import build_scene_test_loader
from ...errors import UserError
from ...files import file_sha256
from ...inference.loader_work import work_in_workers
from ...inference.steps import owns_pixels, require_categories
from ...version import __version__
from .ordering import DualCompletion
from .ordering_prior import OrderingPrior, relative_difference
from .pair_features import FEATURES, pair_features
from .patch_completer import PatchCompleter
from .steps import build_dual_completion

# Where things lie in the image.
POSITION = ("lower_edge", "centre")
# Dual completion is sure of a pair when its relative difference is above this.
SURE_DIFFERENCE = 0.3
# Share of the sure pairs that dual completion orders wrongly; 5 to 13 % were measured.
SURE_ERRORS = 0.1
# Log odds of dual completion at a relative difference of 1, beside geometry. Alone it would be 3;
# beside geometry, some of whose errors it shares, true orders gave 1 to 3.
DUAL_WEIGHT = 1.5
# Position alone is enough where it explains this share of what all features explain of dual
# completion's signs (log-likelihood). Streets had 0.86 to 0.92, photos 0.3 to 0.4.
ENOUGH_OF_ALL = 0.8
# With fewer pairs the checks below would too often let chance pass.
ENOUGH_PAIRS = 100
# The gain on the sure pairs, and the agreement with the unsure ones, lie this many standard
# deviations above 0.
_LEAST_GAIN = 2.0
_LEAST_AGREEMENT = 1.0
_FOLDS = 5
# Six coefficients need no more images than this, which are taken at equal distances.
ENOUGH_IMAGES = 1000

# Of paths in the name of a data set.
_FOLDERS = re.compile(r"[^:@]*[/\\]")


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
        The prior. Where the pairs do not bear it out it is not enabled, and has coefficients of 0;
        ``fitted_on["verdict"]`` says why.
    """
    everything = tuple(features)
    position = tuple(name for name in everything if name in POSITION)
    chosen, evidence = everything, _evidence(everything, values, relative, images)
    of_position = _evidence(position, values, relative, images)
    if position and of_position.gain >= ENOUGH_OF_ALL * evidence.gain:
        chosen, evidence = position, of_position
    verdict = _verdict(len(relative), evidence)
    enabled = verdict == _BELIEVED
    coefficients = _fit(_columns(values, chosen), relative) if enabled else np.zeros(len(chosen))
    return OrderingPrior(
        features=chosen,
        coefficients=tuple(map(float, coefficients)),
        dual_weight=DUAL_WEIGHT,
        enabled=enabled,
        fitted_on={
            **(fitted_on or {}),
            "pairs": len(relative),
            "sure_pairs": int(np.count_nonzero(np.abs(relative) > SURE_DIFFERENCE)),
            "held_out_accuracy": evidence.accuracy,
            "held_out_accuracy_of_position": of_position.accuracy,
            "agreement_where_unsure": evidence.agreement,
            "verdict": verdict,
        },
    )


_BELIEVED = "predicts dual completion where it is sure, and agrees with it where it is not"


def _verdict(pairs: int, evidence: _Evidence) -> str:
    if pairs < ENOUGH_PAIRS:
        return f"fewer than {ENOUGH_PAIRS} pairs"
    if evidence.gain_deviations <= _LEAST_GAIN:
        return "does not predict dual completion where it is sure"
    if evidence.agreement_deviations <= _LEAST_AGREEMENT:
        return "does not agree with dual completion where it is unsure, and would overrule it"
    return _BELIEVED


@dataclass(frozen=True)
class _Evidence:
    """What speaks for a choice of features, on images held out.

    Attributes:
        accuracy: share of the sure pairs' signs that geometry predicts; one half without pairs.
        gain: log-likelihood of these signs, above that of coins.
        agreement: in [-1, 1], of geometry with the unsure pairs, each weighed by how sure both are.
        gain_deviations, agreement_deviations: in standard deviations of chance; 0 without pairs.
    """

    accuracy: float
    gain: float
    agreement: float
    gain_deviations: float
    agreement_deviations: float


def _evidence(
    names: Sequence[str], values: np.ndarray, relative: np.ndarray, images: np.ndarray
) -> _Evidence:
    """Every pair judged by a fit to other images.

    The images are cut into a few stretches, of which each is held out once: frames of a video that
    follow each other are much the same.
    """
    values = _columns(values, names)
    numbers = np.unique(images)
    fold = np.searchsorted(numbers, images) * _FOLDS // max(len(numbers), 1)
    scores = np.zeros(len(relative))
    for k in np.unique(fold):
        held_out = fold == k
        scores[held_out] = values[held_out] @ _fit(values[~held_out], relative[~held_out])
    # Log odds that geometry gives to dual completion's own answer.
    agrees = np.sign(relative) * scores
    sure = np.abs(relative) > SURE_DIFFERENCE
    gains = np.log(2 * _likelihood(agrees[sure]))
    size = np.abs(relative[~sure] * np.tanh(scores[~sure] / 2))
    agreements = np.sign(agrees[~sure]) * size
    return _Evidence(
        accuracy=float(np.mean(agrees[sure] > 0)) if sure.any() else 0.5,
        gain=float(gains.sum()),
        agreement=float(agreements.sum() / size.sum()) if size.any() else 0.0,
        gain_deviations=_deviations(gains),
        agreement_deviations=_deviations(agreements),
    )


def _deviations(terms: np.ndarray) -> float:
    """A sum of independent terms, over its standard deviation if their signs were chance."""
    return float(terms.sum() / np.sqrt((terms**2).sum())) if terms.any() else 0.0


def _likelihood(log_odds: np.ndarray) -> np.ndarray:
    """Of a sure pair's sign, which may be an error, from the log odds that it is right."""
    return SURE_ERRORS + (1 - 2 * SURE_ERRORS) * expit(log_odds)


def _fit(values: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """A logistic regression of the sure pairs' signs that takes some of them for errors.

    It is antisymmetric: without intercept, and the same to the bit for pairs listed either way.

    Args:
        values: (P, F) antisymmetric features.
        relative: (P,) dual completion's opinion.

    Returns:
        (F,) log odds per unit of a feature; zeros without sure pairs.
    """
    sure = np.abs(relative) > SURE_DIFFERENCE
    # As seen from the instance that dual completion puts in front.
    cases = values[sure] * np.sign(relative[sure])[:, None]
    if not cases.size:
        return np.zeros(values.shape[1])
    # The penalty needs features of one scale. It is worth one pair or so: few pairs shrink more.
    scale = np.sqrt((cases**2).mean(axis=0))
    scale[scale == 0] = 1.0
    cases = cases / scale

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = cases @ weights
        right, likelihood = expit(log_odds), _likelihood(log_odds)
        slope = (1 - 2 * SURE_ERRORS) * right * (1 - right) / likelihood
        penalty = weights @ weights / 2
        return penalty - np.log(likelihood).sum(), weights - slope @ cases

    start = np.zeros(cases.shape[1])
    return minimize(loss, start, jac=True, method="L-BFGS-B").x / scale


def _columns(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    return values[:, [FEATURES.index(name) for name in names]]


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
        if self.ordering.uses_category:
            for scene in scenes:
                require_categories(scene)
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
