"""From an instance to a training sample of PCNet."""

from __future__ import annotations

import numpy as np
from detectron2.config import configurable
from detectron2.data import detection_utils

from ..instance_table import InstanceTable
from ..samplers import SamplerSettings, draw_sample


class PartialCompletionMapper:
    """Maps ``{"item": row of the table, "draw": number of the draw}`` to a sample.

    The other instance and every random number come from (seed, draw) alone, so a sample does not
    depend on the worker, the number of workers or processes, or on the samples before it.
    """

    @configurable
    def __init__(
        self,
        *,
        instances: InstanceTable,
        settings: SamplerSettings,
        seed: int,
        load_image: bool = False,
    ) -> None:
        """
        Args:
            instances: where the other instance is drawn from.
            settings: numbers of the sampler.
            seed: seed of the whole run, 0 or more.
            load_image: also crop the image of the target.
        """
        self.instances = instances
        self.settings = settings
        self.seed = seed
        self.load_image = load_image

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            "instances": instances,
            "settings": SamplerSettings.from_config(cfg),
            "seed": seed,
            "load_image": cfg.MODEL.PCNET_M.USE_RGB,
        }

    def __len__(self) -> int:
        return len(self.instances)

    def __call__(self, dataset_dict: dict) -> dict:
        """Returns a dict of one sample, S the patch's side:

        ``modal_mask`` (S, S) uint8 0/1, ``eraser`` (S, S) uint8 0/1, ``category_id`` int64, and
        ``image`` (S, S, 3) uint8 RGB when images are loaded.
        """
        index, draw = dataset_dict["item"], dataset_dict["draw"]
        rng = np.random.default_rng((self.seed, draw))
        other = int(rng.integers(len(self.instances)))
        sample = draw_sample(
            self.instances.modal_mask(index), self.instances.modal_mask(other), self.settings, rng
        )
        out = {
            "modal_mask": sample.modal_mask.view(np.uint8),
            "eraser": sample.eraser.view(np.uint8),
            "category_id": self.instances.category_ids[index],
        }
        if self.load_image:
            image = detection_utils.read_image(self.instances.file_name(index), format="RGB")
            out["image"] = sample.crop.resize_image(image, self.settings.patch_size, sample.flip)
        return out
