"""What the mappers of training samples over instances share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from detectron2.config import configurable
from detectron2.data import detection_utils

from ..instance_table import InstanceTable
from ..samplers import SamplerSettings


class InstanceDrawMapper(ABC):
    """Maps ``{"item": number of the target, "draw": number of the draw}`` to a sample.

    Every random number comes from (seed, draw) alone, so a sample does not depend on the worker,
    the number of workers or processes, or on the samples before it. A subclass says what a sample
    is.
    """

    @configurable
    def __init__(self, *, instances: InstanceTable, settings: SamplerSettings, seed: int) -> None:
        """
        Args:
            instances: the targets, and where other instances are drawn from.
            settings: numbers of the sampler.
            seed: seed of the whole run, 0 or more.
        """
        self.instances = instances
        self.settings = settings
        self.seed = seed
        # Rows of the instances that are targets.
        self._targets = np.arange(len(instances))

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            "instances": instances,
            "settings": SamplerSettings.from_config(cfg),
            "seed": seed,
        }

    def __len__(self) -> int:
        return len(self._targets)

    def __call__(self, dataset_dict: dict) -> dict:
        """See ``draw``."""
        rng = np.random.default_rng((self.seed, dataset_dict["draw"]))
        return self.draw(int(self._targets[dataset_dict["item"]]), rng)

    @abstractmethod
    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """A sample: a dict of numpy arrays.

        Args:
            index: row of the target.
        """

    def image(self, index: int) -> np.ndarray:
        """The image of an instance, (H, W, 3) uint8 RGB."""
        return detection_utils.read_image(self.instances.file_name(index), format="RGB")
