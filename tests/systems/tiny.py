"""Trainings of any system in a second or two: its config for CPUs, made smaller still."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from detectron2.engine import default_argument_parser

from deocclusion_d2.config import load_config
from deocclusion_d2.engine.train import train
from deocclusion_d2.experiments import PRESETS
from deocclusion_d2.systems import system_of, trainings

# For all systems; those of ``tests/systems/NAME/tiny.yaml`` come after them.
SMALL = {
    "INPUT.INSTANCE_CROP.SIZE": 32,
    "INPUT.MIN_SIZE_TRAIN": (64,),
    "INPUT.MIN_SIZE_TEST": 64,
    "SOLVER.IMS_PER_BATCH": 4,
    "SOLVER.MAX_ITER": 2,
    "SOLVER.WARMUP_ITERS": 0,
    "SOLVER.CHECKPOINT_PERIOD": 1,
    "SOLVER.CPU_BFLOAT16": False,
    "DATALOADER.NUM_WORKERS": 0,
    "VIS_PERIOD": 0,
    "SEED": 0,
}


def tiny_options(config: str) -> list[str]:
    """Config keys and values that make the training of a config small."""
    name = system_of(load_config(config)).name
    own = Path(__file__).with_name(name) / "tiny.yaml"
    small = {**SMALL, **(yaml.safe_load(own.read_text()) if own.is_file() else {})}
    return [str(text) for pair in small.items() for text in pair]


def train_arguments(
    config: str, kins: Path, output: Path, *opts: str, flags: tuple[str, ...] = ()
) -> Namespace:
    """What ``tools/train_net.py`` is called with, for a tiny training on a tiny KINS.

    Networks that learn from modal masks see no amodal ones.
    """
    labels = system_of(load_config(config)).network.labels
    view = "kins.modal" if labels in ("modal", "appearance") else "kins"
    return default_argument_parser().parse_args(
        [
            "--config-file", config, *flags,
            "DATASETS.TRAIN", f"('{view}:{kins}/instances_train.json@{kins}/training/image_2',)",
            "DATASETS.TEST", f"('kins:{kins}/instances_val.json@{kins}/testing/image_2',)",
            "OUTPUT_DIR", str(output),
            *tiny_options(config),
            *opts,
        ]
    )  # fmt: skip


@dataclass(frozen=True)
class TinyTraining:
    """A tiny training that has run.

    Attributes:
        folder: its output.
        results: of the evaluation at its end.
        start: checkpoint that it started from; "" for none.
    """

    folder: Path
    results: dict
    start: str

    @property
    def weights(self) -> Path:
        return self.folder / "model_final.pth"

    def load_config(self, *opts: str):
        """The config that it ran with, and its weights."""
        file = str(self.folder / "config.yaml")
        return load_config(file, ["MODEL.WEIGHTS", str(self.weights), *opts])

    def metrics(self) -> list[dict]:
        """What it logged, a dict an iteration."""
        return [json.loads(t) for t in (self.folder / "metrics.json").read_text().splitlines()]


class TinyTrainings:
    """Trainings by the name of their config, each done once, after those that it starts from.

    Args:
        kins: folder of a tiny KINS.
        make_folder: name -> an empty folder.
    """

    def __init__(self, kins: Path, make_folder: Callable[[str], Path]) -> None:
        self._kins = kins
        self._make_folder = make_folder
        self._done: dict[str, TinyTraining] = {}

    def __call__(self, config: str) -> TinyTraining:
        if config not in self._done:
            folder, start = self._make_folder(config), self._start(config)
            arguments = train_arguments(config, self._kins, folder, "MODEL.WEIGHTS", start)
            self._done[config] = TinyTraining(folder, train(arguments), start)
        return self._done[config]

    def _start(self, config: str) -> str:
        before = {t.starts_from for t, _ in trainings().values() if quick_config(t.name) == config}
        # A config may be that of a first training and of one that goes on from it.
        if not before or "" in before:
            return ""
        return str(self(quick_config(before.pop())).weights)


def quick_config(training: str) -> str:
    """The config for CPUs on KINS of a training."""
    quick = PRESETS["quick"]
    stem = trainings()[training][0].config.format(family="kins", depth=quick["depth"])
    return quick["config"].format(stem=stem)
