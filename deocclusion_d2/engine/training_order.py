"""Who hides whom in the scenes that a network learns from, as another network or a rule says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from detectron2.utils import comm

from ..deoccluder import Deoccluder
from ..methods import with_steps
from ..progress import counting
from ..structures import OcclusionGraph, Scene

# Scenes that share the ordering network's batches.
_SCENES_AT_ONCE = 16


class TrainingOrder:
    """``DEOCCLUSION.ORDERING`` of a config, for scenes of its training data.

    The network that it needs is loaded when scenes are first ordered.
    """

    def __init__(self, cfg) -> None:
        self._cfg = cfg

    def __call__(
        self, read: Callable[[Sequence[int]], list[Scene]], count: int
    ) -> Iterator[OcclusionGraph]:
        """The graph of every scene, in order.

        Args:
            read: numbers of scenes -> the scenes.
            count: how many there are.

        Raises:
            UserError: see ``Deoccluder.from_config``.
        """
        name = self._cfg.DEOCCLUSION.ORDERING
        logging.getLogger(__name__).info("Ordering %d training scenes by %r", count, name)
        deoccluder = Deoccluder.from_config(with_steps(self._cfg, name, "raw"))
        if deoccluder.needs_calibration:
            deoccluder = deoccluder.calibrated(deoccluder.calibration(read, count))
        bar = {"desc": "ordering", "unit": "scene", "disable": not comm.is_main_process()}
        with counting(count, **bar) as done:
            for start in range(0, count, _SCENES_AT_ONCE):
                scenes = read(range(start, min(start + _SCENES_AT_ONCE, count)))
                yield from deoccluder.order(scenes)
                done(len(scenes))
