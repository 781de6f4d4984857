"""What ``tools/train_net.py`` runs, in every process."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from detectron2.checkpoint import DetectionCheckpointer
from detectron2.engine import default_setup
from detectron2.evaluation import verify_results
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from ..config import load_config
from ..errors import UserError, one_line_errors
from ..inference import load_model
from ..inference.weights import checkpoint_errors
from .trainer import SCENE_MODELS, Trainer, with_own_prior


def train(args: Namespace) -> Any:
    """Train, or evaluate with ``--eval-only``.

    Args:
        args: the arguments of Detectron2's ``default_argument_parser``.
    """
    with one_line_errors():
        if not args.config_file:
            raise UserError("--config-file is missing; configs/ holds them")
        cfg = load_config(args.config_file, args.opts or ())
        cfg.freeze()
        default_setup(cfg, args)
        setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="deocclusion_d2")
        if args.eval_only:
            return _evaluate(cfg, args.resume)
        trainer = Trainer(cfg)
        trainer.resume_or_load(resume=args.resume)
        return trainer.train()


def _evaluate(cfg, resume: bool) -> dict:
    if cfg.MODEL.META_ARCHITECTURE in SCENE_MODELS and not resume:
        # Half-loaded weights would give plausible masks: refuse them.
        model = load_model(cfg)
    else:
        model = Trainer.build_model(cfg)
        checkpointer = DetectionCheckpointer(model, save_dir=cfg.OUTPUT_DIR)
        with checkpoint_errors(checkpointer, cfg.MODEL.WEIGHTS, resume):
            checkpointer.resume_or_load(cfg.MODEL.WEIGHTS, resume=resume)
        if resume:
            cfg = with_own_prior(cfg)
    results = Trainer.test(cfg, model)
    if comm.is_main_process():
        verify_results(cfg, results)
    return results
