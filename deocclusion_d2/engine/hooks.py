"""Training hooks."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch
from detectron2.engine import HookBase
from detectron2.utils import comm

from ..data.loaders import Draws, stack_samples
from ..inference.ordering_prior import PRIOR_FILE
from ..inference.prior_fitting import fit_ordering_prior
from ..visualization import content_image, split_batch, training_image

Tensors = dict[str, torch.Tensor]


def mask_picture(batch: Tensors, result: Tensors) -> np.ndarray:
    """Samples of PCNet-M and their completions."""
    return training_image(batch["modal_mask"], batch["eraser"], result["probability"])


def content_picture(batch: Tensors, result: Tensors) -> np.ndarray:
    """Samples of PCNet-C and their filled holes."""
    return content_image(split_batch(batch), result["rgb"].cpu())


# INPUT.DATASET_MAPPER_NAME -> how training draws its samples, for those that it can draw.
TRAINING_PICTURES: dict[str, Callable[[Tensors, Tensors], np.ndarray]] = {
    "pcnet_m": mask_picture,
    "pcnet_c": content_picture,
}


class TrainingPictures(HookBase):
    """Every ``period`` iterations, writes samples and what the network makes of them.

    The picture (input, target, completion) goes to the event storage, and from there to
    TensorBoard. It always shows the same samples, so that progress can be seen.

    Args:
        period: iterations between pictures.
        draw: (batch, the model's result) -> (H, W, 3) uint8.
        num_samples: samples shown.
    """

    def __init__(
        self, period: int, draw: Callable[[Tensors, Tensors], np.ndarray], num_samples: int = 8
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
            mapper = self.trainer.data_loader.mapper
            self._batch = fixed_samples(mapper, self._num_samples)
        model = getattr(self.trainer.model, "module", self.trainer.model)
        model.eval()
        with torch.no_grad():
            picture = self._draw(self._batch, model(self._batch))
        model.train()
        self.trainer.storage.put_image("samples", picture.transpose(2, 0, 1))


class OrderingPriorFit(HookBase):
    """Fits the ordering prior to the training data before evaluations use it.

    It is written to the output folder, ``PRIOR_FILE``.

    Args:
        cfg: of a PCNet-M.
        period: iterations between evaluations, 0 for none but at the end.
    """

    def __init__(self, cfg, period: int) -> None:
        self._cfg = cfg
        self._period = period

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if self._period > 0 and done % self._period == 0 and done < self.trainer.max_iter:
            self._fit("")

    def after_train(self) -> None:
        if self.trainer.iter + 1 >= self.trainer.max_iter:
            self._fit(os.path.join(self._cfg.OUTPUT_DIR, "model_final.pth"))

    def _fit(self, weights: str) -> None:
        cfg = self._cfg.clone()
        cfg.defrost()
        cfg.MODEL.WEIGHTS = weights
        model = getattr(self.trainer.model, "module", self.trainer.model)
        model.eval()
        output = os.path.join(cfg.OUTPUT_DIR, PRIOR_FILE)
        fit_ordering_prior(cfg, cfg.DATASETS.TRAIN, output, model=model)
        model.train()


def fixed_samples(mapper, count: int) -> Tensors:
    """The first ``count`` training samples of a mapper, stacked."""
    draws = Draws(len(mapper), mapper.seed)
    return stack_samples([mapper(draws[k]) for k in range(count)])
