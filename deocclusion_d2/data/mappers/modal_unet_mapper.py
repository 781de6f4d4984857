"""From an instance to a training sample of ModalUNet."""

from __future__ import annotations

import numpy as np
from detectron2.config import configurable
from detectron2.data import detection_utils

from ...structures import WindowMask
from ..instance_table import InstanceTable
from ..samplers import SamplerSettings, draw_crop


class ModalUNetMapper:
    """Maps ``{"item": row of the table, "draw": number of the draw}`` to a sample.

    A sample follows from (seed, item, draw) alone.
    """

    @configurable
    def __init__(self, *, instances: InstanceTable, settings: SamplerSettings, seed: int) -> None:
        """
        Args:
            instances: modal masks; their image files must exist.
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
        """Returns a dict of one sample, S the patch's side, in the square around the modal mask:

        ``image`` (S, S, 3) uint8 RGB, ``box`` (S, S) uint8 0/1, the modal box, and ``modal_mask``
        (S, S) uint8 0/1.
        """
        index = dataset_dict["item"]
        rng = np.random.default_rng((self.seed, dataset_dict["draw"]))
        modal = self.instances.modal_mask(index)
        crop, flip = draw_crop(modal.box, self.settings, rng)
        size = self.settings.patch_size
        image = detection_utils.read_image(self.instances.file_name(index), format="RGB")
        return {
            "image": crop.resize_image(image, size, flip),
            "box": crop.sample(WindowMask.filled(modal.box), size, flip).view(np.uint8),
            "modal_mask": crop.sample(modal, size, flip).view(np.uint8),
        }
