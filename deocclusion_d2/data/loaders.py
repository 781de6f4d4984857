"""Batches of training samples, and the loader of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce

import torch
from detectron2.data import DatasetCatalog, MapDataset, MetadataCatalog
from detectron2.data.samplers import InferenceSampler
from detectron2.utils import comm
from torch.utils.data import BatchSampler, DataLoader, Dataset, default_collate

from ..errors import UserError
from ..modeling.category_ids import FIRST_CATEGORY_ID, KnownCategories, require_category_ids
from ..workers import one_thread
from .datasets import ensure_registered
from .draws import DrawMapper, Draws, DrawSampler
from .instance_table import InstanceTable
from .places import place_of
from .scenes import SceneMapper

Tensors = dict[str, torch.Tensor]


class DrawTrainLoader:
    """Endless batches of training samples, the same for any number of workers and processes.

    A batch is a dict of stacked tensors, as the models of this package take it. Iteration k over
    all processes holds draws k * B to (k + 1) * B - 1, B the total batch size.

    Attributes:
        first_iteration: where iterating starts; set it before the first batch is taken.
        finish: makes a batch of what the mapper's stacked samples say, in the training process.
    """

    def __init__(
        self,
        mapper: DrawMapper,
        *,
        total_batch_size: int,
        num_workers: int,
        first_iteration: int = 0,
        pin_memory: bool = False,
        finish: Callable[[Tensors], Tensors] | None = None,
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
        self.finish = finish

    def __iter__(self) -> Iterator[Tensors]:
        # A generator, so that nothing starts before the first batch is asked for: a trainer makes
        # the iterator before it knows the iteration that it resumes from.
        draws = Draws(len(self.mapper), self.mapper.seed)
        per_process = self.total_batch_size // comm.get_world_size()
        sampler = DrawSampler(self.first_iteration * self.total_batch_size)
        batches = DataLoader(
            MapDataset(draws, self.mapper),
            batch_sampler=BatchSampler(sampler, per_process, drop_last=True),
            num_workers=self.num_workers,
            collate_fn=stack_samples,
            pin_memory=self.pin_memory,
            worker_init_fn=enter_worker,
        )
        yield from map(self._finished, batches)

    def first_samples(self, count: int) -> Tensors:
        """The first ``count`` samples of all processes as a batch, made in this one."""
        draws = Draws(len(self.mapper), self.mapper.seed)
        return self._finished(stack_samples([self.mapper(draws[k]) for k in range(count)]))

    def _finished(self, batch: Tensors) -> Tensors:
        return batch if self.finish is None else self.finish(batch)


def build_draw_loader(
    cfg, mapper: DrawMapper, finish: Callable[[Tensors], Tensors] | None = None
) -> DrawTrainLoader:
    """The training loader of a config over a mapper's samples; see ``DrawTrainLoader``."""
    return DrawTrainLoader(
        mapper,
        total_batch_size=cfg.SOLVER.IMS_PER_BATCH,
        num_workers=_num_workers(cfg),
        pin_memory=cfg.MODEL.DEVICE.startswith("cuda"),
        finish=finish,
    )


def train_names(cfg) -> list[str]:
    """The data sets of ``DATASETS.TRAIN``, all of them registered.

    Raises:
        UserError: there is none, or a name that is not registered and cannot be.
    """
    if not cfg.DATASETS.TRAIN:
        raise UserError("DATASETS.TRAIN is empty: name a data set to learn from")
    return [ensure_registered(name) for name in cfg.DATASETS.TRAIN]


def train_records(cfg) -> list[dict]:
    """The dataset dicts of ``DATASETS.TRAIN``, one data set after the other; see ``train_names``.

    Raises:
        UserError: also for a data set without images.
    """
    return [record for name in train_names(cfg) for record in records_of(name)]


def records_of(dataset_name: str) -> list[dict]:
    """The dataset dicts of a registered data set.

    Raises:
        UserError: it holds no image, or cannot be read.
    """
    records = list(DatasetCatalog.get(dataset_name))
    if not records:
        raise UserError(f"data set {dataset_name!r}: there is no image in it")
    return records


