"""Fits the ordering prior to data sets: measures their pairs and applies ``prior_rule``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from detectron2.data import DatasetCatalog
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from torch.utils.data import DataLoader
from tqdm import tqdm

from ...data.datasets import ensure_registered
from ...data.loaders import build_scene_test_loader
from ...errors import UserError
from ...files import file_sha256
from ...inference.calibration import RequestCalibration, chosen_scenes
from ...inference.loader_work import work_in_workers
from ...inference.steps import (
    gap_of,
    owns_pixels,
    require_categories,
    require_record_categories,
)
from ...structures import Scene
from ...version import __version__
from .ordering import DualCompletion, pairs_of
from .ordering_prior import OrderingPrior
from .pair_features import FEATURES
from .patch_completer import PatchCompleter
from .prior_rule import fit_prior
from .steps import build_dual_completion

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
    for loader in loaders:
        require_record_categories(loader.dataset.records, [ordering])
    measured = _together(
        [
            _measure(ordering, loader, _See(_gap(cfg, loader), owns_pixels(cfg)))
            for loader in loaders
        ]
    )
    prior = None
    # Another machine need not have the weights' file.
    if comm.is_main_process():
        fitted_on = {
            "version": __version__,
            # Whoever gets the prior with its weights is told no folders.
            "dataset": ", ".join(_FOLDERS.sub("", name) for name in dataset_names),
            "images": len(measured),
            **_weights(cfg.MODEL.WEIGHTS),
            "order_threshold": ordering.threshold,
            "dilation": ordering.dilation,
        }
        prior = fit_prior(*pairs_of(measured), features, fitted_on)
    prior = comm.all_gather(prior)[0]
    # By every process: on any machine it is there when the call ends, and whole at any time.
    prior.save(output_json)
    return prior


def deciding_settings(cfg) -> list:
    """The config's values that decide the prior of a network and a data set."""
    options = cfg.DEOCCLUSION
    settings = [options.ORDER_THRESHOLD, options.DILATION, options.GAP, options.PRECISION]
    sampler = cfg.INPUT.PARTIAL_COMPLETION.clone()
    del sampler["DRAW_ON"]  # the samples are the same
    return [*settings, cfg.INPUT.INSTANCE_CROP.dump(), sampler.dump()]


# What ``DualCompletion.measure`` gives for each image of a loader.
_Measured = list[np.ndarray]


def _together(of_loaders: Sequence[_Measured]) -> _Measured:
    """Several loaders' images of all processes; the same in each process."""
    # A data set's images stand together and in order, whatever the number of processes.
    by_loader = zip(*comm.all_gather(list(of_loaders)), strict=True)
    return [image for of_processes in by_loader for part in of_processes for image in part]


def _measure(ordering: DualCompletion, loader: DataLoader, see: _See) -> _Measured:
    """The pairs of a loader's images in this process."""
    work = _MeasureScenes(ordering, see)
    with work_in_workers(loader, work, ordering.runners) as batches:
        shown = tqdm(batches, "ordering prior", unit="batch", disable=not comm.is_main_process())
        return [image for batch in shown for image in batch]


@dataclass
class _See:
    """Scenes as the ordering sees them.

    Attributes:
        gap: that is closed, in pixels; see ``RequestCalibration``.
        owned: pixels of several masks get one owner.
    """

    gap: int
    owned: bool

    def __call__(self, scene: Scene) -> Scene:
        scene = replace(scene, gap=self.gap)
        return scene.owned()[0] if self.owned else scene


@dataclass
class _MeasureScenes:
    """Measures the pairs of a batch of records."""

    ordering: DualCompletion
    see: _See

    def __call__(self, records: list[dict]) -> _Measured:
        scenes = [record["scene"] for record in records]
        require_categories(scenes, [self.ordering])
        return self.ordering.measure([self.see(scene) for scene in scenes])


def _gap(cfg, loader: DataLoader) -> int:
    """The gap that a config names, or that is measured on a loader's data set."""
    gap = gap_of(cfg)
    if gap is None:
        records = loader.dataset
        scenes = (records[number]["scene"] for number in chosen_scenes(len(records)))
        gap = RequestCalibration.of_scenes(scenes).gap
    return gap


def _weights(name: str) -> dict[str, str]:
    if not name:
        return {}
    path = Path(PathManager.get_local_path(name))
    return {"weights": path.name, "weights_sha256": file_sha256(path)}
