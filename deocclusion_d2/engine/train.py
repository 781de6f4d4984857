"""What ``tools/train_net.py`` runs, in every process."""

from __future__ import annotations

import logging
import os
from argparse import Namespace
from typing import Any

import torch
from detectron2.evaluation import verify_results
from detectron2.utils import comm
from detectron2.utils.collect_env import collect_env_info
from detectron2.utils.env import seed_all_rng
from detectron2.utils.logger import setup_logger

from ..config import find_config, fingerprint, load_config
from ..errors import UserError, one_line_errors
from ..files import whole_text_file
from ..inference.weights import Checkpointer, checkpoint_errors, load_model
from ..systems import system_of
from .hooks import ProgressBar
from .output_folder import CONFIG, check_output_folder
from .shared_cores import SharedCores
from .trainer import Trainer, with_own_calibration


def train(args: Namespace) -> Any:
    """Train, or evaluate with ``--eval-only``.

    Args:
        args: the arguments of Detectron2's ``default_argument_parser``.
    """
    with one_line_errors():
        if not args.config_file:
            raise UserError("--config-file is missing; configs/ holds them")
        cfg = load_config(args.config_file, args.opts or ())
        system_of(cfg)  # before an output folder is made for nothing
        if not _expects_as_it_stands(cfg, args.config_file):
            cfg.TEST.EXPECTED_RESULTS = []
        if args.eval_only:
            _set_up(cfg, args, training=False, resume=args.resume)
            return _evaluate(cfg, args.resume)
        return run_training(cfg, args, resume=args.resume)


def run_training(cfg, args: Namespace, *, resume: bool, bar: bool = False) -> dict | None:
    """Train what a config describes, in one process of a group.

    Args:
        args: noted in the log; ``config_file``, if there, is what the config was read from.
        resume: go on from the last checkpoint of the output folder, if there is one.
        bar: show a progress bar on stderr.

    Returns:
        The results of the last evaluation; None where there was none.

    Raises:
        UserError: settings, weights or data that cannot be used.
    """
    _set_up(cfg, args, training=True, resume=resume)
    hooks = []
    if cfg.MODEL.DEVICE == "cpu" and comm.get_world_size() == 1:
        hooks.append(SharedCores())
    if bar and comm.is_main_process():
        hooks.append(ProgressBar())
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.register_hooks(hooks)
    return trainer.train()


def _expects_as_it_stands(cfg, config_file: str) -> bool:
    """Whether ``TEST.EXPECTED_RESULTS`` of a file are about this training or evaluation.

    They are about the config as it stands, not about other data, weights or schedules.
    """
    if not cfg.TEST.EXPECTED_RESULTS:
        return True
    plain = load_config(config_file)
    return all(
        what(plain) == what(cfg)
        for what in (
            lambda c: (c.DATASETS.TRAIN, c.DATASETS.TEST, c.MODEL.WEIGHTS),
            lambda c: fingerprint(c, system_of(c), "training"),
            lambda c: fingerprint(c, system_of(c), "use"),
        )
    )


def _set_up(cfg, args: Namespace, *, training: bool, resume: bool) -> None:
    """What Detectron2's ``default_setup`` does, but no input is written over."""
    cfg.freeze()
    config_file = getattr(args, "config_file", None)
    # In every process: one that failed alone would leave the others waiting.
    writes_config = check_output_folder(cfg, config_file, training=training, resume=resume)
    # Its report looks for CUDA's compiler; torch would complain where no GPU goes with one.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    rank = comm.get_rank()
    if comm.is_main_process() and cfg.OUTPUT_DIR:
        os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
    for name in ("fvcore", "detectron2", "deocclusion_d2"):
        setup_logger(cfg.OUTPUT_DIR, distributed_rank=rank, name=name)
    logger = logging.getLogger(__name__)
    logger.info("Process %d of %d", rank, comm.get_world_size())
    logger.info("Environment:\n%s", collect_env_info())
    logger.info("Arguments: %s", args)
    if config_file:
        text = find_config(config_file).read_text(encoding="utf-8")
        logger.info("Config file %s:\n%s", config_file, text)
    logger.info("The full config:\n%s", cfg.dump())
    if comm.is_main_process() and writes_config:
        with whole_text_file(os.path.join(cfg.OUTPUT_DIR, CONFIG)) as file:
            file.write(cfg.dump())
    seed_all_rng(None if cfg.SEED < 0 else cfg.SEED + rank)
    if training:
        torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK


def _evaluate(cfg, resume: bool) -> dict:
    if system_of(cfg).network.test_loader is None and not resume:
        # Half-loaded weights would give plausible masks: refuse them.
        model = load_model(cfg)
    else:
        model = Trainer.build_model(cfg)
        checkpointer = Checkpointer(model, cfg.OUTPUT_DIR)
        with checkpoint_errors(checkpointer, cfg.MODEL.WEIGHTS, resume):
            checkpointer.resume_or_load(cfg.MODEL.WEIGHTS, resume=resume)
        if resume:
            cfg = with_own_calibration(cfg)
    results = Trainer.test(cfg, model)
    if comm.is_main_process():
        verify_results(cfg, results)
    return results
