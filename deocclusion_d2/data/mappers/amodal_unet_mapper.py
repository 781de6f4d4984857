"""From an instance to a training sample of AmodalUNet."""

from __future__ import annotations

import numpy as np
from detectron2.config import configurable

from ..instance_table import InstanceTable
from ..samplers import SamplerSettings, draw_crop


class AmodalUNetMapper:
    """Maps ``{"item": row of the table, "draw": number of the draw}`` to a sample.

    A sample follows from (seed, item, draw) alone.
    """

    @configurable
    def __init__(self, *, instances: InstanceTable, settings: SamplerSettings, seed: int) -> None:
        """
        Args:
            instances: with amodal masks.
            settings: the geometry of patches; the eraser's numbers are not used.
            seed: seed of the whole run, 0 or more.
        """
        self.instances = instances
        self.settings = settings
        self.seed = seed

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            "instances": instances,
            "settings": SamplerSettings.from_config(cfg),
            "seed": seed,
        }

    def __len__(self) -> int:
        return len(self.instances)

    def __call__(self, dataset_dict: dict) -> dict:
        """Returns a dict of one sample, S the patch's side:

        ``modal_mask`` and ``amodal_mask`` (S, S) uint8 0/1, in the square around the modal mask,
        and ``category_id`` int64.
        """
        index = dataset_dict["item"]
        rng = np.random.default_rng((self.seed, dataset_dict["draw"]))
        modal, amodal = self.instances.modal_mask(index), self.instances.amodal_mask(index)
        crop, flip = draw_crop(modal.box, self.settings, rng)
        size = self.settings.patch_size
        return {
            "modal_mask": crop.sample(modal, size, flip).view(np.uint8),
            "amodal_mask": crop.sample(amodal, size, flip).view(np.uint8),
            "category_id": self.instances.category_ids[index],
        }
