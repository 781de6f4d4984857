"""PCNet-C's content completion (Sec. 3.4, eq. 5), and its measure on erased and hidden regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...data.samplers import ErasingSettings
from ...errors import UserError
from ...evaluation.content import ContentEvaluator, HoleFiller
from ...inference.content.filler import ContentFiller, at_full_resolution, content_sample
from ...inference.content.holes import Hole
from ...inference.network_runner import NetworkRunner
from ...modeling.category_ids import KnownCategories
from ...modeling.instance_network import InstanceNetwork


class ContentCompletion(ContentFiller):
    """Fills holes with a trained PCNet-C.

    Args:
        runner: runs PCNet-C (anything with ``NetworkRunner.outputs``).
        patch_size: S in pixels.
        enlarge, context: see ``ContentFiller``.
        soft_seam: correct the filled colours next to visible ones; see ``correct_seam``.
    """

    def __init__(
        self,
        runner: NetworkRunner,
        *,
        patch_size: int = 256,
        enlarge: float = 3.0,
        context: float = 0.3,
        soft_seam: bool = True,
    ) -> None:
        self.runner = runner
        self.runners = (runner,)
        self.patch_size = patch_size
        self.enlarge = enlarge
        self.context = context
        self.soft_seam = soft_seam

    @classmethod
    def from_config(cls, cfg, model: InstanceNetwork | None = None) -> ContentCompletion:
        """PCNet-C's content completion of a config.

        Args:
            model: a trained PCNet-C; without it one is built and ``cfg.MODEL.WEIGHTS`` loaded.

        Raises:
            UserError: missing weights, or a config of another network.
        """
        if cfg.MODEL.META_ARCHITECTURE != "PCNetC":
            raise UserError(
                "content is completed by PCNetC, but MODEL.META_ARCHITECTURE is "
                f"{cfg.MODEL.META_ARCHITECTURE!r}; use a config of PCNetC"
            )
        return build_content(cfg, build_runner(cfg, model))

    @property
    def uses_category(self) -> bool:
        return self.runner.uses_category

    @property
    def categories(self) -> KnownCategories:
        return self.runner.categories

    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        samples = (content_sample(hole, self.patch_size) for hole in holes)
        patches = self.runner.outputs(samples, "rgb")
        return [
            at_full_resolution(hole, patch, self.soft_seam)
            for hole, patch in zip(holes, patches, strict=True)
        ]

    def describe(self) -> dict[str, Any]:
        return {
            "content": "pcnet_c",
            "content_patch_size": self.patch_size,
            "content_enlarge_box": self.enlarge,
            "content_context": self.context,
            "content_soft_seam": self.soft_seam,
        }


def build_runner(cfg, model: InstanceNetwork | None = None) -> NetworkRunner:
    """What runs a config's PCNet-C; the paper's protocol is about masks, not about it."""
    return NetworkRunner.from_config(cfg, model, protocol=False)


def build_content(cfg, runner: NetworkRunner) -> ContentCompletion:
    """The content "pcnet_c"."""
    options = cfg.INPUT.INSTANCE_CROP
    return ContentCompletion(
        runner,
        patch_size=options.SIZE,
        enlarge=options.ENLARGE,
        context=cfg.DEOCCLUSION.CONTENT_CONTEXT,
    )


def build_hole_filler(cfg, model: InstanceNetwork | None = None) -> HoleFiller:
    """What fills holes to be judged by a PCNet-C; see ``ContentCompletion.from_config``."""
    return HoleFiller(
        ContentCompletion.from_config(cfg, model),
        ErasingSettings.from_config(cfg),
        min_square=cfg.INPUT.INSTANCE_CROP.MIN_SQUARE,
    )


def build_evaluator(cfg, dataset_name: str, output_dir: str | None) -> ContentEvaluator:
    """What judges the filled holes; any data set with images serves."""
    return ContentEvaluator(output_dir)
