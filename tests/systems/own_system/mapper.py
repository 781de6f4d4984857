"""Its training samples."""

from __future__ import annotations

import numpy as np

from deocclusion_d2.data.draws import InstanceDrawMapper
from deocclusion_d2.data.loaders import (
    DrawTrainLoader,
    build_draw_loader,
    run_seed,
    train_instances,
)
from deocclusion_d2.data.samplers import draw_crop


def build_train_loader(cfg) -> DrawTrainLoader:
    instances = train_instances(cfg, columns=["amodal"])
    return build_draw_loader(cfg, OwnMapper(cfg, instances, run_seed(cfg)))


class OwnMapper(InstanceDrawMapper):
    """Modal and amodal mask of an instance."""

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        modal, size = self.instances.modal_mask(index), self.settings.patch_size
        crop, flip = draw_crop(modal.box, self.settings, rng)
        amodal = self.instances.amodal_mask(index)
        return {
            "modal_mask": crop.sample(modal, size, flip).view(np.uint8),
            "amodal_mask": crop.sample(amodal, size, flip).view(np.uint8),
        }
