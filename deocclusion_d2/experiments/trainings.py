"""The networks of the experiments: which config trains which, and training as a stage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..config import load_config
from ..errors import UserError
from ..inference.weights import file_sha256
from .commands import run_command
from .data import ExperimentData, fingerprint
from .stages import Stage, StageStore, hash_of

# Role of a network -> stem of its config's name. {family}: see ``ExperimentData``.
CONFIGS = {
    "pcnet_m": "pcnet_m_{family}",
    "pcnet_m_plus": "pcnet_m_plus_{family}",
    "amodal_unet": "amodal_unet_{family}",
    "order_net_m": "order_net_m_{family}",
    "order_net_mi": "order_net_mi_{family}",
    "modal_unet": "modal_unet_{family}",
    "mask_rcnn": "amodal_mask_rcnn_{depth}_FPN_{family}",
}
ROLES = tuple(CONFIGS)
# Roles that need modal labels alone: PCNet-M as in the paper, and with what goes beyond.
PCNETS = ("pcnet_m", "pcnet_m_plus")

# Preset -> folder, ending and ResNet of its configs, and overrides of all of them.
PRESETS: dict[str, dict] = {
    "paper": {
        "path": "configs/{stem}.yaml",
        "depth": "R_50",
        "opts": ("DEOCCLUSION.PAPER_PROTOCOL", "True"),
    },
    "quick": {"path": "configs/quick_schedules/{stem}_quick.yaml", "depth": "R_18", "opts": ()},
}

# What a config says without changing what is learnt.
_WITHOUT_EFFECT = {
    "OUTPUT_DIR": "",
    "VIS_PERIOD": 0,
    "DATALOADER.NUM_WORKERS": 0,
    "SOLVER.CHECKPOINT_PERIOD": 1,
    "TEST.EVAL_PERIOD": 0,
    "MODEL.DEVICE": "",
    # Its content matters, not its name: see ``_start``.
    "MODEL.WEIGHTS": "",
}


class Trainings:
    """Configs and training stages of one experiment.

    Args:
        store: where stages are kept.
        data: the experiment's data sets.
        preset: key of ``PRESETS``.
        opts: overrides, alternating keys and values; a key may name the network it is for:
            ``pcnet_m.SOLVER.MAX_ITER``. Without one it holds for all that are trained.
        project: the project's root, with ``tools/`` and ``configs/``.
        num_gpus: for training, per machine.
    """

    def __init__(
        self,
        store: StageStore,
        data: ExperimentData,
        preset: str,
        opts: Sequence[str],
        project: Path,
        num_gpus: int = 1,
    ) -> None:
        self.store = store
        self.data = data
        self.preset = PRESETS[preset]
        self.project = project
        self.num_gpus = num_gpus
        self._opts = split_opts(opts)

    def config_file(self, role: str) -> str:
        """The YAML file of a network.

        Raises:
            UserError: the preset has no config of this network for this kind of data.
        """
        families = [self.data.family]
        # Only the networks that learn from KITTI's own labels have configs of their own.
        if self.data.family == "kitti_mots":
            families.append("kins")
        for family in families:
            stem = CONFIGS[role].format(family=family, depth=self.preset["depth"])
            path = self.preset["path"].format(stem=stem)
            if (self.project / path).is_file():
                return str(self.project / path)
        raise UserError(f"there is no config {path} for {role} on {self.data.name}")

    def opts(self, role: str, *more: str) -> list[str]:
        """All overrides of a network: the preset's, the user's, then ``more``.

        Those for "pcnet_m" are for "pcnet_m_plus" too.
        """
        own = self._opts[role]
        if role == "pcnet_m_plus":
            own = [*self._opts["pcnet_m"], *own]
        # What the paper's protocol leaves out is what this one is for.
        preset = () if role == "pcnet_m_plus" else self.preset["opts"]
        return [*preset, *self._opts[""], *own, *more]

    def config(self, role: str, *more: str):
        """The config of a network."""
        return load_config(self.config_file(role), self.opts(role, *more))

    def train(
        self,
        role: str,
        train: str,
        seed: int,
        *,
        test: str | None = None,
        opts: Sequence[str] = (),
        labels_key: str | None = None,
    ) -> Stage:
        """The stage that trains a network.

        Args:
            role: key of ``CONFIGS``.
            train: training data set.
            seed: of the weights and of all samples.
            test: evaluated at the end; the stage's result then holds the metrics.
            opts: further overrides.
            labels_key: identifies the labels where a stage has made them; else their content does.

        Returns:
            Its result is ``{"file": checkpoint in the stage's folder, "metrics": {...}}``.
        """
        opts = (*opts, "SEED", str(seed))
        overrides = self.opts(role, *opts)
        config_file = self.config_file(role)
        cfg = self.config(role, *opts)
        inputs = {
            "config": hash_of(_what_matters(cfg)),
            "train": labels_key or fingerprint(train),
            "test": fingerprint(test) if test else None,
            **_start(cfg.MODEL.WEIGHTS),
        }

        def work(folder: Path) -> dict:
            command = [str(self.project / "tools/train_net.py"), "--config-file", config_file]
            command += ["--resume"]
            if self.num_gpus > 1:
                command += ["--num-gpus", str(self.num_gpus)]
            command += [
                *overrides,
                *("DATASETS.TRAIN", f"('{train}',)"),
                *("DATASETS.TEST", f"('{test}',)" if test else "()"),
                # It is a stage of its own: a network is shared by all that train it alike.
                *("DEOCCLUSION.ORDERING_PRIOR", ""),
                *("OUTPUT_DIR", str(folder)),
            ]
            run_command(f"{role} learns, seed {seed}", command, folder / "log.txt")
            weights = folder / "model_final.pth"
            return {"metrics": _last_metrics(folder / "metrics.json", test), "file": weights.name}

        # Where they are trained alike, the PCNet-Ms are one network.
        return self.store.run("pcnet_m" if role in PCNETS else role, inputs, work)


def weights_of(stage: Stage) -> str:
    """The checkpoint that a training stage has written."""
    return str(stage.folder / stage.result["file"])


def split_opts(opts: Sequence[str]) -> dict[str, list[str]]:
    """Overrides by role; "" holds those for all networks.

    Raises:
        UserError: a key without a value, or for a network that does not exist.
    """
    if len(opts) % 2:
        raise UserError(f"overrides are KEY VALUE pairs, {' '.join(opts)!r} is not")
    split: dict[str, list[str]] = {role: [] for role in ("", *ROLES)}
    for key, value in zip(opts[::2], opts[1::2], strict=True):
        role, dot, rest = key.partition(".")
        if role in ROLES and dot:
            split[role] += [rest, value]
        elif role.islower():
            raise UserError(f"override {key}: {role!r} is no network; use {', '.join(ROLES)}")
        else:
            split[""] += [key, value]
    return split


def _what_matters(cfg) -> str:
    cfg = cfg.clone()
    cfg.defrost()
    cfg.merge_from_list([x for pair in _WITHOUT_EFFECT.items() for x in pair])
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (), ()
    cfg.pop("DEOCCLUSION")  # how a network is used
    return cfg.dump()


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
