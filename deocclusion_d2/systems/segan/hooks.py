"""What SeGAN's training does beside the steps."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from detectron2.engine import HookBase
from detectron2.utils import comm

from .network import has_learned


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


class NoticeUnlearned(HookBase):
    """Says so where a stage begins with parts that should have learned before, and have not."""

    def before_train(self) -> None:
        model = getattr(self.trainer.model, "module", self.trainer.model)
        parts = {"segmentor": model.segmentor}
        if model.stage == "end_to_end":
            parts["painter"] = model.painter
        for name, part in parts.items():
            if not has_learned(part):
                logging.getLogger(__name__).warning(
                    "The %s has not learned yet: MODEL.WEIGHTS names no weights of an earlier "
                    "MODEL.SEGAN.STAGE that fit",
                    name,
                )


def build_hooks(cfg) -> list[HookBase]:
    """None in the first stage; where every run is to differ, what is dropped does too."""
    if cfg.MODEL.SEGAN.STAGE == "segment":
        return []
    seeded = [SeededDropout(cfg.SEED)] if cfg.SEED >= 0 else []
    return [NoticeUnlearned(), *seeded]
