"""A training on a CPU leaves the cores to others that they keep busy."""

from __future__ import annotations

import logging
import os
import time

import torch
from detectron2.engine import HookBase

from ..workers import BusyCores, usable_cores

# Seconds that a first look takes at least, and from look to look.
_FIRST_LOOK = 0.3
_BETWEEN_LOOKS = 5.0


class SharedCores(HookBase):
    """Trains by as many threads as there are idle cores.

    Threads wait for each other at every layer: one whose core is shared holds up all. What was seen
    twice in turn counts. The last bits of a training depend on the number of threads;
    ``OMP_NUM_THREADS`` fixes it, and this looks at nothing then.
    """

    def __init__(self) -> None:
        self._most = torch.get_num_threads()
        self._seen: int | None = None
        self._look()

    def _look(self) -> None:
        self._busy, self._looked = BusyCores(), time.perf_counter()

    def before_train(self) -> None:
        if not self._fixed():
            time.sleep(max(0.0, self._looked + _FIRST_LOOK - time.perf_counter()))
            self._share(at_once=True)

    def after_step(self) -> None:
        if not self._fixed() and time.perf_counter() - self._looked >= _BETWEEN_LOOKS:
            self._share()

    def _fixed(self) -> bool:
        return self._most == 1 or "OMP_NUM_THREADS" in os.environ

    def _share(self, at_once: bool = False) -> None:
        others = self._busy.of_others()
        self._look()
        idle = max(1, min(self._most, round(usable_cores() - others)))
        if idle != torch.get_num_threads() and (at_once or idle == self._seen):
            torch.set_num_threads(idle)
            logging.getLogger(__name__).info(
                "%d of %d threads: other programs keep %.1f cores busy (OMP_NUM_THREADS fixes the "
                "number)", idle, self._most, others,
            )  # fmt: skip
        self._seen = idle
