"""From an instance to a training sample of PCNet."""

from __future__ import annotations

import numpy as np
from detectron2.config import configurable

from ...data.draws import InstanceDrawMapper
from ...data.instance_table import InstanceTable
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_instances
from ...data.occluders import Occluders
from ...data.samplers import ErasingSettings, draw_sample


def build_train_loader(cfg) -> DrawTrainLoader:
    """Batches for PCNet-M: partial completions of modal masks.

    Raises:
        UserError: the data sets hold no usable instance, or a category id of 0.
    """
    instances = training_instances(cfg)
    return build_draw_loader(cfg, PartialCompletionMapper(cfg, instances, run_seed(cfg)))


def training_instances(cfg) -> InstanceTable:
    """What PCNet-M learns from; see ``train_instances``."""
    return train_instances(cfg, category_key="MODEL.PCNET_M.USE_CATEGORY")


class PartialCompletionMapper(InstanceDrawMapper):
    """Draws an instance with another one laid over it (Fig. 3a)."""

    settings_class = ErasingSettings

    @configurable
    def __init__(
        self,
        *,
        instances: InstanceTable,
        settings: ErasingSettings,
        seed: int,
        load_image: bool = False,
        isolated_targets: bool = False,
    ) -> None:
        """
        Args:
            instances, settings, seed: see ``InstanceDrawMapper``.
            load_image: also crop the image of the target.
            isolated_targets: only instances that touch no other are targets; all are erasers.

        Raises:
            UserError: no instance is isolated.
        """
        super().__init__(instances=instances, settings=settings, seed=seed)
        self.load_image = load_image
        if isolated_targets:
            self._take_whole(
                Occluders(instances),
                "INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS: every instance of DATASETS.TRAIN "
                "touches another one; set it to False",
            )

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            **super().from_config(cfg, instances, seed),
            "load_image": cfg.MODEL.PCNET_M.USE_RGB,
            "isolated_targets": cfg.INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS,
        }

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one sample, S the patch's side:

        ``modal_mask`` (S, S) uint8 0/1, ``eraser`` (S, S) uint8 0/1, ``category_id`` int64,
        ``gap`` (S, S) uint8 0/1 when borders are redrawn, and ``image`` (S, S, 3) uint8 RGB when
        images are loaded.
        """
        other = int(rng.integers(len(self.instances)))
        sample = draw_sample(
            self.instances.modal_mask(index), self.instances.modal_mask(other), self.settings, rng
        )
        out = {
            "modal_mask": sample.modal_mask.view(np.uint8),
            "eraser": sample.eraser.view(np.uint8),
            "category_id": self.instances.category_ids[index],
        }
        if self.settings.seams.probability:
            out["gap"] = sample.gap.view(np.uint8)
        if self.load_image:
            out["image"] = sample.crop.resize_image(
                self.image(index), self.settings.patch_size, sample.flip
            )
        return out
