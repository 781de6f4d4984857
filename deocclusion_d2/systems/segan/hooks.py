"""What SeGAN's training does beside the steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from detectron2.engine import HookBase
from detectron2.utils import comm


class SeededDropout(HookBase):
    """What the painter drops follows from the seed and the iteration, also after an interruption.

    Args:
        seed: of the training.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train(self) -> None:
        # Not before the step: a data loader that begins draws a number, too.
        self._handle = self.trainer.model.register_forward_pre_hook(self._seed)

    def after_train(self) -> None:
        self._handle.remove()

    def _seed(self, *_: Any) -> None:
        numbers = np.random.SeedSequence([self.seed, comm.get_rank(), self.trainer.iter])
        torch.manual_seed(int(numbers.generate_state(1)[0]))


def build_hooks(cfg) -> list[HookBase]:
    """None where every run is to differ, and where nothing is dropped."""
    drops = cfg.SEED >= 0 and cfg.MODEL.SEGAN.STAGE != "segment"
    return [SeededDropout(cfg.SEED)] if drops else []
