"""The trainer of every meta-architecture of this package and of Detectron2's own."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator

import torch
from detectron2.engine import DefaultTrainer, defaults
from detectron2.engine.hooks import EvalHook
from detectron2.evaluation import DatasetEvaluator, print_csv_format
from detectron2.utils import comm
from torch import nn

from ..data.datasets import ensure_registered
from ..data.loaders import check_category_ids, records_of, train_category_ids
from ..errors import UserError
from ..inference.weights import Checkpointer, checkpoint_errors
from ..modeling.category_ids import NO_CATEGORY_ID, KnownCategories
from ..modeling.instance_network import InstanceNetwork
from ..modeling.precision import has_bfloat16, run_in_bfloat16
from ..systems import Calibration, system_of
from .evaluate import (
    build_evaluator,
    build_predictor,
    build_test_loader,
    evaluation_folder,
    judge,
)
from .hooks import FINAL_WEIGHTS, CalibrationFit, TrainingPictures
from .optimizer import build_optimizer
from .training_order import TrainingOrder


class Trainer(DefaultTrainer):
    """Detectron2's trainer with this package's loaders and evaluators, and bfloat16 on CPUs."""

    def __init__(self, cfg) -> None:
        with _on_the_models_device():
            super().__init__(cfg)

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
        network = system_of(cfg).network
        if network.wants_order(cfg):
            return network.train_loader(cfg, TrainingOrder(cfg))
        return network.train_loader(cfg)

    @classmethod
    def build_test_loader(cls, cfg, dataset_name: str) -> Iterable:
        return build_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(cls, cfg, dataset_name: str) -> DatasetEvaluator:
        return build_evaluator(cfg, dataset_name, evaluation_folder(cfg.OUTPUT_DIR, dataset_name))

    @classmethod
    def test(cls, cfg, model, evaluators=None) -> dict:
        # As Detectron2's, but scenes are de-occluded in the loader's workers.
        predictor = build_predictor(cfg, getattr(model, "module", model))
        if isinstance(evaluators, DatasetEvaluator):
            evaluators = [evaluators]
        results = OrderedDict()
        for k, name in enumerate(cfg.DATASETS.TEST):
            evaluator = evaluators[k] if evaluators else cls.build_evaluator(cfg, name)
            results[name] = judge(predictor, cls.build_test_loader(cfg, name), evaluator)
            if comm.is_main_process():
                logging.getLogger(__name__).info("Evaluation results for %s in csv format:", name)
                print_csv_format(results[name])
        return next(iter(results.values())) if len(results) == 1 else results

    def train(self) -> dict | None:
        """Train; returns the results of the last evaluation, None where there was none."""
        self.cfg = with_own_calibration(self.cfg)
        self._require_categories_of_tests()
        super().train()
        return getattr(self, "_last_eval_results", None)

    def _require_categories_of_tests(self) -> None:
        """Refuse to learn for hours what cannot be evaluated then; see ``KnownCategories``."""
        model = getattr(self.model, "module", self.model)
        if not isinstance(model, InstanceNetwork) or not model.use_category:
            return
        known = KnownCategories.read(
            self.cfg.DEOCCLUSION.CATEGORY_MAP, model.trained_on.category_ids
        )
        for name in self.cfg.DATASETS.TEST:
            check_category_ids(name, records_of(ensure_registered(name)), known)

    def after_train(self) -> None:
        # Detectron2 calls it after a failure too, and an evaluation may fail in its turn: then
        # nobody would learn of the first.
        if not isinstance(sys.exc_info()[1], UserError):
            super().after_train()

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
        model = getattr(self.model, "module", self.model)
        if isinstance(model, InstanceNetwork):
            ids = train_category_ids(self.cfg) if model.use_category else {NO_CATEGORY_ID}
            model.trained_on.add(ids)
        # Detectron2 has just made its own, which runs the code that a pickle holds.
        self.checkpointer = Checkpointer(
            self.model, self.cfg.OUTPUT_DIR, trainer=weakref.proxy(self)
        )
        hooks = super().build_hooks()
        network = system_of(self.cfg).network
        if self.cfg.VIS_PERIOD > 0 and network.picture is not None:
            # Before the writers, which come last.
            hooks.insert(-1, TrainingPictures(self.cfg.VIS_PERIOD, network.picture))
        further = list(network.hooks(self.cfg))
        calibration = wanted_calibration(self.cfg)
        if calibration is not None:
            further.append(CalibrationFit(self.cfg, calibration, self.cfg.TEST.EVAL_PERIOD))
        # After the checkpointer, before the evaluation.
        place = next(k for k, hook in enumerate(hooks) if isinstance(hook, EvalHook))
        hooks[place:place] = further
        return hooks


@contextlib.contextmanager
def _on_the_models_device() -> Iterator[None]:
    """Let Detectron2's trainer share gradients on CPUs, and on any GPU that is a process's own.

    It names the GPU whose number is that of the process on its machine.
    """
    of_detectron2 = defaults.create_ddp_model

    def create(model: nn.Module, **options) -> nn.Module:
        device = next(model.parameters()).device
        ids = [device] if device.type == "cuda" else None
        return of_detectron2(model, device_ids=ids, **options)

    defaults.create_ddp_model = create
    try:
        yield
    finally:
        defaults.create_ddp_model = of_detectron2


def wanted_calibration(cfg) -> Calibration | None:
    """What training fits at its end, as the config asks; None for nothing."""
    calibration = system_of(cfg).network.calibration
    return calibration if calibration is not None and calibration.wanted(cfg) else None


def with_own_calibration(cfg):
    """A config for a model that is in memory: the calibration beside it is the output folder's.

    ``MODEL.WEIGHTS``, from which a training may have started, are no longer the model's.
    """
    if wanted_calibration(cfg) is None:
        return cfg
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = os.path.join(cfg.OUTPUT_DIR, FINAL_WEIGHTS)
    cfg.freeze()
    return cfg
