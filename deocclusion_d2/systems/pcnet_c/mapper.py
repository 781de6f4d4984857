"""From an instance and its image to a training sample of PCNet-C."""

from __future__ import annotations

import cv2
import numpy as np
from detectron2.config import configurable

from ...data.draws import InstanceDrawMapper
from ...data.instance_table import InstanceTable
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_instances
from ...data.samplers import ErasingSettings
from .sampler import draw_background_sample, draw_object_sample

# The background's category: data sets number theirs from 1, and PCNet-C has no other for it.
BACKGROUND_CATEGORY = 1


def build_train_loader(cfg) -> DrawTrainLoader:
    """Batches for PCNet-C: images, masks and holes in them.

    Raises:
        UserError: the data sets hold no usable instance, or a category id of 0.
    """
    instances = train_instances(cfg, category_key="MODEL.PCNET_C.USE_CATEGORY")
    return build_draw_loader(cfg, ContentMapper(cfg, instances, run_seed(cfg)))


class ContentMapper(InstanceDrawMapper):
    """Draws holes in an instance, or in the background near it; the image files must exist."""

    settings_class = ErasingSettings

    @configurable
    def __init__(
        self,
        *,
        instances: InstanceTable,
        settings: ErasingSettings,
        seed: int,
        background_share: float = 0.0,
    ) -> None:
        """
        Args:
            instances, settings, seed: see ``InstanceDrawMapper``.
            background_share: probability of a hole in the background instead of one in an object.
        """
        super().__init__(instances=instances, settings=settings, seed=seed)
        self.background_share = background_share

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            **super().from_config(cfg, instances, seed),
            "background_share": cfg.INPUT.PARTIAL_COMPLETION.BACKGROUND_SHARE,
        }

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one sample as ``PCNetC`` takes it, S the patch's side:

        ``image`` (S, S, 3) uint8 RGB, whole; ``modal_mask``, ``hole`` and ``outside`` (S, S) uint8
        0/1; ``category_id`` int64.
        """
        other = self.instances.modal_mask(int(rng.integers(len(self.instances))))
        target = self.instances.modal_mask(index)
        image = self.image(index)
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
