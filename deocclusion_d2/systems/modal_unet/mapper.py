"""From an instance to a training sample of ModalUNet."""

from __future__ import annotations

import numpy as np

from ...data.draws import InstanceDrawMapper
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_instances
from ...data.samplers import draw_crop
from ...structures import WindowMask


def build_train_loader(cfg) -> DrawTrainLoader:
    """Batches for ModalUNet: images, boxes and modal masks.

    Raises:
        UserError: the data sets hold no usable instance.
    """
    return build_draw_loader(cfg, ModalUNetMapper(cfg, train_instances(cfg), run_seed(cfg)))


class ModalUNetMapper(InstanceDrawMapper):
    """Draws image, box and modal mask of an instance; the image files must exist."""

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one sample, S the patch's side, in the square around the modal mask:

        ``image`` (S, S, 3) uint8 RGB, ``box`` (S, S) uint8 0/1, the modal box, and ``modal_mask``
        (S, S) uint8 0/1.
        """
        modal = self.instances.modal_mask(index)
        crop, flip = draw_crop(modal.box, self.settings, rng)
        size = self.settings.patch_size
        return {
            "image": crop.resize_image(self.image(index), size, flip),
            "box": crop.sample(WindowMask.filled(modal.box), size, flip).view(np.uint8),
            "modal_mask": crop.sample(modal, size, flip).view(np.uint8),
        }
