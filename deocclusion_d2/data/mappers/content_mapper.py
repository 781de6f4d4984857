"""From an instance and its image to a training sample of PCNet-C."""

from __future__ import annotations

import cv2
import numpy as np
from detectron2.config import configurable
from detectron2.data import detection_utils

from ..instance_table import InstanceTable
from ..samplers import SamplerSettings, draw_background_sample, draw_object_sample

# The background's category: data sets number theirs from 1, and PCNet-C has no other for it.
BACKGROUND_CATEGORY = 1


class ContentMapper:
    """Maps ``{"item": number of the target, "draw": number of the draw}`` to a sample.

    The other instance and every random number come from (seed, draw) alone.
    """

    @configurable
    def __init__(
        self,
        *,
        instances: InstanceTable,
        settings: SamplerSettings,
        seed: int,
        background_share: float = 0.0,
    ) -> None:
        """
        Args:
            instances: modal masks; their image files must exist.
            settings: numbers of the sampler.
            seed: seed of the whole run, 0 or more.
            background_share: probability of a hole in the background instead of one in an object.
        """
        self.instances = instances
        self.settings = settings
        self.seed = seed
        self.background_share = background_share

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            "instances": instances,
            "settings": SamplerSettings.from_config(cfg),
            "seed": seed,
            "background_share": cfg.INPUT.PARTIAL_COMPLETION.BACKGROUND_SHARE,
        }

    def __len__(self) -> int:
        return len(self.instances)

    def __call__(self, dataset_dict: dict) -> dict:
        """Returns a dict of one sample as ``PCNetC`` takes it, S the patch's side:

        ``image`` (S, S, 3) uint8 RGB, whole; ``modal_mask``, ``hole`` and ``outside`` (S, S) uint8
        0/1; ``category_id`` int64.
        """
        index = dataset_dict["item"]
        rng = np.random.default_rng((self.seed, dataset_dict["draw"]))
        other = self.instances.modal_mask(int(rng.integers(len(self.instances))))
        target = self.instances.modal_mask(index)
        image = detection_utils.read_image(self.instances.file_name(index), format="RGB")
        category = self.instances.category_ids[index]
        if rng.random() < self.background_share:
            objects = [self.instances.modal_mask(i) for i in self.instances.beside(index)]
            sample = draw_background_sample(
                target.box, objects, image.shape[:2], other, self.settings, rng
            )
            category = np.int64(BACKGROUND_CATEGORY)
        else:
            sample = draw_object_sample(target, other, self.settings, rng)
        size = self.settings.patch_size
        shrinks = sample.crop.side > size
        return {
            # Bicubic would skip pixels, and take colours from across the hole's border.
            "image": sample.crop.resize_image(
                image, size, sample.flip, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            ),
            "modal_mask": sample.modal_mask.view(np.uint8),
            "hole": sample.hole.view(np.uint8),
            "outside": sample.crop.sample_outside(image.shape[:2], size, sample.flip).view(
                np.uint8
            ),
            "category_id": category,
        }
