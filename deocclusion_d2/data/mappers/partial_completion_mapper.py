"""From an instance to a training sample of PCNet."""

from __future__ import annotations

import numpy as np
from detectron2.config import configurable
from detectron2.data import detection_utils

from ...errors import UserError
from ..instance_table import InstanceTable
from ..samplers import SamplerSettings, draw_sample


class PartialCompletionMapper:
    """Maps ``{"item": number of the target, "draw": number of the draw}`` to a sample.

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
        isolated_targets: bool = False,
    ) -> None:
        """
        Args:
            instances: where the other instance is drawn from.
            settings: numbers of the sampler.
            seed: seed of the whole run, 0 or more.
            load_image: also crop the image of the target.
            isolated_targets: only instances that touch no other are targets; all are erasers.

        Raises:
            UserError: no instance is isolated.
        """
        self.instances = instances
        self.settings = settings
        self.seed = seed
        self.load_image = load_image
        self._targets = np.arange(len(instances))
        if isolated_targets:
            self._targets = np.flatnonzero(instances.isolated())
            if not len(self._targets):
                raise UserError(
                    "INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS: every instance of DATASETS.TRAIN "
                    "touches another one; set it to False"
                )

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            "instances": instances,
            "settings": SamplerSettings.from_config(cfg),
            "seed": seed,
            "load_image": cfg.MODEL.PCNET_M.USE_RGB,
            "isolated_targets": cfg.INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS,
        }

    def __len__(self) -> int:
        return len(self._targets)

    def __call__(self, dataset_dict: dict) -> dict:
        """Returns a dict of one sample, S the patch's side:

        ``modal_mask`` (S, S) uint8 0/1, ``eraser`` (S, S) uint8 0/1, ``category_id`` int64, and
        ``image`` (S, S, 3) uint8 RGB when images are loaded.
        """
        index, draw = int(self._targets[dataset_dict["item"]]), dataset_dict["draw"]
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
