"""Training hooks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

import numpy as np
import torch
from detectron2.engine import HookBase
from detectron2.utils import comm
from tqdm import tqdm

from ..data.loaders import Tensors
from ..systems import Calibration

# What Detectron2 calls the weights at the end of training.
FINAL_WEIGHTS = "model_final.pth"


class TrainingPictures(HookBase):
    """Every ``period`` iterations, writes samples and what the network makes of them.

    The picture (input, target, result) goes to the event storage, and from there to TensorBoard. It
    always shows the same samples, so that progress can be seen.

    Args:
        period: iterations between pictures.
        draw: (batch, the model's result) -> (H, W, 3) uint8; see ``Network.picture``.
        num_samples: samples shown.
    """

    def __init__(
        self, period: int, draw: Callable[[Mapping, Mapping], np.ndarray], num_samples: int = 8
    ) -> None:
        self._period = period
        self._draw = draw
        self._num_samples = num_samples
        self._batch: Tensors | None = None

    def after_step(self) -> None:
        due = (self.trainer.iter + 1) % self._period == 0
        if not (due and comm.is_main_process()):
            return
        if self._batch is None:
            self._batch = self.trainer.data_loader.first_samples(self._num_samples)
        model = getattr(self.trainer.model, "module", self.trainer.model)
        model.eval()
        with torch.no_grad():
            picture = self._draw(self._batch, model(self._batch))
        model.train()
        self.trainer.storage.put_image("samples", picture.transpose(2, 0, 1))


class CalibrationFit(HookBase):
    """Fits a system's ``Calibration`` to the training data before evaluations use it.

    It is written to the output folder, and training ends with that of the final weights.

    Args:
        cfg: of the training.
        calibration: the system's.
        period: iterations between evaluations, 0 for none but at the end.
    """

    def __init__(self, cfg, calibration: Calibration, period: int) -> None:
        self._cfg = cfg
        self._calibration = calibration
        self._period = period

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if self._period > 0 and done % self._period == 0 and done < self.trainer.max_iter:
            self._fit("")

    def after_train(self) -> None:
        if self.trainer.iter + 1 >= self.trainer.max_iter:
            self._fit(os.path.join(self._cfg.OUTPUT_DIR, FINAL_WEIGHTS))

    def _fit(self, weights: str) -> None:
        cfg = self._cfg.clone()
        cfg.defrost()
        cfg.MODEL.WEIGHTS = weights
        model = getattr(self.trainer.model, "module", self.trainer.model)
        model.eval()
        output = os.path.join(cfg.OUTPUT_DIR, self._calibration.file)
        self._calibration.fit(cfg, cfg.DATASETS.TRAIN, output, model=model)
        model.train()


class ProgressBar(HookBase):
    """A bar of iterations on stderr, for trainings whose lines go to a log."""

    def before_train(self) -> None:
        trainer = self.trainer
        self._bar = tqdm(
            total=trainer.max_iter, initial=trainer.start_iter, unit="it", file=sys.stderr
        )

    def after_step(self) -> None:
        self._bar.update()

    def after_train(self) -> None:
        self._bar.close()
