"""Draws of training samples, batches of them, and the loader of evaluation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from detectron2.data import MapDataset, get_detection_dataset_dicts
from detectron2.data.samplers import InferenceSampler
from detectron2.utils import comm
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler, default_collate

from ..config import needs_images
from ..errors import UserError
from .datasets import ensure_registered
from .mappers import SceneMapper


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


class DrawTrainLoader:
    """Endless batches of training samples, the same for any number of workers and processes.

    A batch is a dict of stacked tensors, as the models of this package take it. Iteration k over
    all processes holds draws k * B to (k + 1) * B - 1, B the total batch size.

    Attributes:
        first_iteration: where iterating starts; set it before the first batch is taken.
    """

    def __init__(
        self,
        mapper: DrawMapper,
        *,
        total_batch_size: int,
        num_workers: int,
        first_iteration: int = 0,
        pin_memory: bool = False,
    ) -> None:
        world_size = comm.get_world_size()
        if total_batch_size <= 0 or total_batch_size % world_size:
            raise UserError(
                f"SOLVER.IMS_PER_BATCH = {total_batch_size} can't be divided among "
                f"{world_size} processes"
            )
        self.mapper = mapper
        self.total_batch_size = total_batch_size
        self.num_workers = num_workers
        self.first_iteration = first_iteration
        self.pin_memory = pin_memory

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        # A generator, so that nothing starts before the first batch is asked for: a trainer makes
        # the iterator before it knows the iteration that it resumes from.
        draws = Draws(len(self.mapper), self.mapper.seed)
        per_process = self.total_batch_size // comm.get_world_size()
        sampler = DrawSampler(self.first_iteration * self.total_batch_size)
        yield from DataLoader(
            MapDataset(draws, self.mapper),
            batch_sampler=BatchSampler(sampler, per_process, drop_last=True),
            num_workers=self.num_workers,
            collate_fn=stack_samples,
            pin_memory=self.pin_memory,
            worker_init_fn=_one_thread,
        )


def stack_samples(samples: list[dict]) -> dict[str, torch.Tensor]:
    """Stack numpy samples into one batch, in the worker: three transfers a batch, not a sample."""
    return default_collate(samples)


def build_scene_test_loader(cfg, dataset_name: str, every: int = 1) -> DataLoader:
    """Scenes of a data set with what is known about them; each process gets its share.

    Args:
        dataset_name: registered, or ``FORMAT[.modal]:JSON[@IMAGE_ROOT]``.
        every: only every so many images, from the first on.
    """
    ensure_registered(dataset_name)
    records = get_detection_dataset_dicts(dataset_name, filter_empty=False, check_consistency=False)
    records = records[::every]
    return DataLoader(
        MapDataset(_Records(records), SceneMapper(load_image=needs_images(cfg))),
        batch_size=cfg.TEST.IMS_PER_BATCH,
        sampler=InferenceSampler(len(records)),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=list,
        worker_init_fn=_one_thread,
    )


class _Records(Dataset):
    def __init__(self, records: list[dict]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> dict:
        return self._records[index]


def _one_thread(worker_id: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