def train_instances(
    cfg, columns: Sequence[str] = (), category_key: str | None = None
) -> InstanceTable:
    """The usable instances of ``DATASETS.TRAIN``.

    Args:
        columns: masks that are kept beside the modal ones; see ``InstanceTable``.
        category_key: full name of the config key by which the network multiplies masks by category
            ids; None for a network that never does.

    Raises:
        UserError: there is none, one without a mask that is asked for, or one whose category id
            the network cannot take.
    """
    options = cfg.INPUT.INSTANCE_CROP
    by_name = {name: records_of(name) for name in train_names(cfg)}
    if category_key is not None and reduce(getattr, category_key.split("."), cfg):
        for name, records in by_name.items():
            check_category_ids(name, records, key=category_key)
    instances = InstanceTable(
        (record for records in by_name.values() for record in records),
        min_square=options.MIN_SQUARE,
        enlarge=options.ENLARGE,
        columns=columns,
    )
    if not len(instances):
        only_boxes = instances.empty and not (instances.crowds or instances.small)
        raise UserError(
            f"DATASETS.TRAIN = {list(cfg.DATASETS.TRAIN)}: no usable instance "
            f"({instances.crowds} crowd regions, {instances.empty} without a visible pixel, "
            f"{instances.small} too small)" + (": make masks first" if only_boxes else "")
        )
    return instances


def train_category_ids(cfg) -> set[int]:
    """The category ids that the data sets of ``DATASETS.TRAIN`` list, once they have been loaded.

    Categories without an instance count: a few images need not show all, and what others show in
    the same numbering is no mistake.
    """
    of_sets = [
        MetadataCatalog.get(name).thing_dataset_id_to_contiguous_id for name in train_names(cfg)
    ]
    return {category for ids in of_sets for category in ids if category >= FIRST_CATEGORY_ID}


def check_category_ids(
    dataset_name: str,
    records: Sequence[dict],
    known: KnownCategories | None = None,
    key: str = "USE_CATEGORY",
) -> None:
    """Refuse a data set with ids that a network cannot take; see ``require_category_ids``."""
    instances = [(r, a) for r in records for a in r["annotations"] if not a.get("iscrowd", 0)]

    def where(row: int) -> str:
        return f"data set {dataset_name!r}: {place_of(*instances[row])}"

    require_category_ids([a["dataset_category_id"] for _, a in instances], where, known, key)


def run_seed(cfg) -> int:
    """The seed of all samples of a training: ``SEED``, or one that all processes agree on."""
    return cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed()


def stack_samples(samples: list[dict]) -> Tensors:
    """Stack numpy samples into one batch, in the worker: three transfers a batch, not a sample."""
    return default_collate(samples)


def split_batch(batch: Mapping) -> list[dict]:
    """The samples of a batch: a mapping of arrays or tensors, all with the batch first."""
    count = len(next(iter(batch.values())))
    return [{key: values[i] for key, values in batch.items()} for i in range(count)]


def build_scene_test_loader(
    cfg, dataset_name: str, every: int = 1, *, load_images: bool = False
) -> DataLoader:
    """Scenes of a data set with what is known about them; each process gets its share.

    Args:
        dataset_name: registered, or ``FORMAT[.modal]:JSON[@IMAGE_ROOT]``.
        every: only every so many images, from the first on.
        load_images: read the images; only what looks at colours needs them.

    Raises:
        UserError: a data set that cannot be read, or without images.
    """
    ensure_registered(dataset_name)
    records = records_of(dataset_name)[::every]
    return DataLoader(
        SceneDataset(records, SceneMapper(load_images)),
        batch_size=cfg.TEST.IMS_PER_BATCH,
        sampler=InferenceSampler(len(records)),
        num_workers=_num_workers(cfg),
        collate_fn=list,
        worker_init_fn=enter_worker,
    )


def _num_workers(cfg) -> int:
    workers = cfg.DATALOADER.NUM_WORKERS
    if workers < 0:
        raise UserError(f"DATALOADER.NUM_WORKERS (--num-workers) = {workers}: use 0 or more")
    return workers


class SceneDataset(Dataset):
    """The scenes of dataset dicts, each made when it is asked for.

    Attributes:
        records: the dicts.
    """

    def __init__(self, records: list[dict], mapper: SceneMapper) -> None:
        self.records = records
        self._mapper = mapper

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict:
        return self._mapper(self.records[index])


def enter_worker(number: int) -> None:
    """What happens once in every worker of a loader."""
    one_thread()
