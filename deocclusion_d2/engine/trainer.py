"""The trainer of every meta-architecture of this package and of Detectron2's own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.data import build_detection_test_loader, build_detection_train_loader
from detectron2.engine import DefaultTrainer
from detectron2.engine.hooks import EvalHook
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator
from detectron2.utils import comm
from torch import nn

from ..data.datasets import ensure_registered
from ..data.loaders import build_scene_test_loader
from ..data.train_loaders import (
    build_amodal_unet_train_loader,
    build_modal_unet_train_loader,
    build_order_net_train_loader,
    build_pcnet_c_train_loader,
    build_pcnet_m_train_loader,
)
from ..errors import UserError
from ..evaluation import ContentEvaluator, ModalSegmentationEvaluator, build_evaluators
from ..inference import Deoccluder, HoleFiller, ModalSegmenter
from ..inference.ordering_prior import AUTO, PRIOR_FILE
from ..inference.weights import checkpoint_errors
from ..modeling.precision import has_bfloat16, run_in_bfloat16
from .hooks import TRAINING_PICTURES, OrderingPriorFit, TrainingPictures
from .optimizer import build_optimizer

# INPUT.DATASET_MAPPER_NAME -> train loader. The next method's samples are one more entry.
TRAIN_LOADERS: dict[str, Callable[[Any], Iterable]] = {
    "detectron2": build_detection_train_loader,
    "pcnet_m": build_pcnet_m_train_loader,
    "pcnet_c": build_pcnet_c_train_loader,
    "amodal_unet": build_amodal_unet_train_loader,
    "order_net": build_order_net_train_loader,
    "modal_unet": build_modal_unet_train_loader,
}


@dataclass(frozen=True)
class SceneEvaluation:
    """How a meta-architecture is evaluated on scenes.

    Attributes:
        predictor: (config, model) -> what maps the dicts of ``SceneMapper`` to results.
        evaluators: (data set's name, output folder) -> what judges the results.
    """

    predictor: Callable[[Any, nn.Module], Callable]
    evaluators: Callable[[str, str], DatasetEvaluator]


_DEOCCLUSION = SceneEvaluation(Deoccluder.from_config, build_evaluators)
# Meta-architectures that are evaluated on scenes.
SCENE_MODELS: dict[str, SceneEvaluation] = {
    "PCNetM": _DEOCCLUSION,
    "AmodalUNet": _DEOCCLUSION,
    "OrderNet": _DEOCCLUSION,
    "PCNetC": SceneEvaluation(
        HoleFiller.from_config, lambda dataset_name, output_dir: ContentEvaluator(output_dir)
    ),
    "ModalUNet": SceneEvaluation(
        ModalSegmenter.from_config,
        lambda dataset_name, output_dir: ModalSegmentationEvaluator(output_dir),
    ),
}


class Trainer(DefaultTrainer):
    """Detectron2's trainer with this package's loaders and evaluators, and bfloat16 on CPUs."""

    @classmethod
    def build_model(cls, cfg) -> nn.Module:
        model = super().build_model(cfg)
        device = torch.device(cfg.MODEL.DEVICE)
        if cfg.SOLVER.CPU_BFLOAT16 and device.type == "cpu" and has_bfloat16(device):
            run_in_bfloat16(model)
        return model

    @classmethod
    def build_optimizer(cls, cfg, model: nn.Module) -> torch.optim.Optimizer:
        # Only training builds one: the place to load what evaluation does without.
        if hasattr(model, "prepare_training"):
            model.prepare_training(cfg)
        return build_optimizer(cfg, model)

    @classmethod
    def build_train_loader(cls, cfg) -> Iterable:
        for name in cfg.DATASETS.TRAIN:
            ensure_registered(name)
        name = cfg.INPUT.DATASET_MAPPER_NAME
        if name not in TRAIN_LOADERS:
            raise UserError(
                f"INPUT.DATASET_MAPPER_NAME = {name!r}: use one of {', '.join(TRAIN_LOADERS)}"
            )
        return TRAIN_LOADERS[name](cfg)

    @classmethod
    def build_test_loader(cls, cfg, dataset_name: str) -> Iterable:
        ensure_registered(dataset_name)
        if cfg.MODEL.META_ARCHITECTURE in SCENE_MODELS:
            return build_scene_test_loader(cfg, dataset_name)
        return build_detection_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(cls, cfg, dataset_name: str) -> DatasetEvaluator:
        ensure_registered(dataset_name)
        output_dir = os.path.join(cfg.OUTPUT_DIR, "inference", catalog_file_name(dataset_name))
        if cfg.MODEL.META_ARCHITECTURE in SCENE_MODELS:
            scene_model = SCENE_MODELS[cfg.MODEL.META_ARCHITECTURE]
            return scene_model.evaluators(dataset_name, output_dir)
        # Detectron2 would take the ground truth that an earlier run wrote, of whatever labels the
        # name stood for then.
        stale = os.path.join(output_dir, f"{dataset_name}_coco_format.json")
        if comm.is_main_process() and os.path.exists(stale):
            os.remove(stale)
        # The fast implementation needs Detectron2's C++ part.
        return COCOEvaluator(
            dataset_name, ("bbox", "segm"), output_dir=output_dir, use_fast_impl=False
        )

    @classmethod
    def test(cls, cfg, model, evaluators=None) -> dict:
        if cfg.MODEL.META_ARCHITECTURE in SCENE_MODELS:
            inner = model.module if hasattr(model, "module") else model
            model = SCENE_MODELS[cfg.MODEL.META_ARCHITECTURE].predictor(cfg, inner)
        return super().test(cfg, model, evaluators)

    def train(self) -> dict | None:
        """Train; returns the results of the last evaluation, None where there was none."""
        self.cfg = with_own_prior(self.cfg)
        super().train()
        return getattr(self, "_last_eval_results", None)

    def resume_or_load(self, resume: bool = True) -> None:
        with checkpoint_errors(self.checkpointer, self.cfg.MODEL.WEIGHTS, resume):
            super().resume_or_load(resume)
        loader = self._trainer.data_loader
        if hasattr(loader, "first_iteration"):
            loader.first_iteration = self.start_iter

    # Detectron2 0.6 forgets the optimizer's state, and momentum starts anew on resuming; its main
    # branch keeps it under this very key.
    def state_dict(self) -> dict:
        return {**super().state_dict(), "_trainer": self._trainer.state_dict()}

    def load_state_dict(self, state_dict: dict) -> None:
        super().load_state_dict(state_dict)
        if "_trainer" in state_dict:
            self._trainer.load_state_dict(state_dict["_trainer"])

    def build_hooks(self) -> list:
        hooks = super().build_hooks()
        draw = TRAINING_PICTURES.get(self.cfg.INPUT.DATASET_MAPPER_NAME)
        if self.cfg.VIS_PERIOD > 0 and draw is not None:
            # Before the writers, which come last.
            hooks.insert(-1, TrainingPictures(self.cfg.VIS_PERIOD, draw))
        if self._fits_prior():
            # After the checkpointer, before the evaluation.
            place = next(k for k, hook in enumerate(hooks) if isinstance(hook, EvalHook))
            hooks.insert(place, OrderingPriorFit(self.cfg, self.cfg.TEST.EVAL_PERIOD))
        return hooks

    def _fits_prior(self) -> bool:
        options = self.cfg.DEOCCLUSION
        return (
            self.cfg.MODEL.META_ARCHITECTURE == "PCNetM"
            and options.ORDERING_PRIOR == AUTO
            and not options.PAPER_PROTOCOL
        )


def with_own_prior(cfg):
    """A config for a model that is in memory: the prior "auto" is that of the output folder.

    ``MODEL.WEIGHTS``, from which a training may have started, are no longer the model's.
    """
    if cfg.DEOCCLUSION.ORDERING_PRIOR != AUTO:
        return cfg
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DEOCCLUSION.ORDERING_PRIOR = os.path.join(cfg.OUTPUT_DIR, PRIOR_FILE)
    cfg.MODEL.WEIGHTS = ""
    cfg.freeze()
    return cfg


def catalog_file_name(dataset_name: str) -> str:
    """A data set's name as a folder name: names on the fly hold paths."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", dataset_name).strip("_")
