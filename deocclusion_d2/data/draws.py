"""Draws of training samples: which item and which random numbers make which sample."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from detectron2.config import configurable
from detectron2.utils import comm
from torch.utils.data import Dataset, Sampler

from ..errors import UserError
from .images import read_rgb
from .instance_table import InstanceTable
from .occluders import Occluders
from .samplers import CropSettings


class Draws(Dataset):
    """Draw number -> item: an endless sequence of shuffled passes over N items.

    The order of every pass follows from (seed, number of the pass), so any draw can be looked up on
    its own, in any worker, and a resumed training goes on where the interrupted one stopped.
    """

    def __init__(self, num_items: int, seed: int) -> None:
        self._num_items = num_items
        self._seed = seed
        self._pass = -1
        self._order = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return self._num_items

    def __getitem__(self, draw: int) -> dict:
        number, row = divmod(draw, self._num_items)
        if number != self._pass:
            self._order = np.random.default_rng((self._seed, 1, number)).permutation(
                self._num_items
            )
            self._pass = number
        return {"item": int(self._order[row]), "draw": draw}


class DrawSampler(Sampler):
    """Endless draw numbers of this process: first + rank, then every world-size-th."""

    def __init__(self, first: int = 0) -> None:
        self._first = first + comm.get_rank()
        self._step = comm.get_world_size()

    def __iter__(self) -> Iterator[int]:
        yield from itertools.count(self._first, self._step)


class DrawMapper(Protocol):
    """Maps ``{"item": row, "draw": number of the draw}`` to a sample: a dict of numpy arrays.

    A sample follows from (seed, item, draw) alone.
    """

    seed: int

    def __len__(self) -> int:
        """Number of items that are drawn from."""

    def __call__(self, dataset_dict: dict) -> dict: ...


class InstanceDrawMapper(ABC):
    """Maps ``{"item": number of the target, "draw": number of the draw}`` to a sample.

    Every random number comes from (seed, draw) alone, so a sample does not depend on the worker,
    the number of workers or processes, or on the samples before it. A subclass says what a sample
    is.

    Attributes:
        settings_class: what a config's numbers are read into.
    """

    settings_class: type[CropSettings] = CropSettings

    @configurable
    def __init__(self, *, instances: InstanceTable, settings: CropSettings, seed: int) -> None:
        """
        Args:
            instances: the targets, and where other instances are drawn from.
            settings: geometry of the patches, and what else ``settings_class`` holds.
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
            "settings": cls.settings_class.from_config(cfg),
            "seed": seed,
        }

    def __len__(self) -> int:
        return len(self._targets)

    def _take_whole(self, occluders: Occluders, otherwise: str) -> None:
        """Only instances that nothing hides are targets.

        Args:
            occluders: what may hide each instance.
            otherwise: the message where there is none.

        Raises:
            UserError: there is none.
        """
        self._targets = occluders.whole
        if not len(self._targets):
            raise UserError(otherwise)

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
        """The image of an instance, (H, W, 3) uint8 RGB.

        Raises:
            UserError: it cannot be read, or has another size than the masks.
        """
        return read_rgb(self.instances.file_name(index), self.instances.image_size(index))
