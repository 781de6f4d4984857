"""The networks of the experiments: which config trains which, and training as a stage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..chosen_steps import use_fingerprint
from ..config import find_config, fingerprint, load_config
from ..errors import UserError
from ..files import file_sha256
from ..pretrained import find_pretrained
from ..systems import system_of, trainings
from .data import ExperimentData
from .data import fingerprint as data_fingerprint
from .stages import Stage, StageStore
from .steps import train

# Preset -> ending and ResNet of its configs, and overrides of all of them.
PRESETS: dict[str, dict] = {
    "paper": {"config": "{stem}", "depth": "R_50", "opts": ("DEOCCLUSION.PAPER_PROTOCOL", "True")},
    "quick": {"config": "{stem}_quick", "depth": "R_18", "opts": ()},
}


class Trainings:
    """Configs and training stages of one experiment.

    Args:
        store: where stages are kept.
        data: the experiment's data sets.
        preset: key of ``PRESETS``.
        opts: overrides, alternating keys and values; a key may name the training it is for:
            ``pcnet_m.SOLVER.MAX_ITER``. Without one it holds for all.
        num_gpus: for training, per machine.
    """

    def __init__(
        self,
        store: StageStore,
        data: ExperimentData,
        preset: str,
        opts: Sequence[str],
        num_gpus: int = 1,
    ) -> None:
        self.store = store
        self.data = data
        self.preset = PRESETS[preset]
        self.num_gpus = num_gpus
        self._opts = split_opts(opts)

    def config_file(self, name: str) -> str:
        """The YAML file of a training.

        Raises:
            UserError: the preset has no config of this training for this kind of data.
        """
        if trainings()[name][0].pretrained:
            return find_pretrained(trainings()[name][0].pretrained).config
        families = [self.data.family]
        # Only the networks that learn from KITTI's own labels have configs of their own.
        if self.data.family == "kitti_mots":
            families.append("kins")
        for family in families:
            stem = trainings()[name][0].config.format(family=family, depth=self.preset["depth"])
            config = self.preset["config"].format(stem=stem)
            try:
                return str(find_config(config))
            except UserError:
                continue
        raise UserError(f"there is no config {config}.yaml for {name} on {self.data.name}")

    def opts(self, name: str, *more: str, first: Sequence[str] = ()) -> list[str]:
        """All overrides of a training: the preset's, its own, ``first``, the user's, ``more``.

        Those of a training that it is like are for it too.
        """
        training = trainings()[name][0]
        own = [*(self._opts[training.like] if training.like else ()), *self._opts[name]]
        # What the paper's protocol leaves out is what some are for.
        preset = () if training.beyond_paper else self.preset["opts"]
        its = [text for key, value in training.opts.items() for text in (key, value)]
        return [*preset, *its, *first, *self._opts[""], *own, *more]

    def config(self, name: str, *more: str, first: Sequence[str] = ()):
        """The config of a training; see ``opts``."""
        return load_config(self.config_file(name), self.opts(name, *more, first=first))

    def train(
        self,
        name: str,
        dataset: str,
        seed: int,
        *,
        test: str | None = None,
        opts: Sequence[str] = (),
        labels_key: str | None = None,
    ) -> Stage:
        """The stage of a training.

        Args:
            name: of the training.
            dataset: training data set.
            seed: of the weights and of all samples.
            test: evaluated at the end; the stage's result then holds the metrics.
            opts: further overrides.
            labels_key: identifies the labels where a stage has made them; else their content does.

        Returns:
            Its result is ``{"file": checkpoint in the stage's folder, "metrics": {...}}``.
        """
        cfg = self.config(name, *opts, "SEED", str(seed))
        system = system_of(cfg)
        inputs = {
            "config": fingerprint(cfg, system, "training"),
            "train": labels_key or data_fingerprint(dataset),
            "test": data_fingerprint(test) if test else None,
            **_start(cfg.MODEL.WEIGHTS),
        }
        if system.network.wants_order(cfg):
            inputs["order"] = use_fingerprint(cfg)

        def work(folder: Path) -> dict:
            cfg.DATASETS.TRAIN = (dataset,)
            cfg.DATASETS.TEST = (test,) if test else ()
            cfg.OUTPUT_DIR = str(folder)
            # What the file expects is about its own data and length.
            cfg.TEST.EXPECTED_RESULTS = []
            calibration = system.network.calibration
            if calibration is not None:
                # A stage of its own: a network is shared by all that train it alike.
                cfg.DEOCCLUSION[calibration.key] = ""
            train(f"{name} learns, seed {seed}", folder, cfg, self.num_gpus)
            weights = folder / "model_final.pth"
            return {"metrics": _last_metrics(folder / "metrics.json", test), "file": weights.name}

        # Where they are trained alike, they are one network.
        return self.store.run(trainings()[name][0].like or name, inputs, work)


def pretrained_stage(name: str) -> Stage:
    """A trained network in place of a training: its file, and no figures.

    Args:
        name: of the training.

    Raises:
        UserError: there is no such network, or its file is damaged.
    """
    weights = find_pretrained(trainings()[name][0].pretrained).weights
    result = {"file": weights.name, "metrics": {}}
    return Stage(name, file_sha256(weights), weights.parent, result, 0.0, False)


def weights_of(stage: Stage) -> str:
    """The checkpoint that a training stage has written."""
    return str(stage.folder / stage.result["file"])


def split_opts(opts: Sequence[str]) -> dict[str, list[str]]:
    """Overrides by training; "" holds those for all networks.

    Raises:
        UserError: a key without a value, or for a training that does not exist.
    """
    if len(opts) % 2:
        raise UserError(f"overrides are KEY VALUE pairs, {' '.join(opts)!r} is not")
    known = tuple(trainings())
    split: dict[str, list[str]] = {role: [] for role in ("", *known)}
    for key, value in zip(opts[::2], opts[1::2], strict=True):
        role, dot, rest = key.partition(".")
        if role in known and dot:
            split[role] += [rest, value]
        elif role.islower():
            raise UserError(f"override {key}: {role!r} is no network; use {', '.join(known)}")
        else:
            split[""] += [key, value]
    return split


def _start(weights: str) -> dict[str, str]:
    """What identifies the weights that a training starts from; nothing, from scratch.

    Raises:
        UserError: there is no such file.
    """
    if not weights:
        return {}
    if "://" in weights:
        return {"start": weights}
    if not Path(weights).is_file():
        raise UserError(f"MODEL.WEIGHTS: {weights!r} does not exist")
    return {"start": file_sha256(Path(weights))}


def _last_metrics(path: Path, test: str | None) -> dict[str, float]:
    """The evaluation that a training ended with: every "task/metric" of its last lines."""
    if test is None:
        return {}
    metrics: dict[str, float] = {}
    for line in path.read_text().splitlines():
        metrics.update({k: v for k, v in json.loads(line).items() if "/" in k})
    return {k: v for k, v in metrics.items() if v == v and not k.startswith(_TRAINING_SCALARS)}


# Scalars with a slash that Detectron2's Mask R-CNN writes while it trains.
_TRAINING_SCALARS = ("fast_rcnn/", "mask_rcnn/", "roi_head/", "rpn/")
