"""Training hooks."""

from __future__ import annotations

import torch
from detectron2.engine import HookBase
from detectron2.utils import comm

from ..data.loaders import Draws, stack_samples
from ..visualization import training_image


class TrainingPictures(HookBase):
    """Every ``period`` iterations, writes samples and what the network makes of them.

    The picture (input, target, completion) goes to the event storage, and from there to
    TensorBoard. It always shows the same samples, so that progress can be seen.

    Args:
        period: iterations between pictures.
        num_samples: samples shown.
    """

    def __init__(self, period: int, num_samples: int = 8) -> None:
        self._period = period
        self._num_samples = num_samples
        self._batch: dict[str, torch.Tensor] | None = None

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
            probability = model(self._batch)["probability"]
        model.train()
        picture = training_image(self._batch["modal_mask"], self._batch["eraser"], probability)
        self.trainer.storage.put_image("samples", picture.transpose(2, 0, 1))


def fixed_samples(mapper, count: int) -> dict[str, torch.Tensor]:
    """The first ``count`` training samples of a mapper, stacked."""
    draws = Draws(len(mapper), mapper.seed)
    return stack_samples([mapper(draws[k]) for k in range(count)])
