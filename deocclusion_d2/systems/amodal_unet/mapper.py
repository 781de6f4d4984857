"""From an instance to a training sample of AmodalUNet."""

from __future__ import annotations

import numpy as np

from ...data.draws import InstanceDrawMapper
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_instances
from ...data.samplers import draw_crop


def build_train_loader(cfg) -> DrawTrainLoader:
    """Batches for AmodalUNet: modal and amodal masks.

    Raises:
        UserError: the data sets hold no usable instance, one without an amodal mask, or a category
            id of 0.
    """
    instances = train_instances(cfg, ["amodal"], "MODEL.AMODAL_UNET.USE_CATEGORY")
    return build_draw_loader(cfg, AmodalUNetMapper(cfg, instances, run_seed(cfg)))


class AmodalUNetMapper(InstanceDrawMapper):
    """Draws modal and amodal mask of an instance, from a table with amodal masks."""

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one sample, S the patch's side:

        ``modal_mask`` and ``amodal_mask`` (S, S) uint8 0/1, in the square around the modal mask,
        and ``category_id`` int64.
        """
        modal, amodal = self.instances.modal_mask(index), self.instances.amodal_mask(index)
        crop, flip = draw_crop(modal.box, self.settings, rng)
        size = self.settings.patch_size
        return {
            "modal_mask": crop.sample(modal, size, flip).view(np.uint8),
            "amodal_mask": crop.sample(amodal, size, flip).view(np.uint8),
            "category_id": self.instances.category_ids[index],
        }
