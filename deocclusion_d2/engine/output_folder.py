"""What a training or evaluation writes into ``OUTPUT_DIR``, and that none of it is an input."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..config import config_files, flatten, load_config
from ..data.datasets import dataset_inputs
from ..errors import UserError
from ..outputs import Inputs, files_in_name
from ..systems import system_of
from .evaluate import evaluation_folder

CONFIG = "config.yaml"
_CHECKPOINT = re.compile(r"model_(\d{7})\.pth")
_RESULTS = re.compile(r".+_results\.json|instances_predictions\.pth")


def check_output_folder(cfg, config_file: str | None, *, training: bool, resume: bool) -> bool:
    """Refuse to write over what is read, before anything is written.

    A ``config.yaml`` there that is read stays as it is for an evaluation, and for a training that
    it describes already. The one that a training has written, which its log repeats, may be
    replaced where that training goes on (``--resume``) with other settings.

    Args:
        cfg: what is going to be run.
        config_file: what it was read from, if from a file.
        training: or evaluation alone.
        resume: the folder's last checkpoint is read, if there is one.

    Returns:
        Whether ``config.yaml`` is to be written.

    Raises:
        UserError: names the file and what to do.
    """
    if not cfg.OUTPUT_DIR:
        return False
    inputs = _inputs(cfg, config_file, training, resume)
    for path in _written(cfg, training):
        if path in inputs:
            raise UserError(
                f"{path} is one of the inputs and would be written over: set another OUTPUT_DIR, "
                "or copy the file elsewhere and name the copy"
            )
    path = Path(cfg.OUTPUT_DIR, CONFIG)
    if path not in inputs:
        return True
    if not training:
        return False
    there = load_config(str(path))
    if _about(there) == _about(cfg):
        return False
    if resume and _is_written(path, there):
        return True
    raise UserError(
        f"{path} is one of the inputs, and the settings of this training would replace it: set "
        "another OUTPUT_DIR, or copy the file elsewhere and name the copy"
    )


def _about(cfg) -> dict[str, Any]:
    """What a config says, wherever its outputs go."""
    return {k: v for k, v in flatten(cfg) if k not in ("OUTPUT_DIR", "TEST.EXPECTED_RESULTS")}


def _is_written(path: Path, cfg) -> bool:
    """Whether a config file is one that a run has written: every key, and no comment."""
    text = path.read_text(encoding="utf-8")
    keys = {key for key, _ in flatten(yaml.safe_load(text))}
    return "#" not in text and keys == {key for key, _ in flatten(cfg)}


def _inputs(cfg, config_file: str | None, training: bool, resume: bool) -> Inputs:
    names = [*(cfg.DATASETS.TRAIN if training else ()), *cfg.DATASETS.TEST]
    inputs = dataset_inputs(*names)
    inputs.add(config_files(config_file) if config_file else ())
    goes_on = resume and os.path.isfile(os.path.join(cfg.OUTPUT_DIR, "last_checkpoint"))
    for key, value in flatten(cfg):
        if key.startswith("DATASETS.") or (key == "MODEL.WEIGHTS" and goes_on):
            continue
        for text in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(text, str):
                inputs.add(files_in_name(text))
    return inputs


def _written(cfg, training: bool) -> Iterator[Path]:
    """Files that are written, but ``config.yaml``; of some only those that are there."""
    folder = Path(cfg.OUTPUT_DIR)
    yield from (path for path in _entries(folder) if path.name.startswith("log.txt"))
    for name in cfg.DATASETS.TEST:
        for path in _entries(Path(evaluation_folder(cfg.OUTPUT_DIR, name))):
            if _RESULTS.fullmatch(path.name):
                yield path
    if not training:
        return
    yield from (folder / name for name in ("metrics.json", "last_checkpoint", "model_final.pth"))
    calibration = system_of(cfg).network.calibration
    if calibration is not None and calibration.wanted(cfg):
        yield folder / calibration.file
    for path in _entries(folder):
        match = _CHECKPOINT.fullmatch(path.name)
        number = int(match[1]) if match else cfg.SOLVER.MAX_ITER
        if number < cfg.SOLVER.MAX_ITER and (number + 1) % cfg.SOLVER.CHECKPOINT_PERIOD == 0:
            yield path


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
