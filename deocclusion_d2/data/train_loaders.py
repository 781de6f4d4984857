"""The training loader of every network of this package, over ``DATASETS.TRAIN``."""

from __future__ import annotations

from detectron2.data import get_detection_dataset_dicts
from detectron2.utils import comm

from ..errors import UserError
from .datasets import ensure_registered
from .instance_table import InstanceTable
from .loaders import DrawMapper, DrawTrainLoader
from .mappers import (
    AmodalUNetMapper,
    ContentMapper,
    ModalUNetMapper,
    OrderNetMapper,
    PartialCompletionMapper,
)
from .pair_table import PairTable


def build_pcnet_m_train_loader(cfg) -> DrawTrainLoader:
    """PCNet-M: partial completions of modal masks.

    Raises:
        UserError: the data sets hold no usable instance.
    """
    return _draw_loader(cfg, PartialCompletionMapper(cfg, train_instances(cfg), _run_seed(cfg)))


def build_pcnet_c_train_loader(cfg) -> DrawTrainLoader:
    """PCNet-C: images, masks and holes in them.

    Raises:
        UserError: the data sets hold no usable instance.
    """
    return _draw_loader(cfg, ContentMapper(cfg, train_instances(cfg), _run_seed(cfg)))


def build_amodal_unet_train_loader(cfg) -> DrawTrainLoader:
    """AmodalUNet: modal and amodal masks.

    Raises:
        UserError: the data sets hold no usable instance, or one without an amodal mask.
    """
    instances = train_instances(cfg, with_amodal=True)
    return _draw_loader(cfg, AmodalUNetMapper(cfg, instances, _run_seed(cfg)))


def build_modal_unet_train_loader(cfg) -> DrawTrainLoader:
    """ModalUNet: images, boxes and modal masks.

    Raises:
        UserError: the data sets hold no usable instance.
    """
    return _draw_loader(cfg, ModalUNetMapper(cfg, train_instances(cfg), _run_seed(cfg)))


def build_order_net_train_loader(cfg) -> DrawTrainLoader:
    """OrderNet: pairs of neighbours, one of which truly hides the other.

    Raises:
        UserError: the data sets hold no such pair, or an image whose order is not known.
    """
    options = cfg.INPUT.PARTIAL_COMPLETION
    pairs = PairTable(
        _train_records(cfg), min_square=options.MIN_SQUARE, enlarge=options.ENLARGE_BOX
    )
    if not len(pairs):
        raise UserError(
            f"DATASETS.TRAIN = {list(cfg.DATASETS.TRAIN)}: no pair of neighbours with a true order "
            f"({pairs.skipped} too small)"
        )
    return _draw_loader(cfg, OrderNetMapper(cfg, pairs, _run_seed(cfg)))


def train_instances(cfg, with_amodal: bool = False) -> InstanceTable:
    """The usable instances of ``DATASETS.TRAIN``.

    Args:
        with_amodal: with their amodal masks.

    Raises:
        UserError: there is none, or one without the amodal mask that is asked for.
    """
    options = cfg.INPUT.PARTIAL_COMPLETION
    instances = InstanceTable(
        _train_records(cfg),
        min_square=options.MIN_SQUARE,
        enlarge=options.ENLARGE_BOX,
        with_amodal=with_amodal,
    )
    if not len(instances):
        raise UserError(
            f"DATASETS.TRAIN = {list(cfg.DATASETS.TRAIN)}: no usable instance "
            f"({instances.skipped} crowd, empty or too small)"
        )
    return instances


def _train_records(cfg) -> list[dict]:
    names = list(cfg.DATASETS.TRAIN)
    for name in names:
        ensure_registered(name)
    return get_detection_dataset_dicts(names, filter_empty=False, check_consistency=False)


def _run_seed(cfg) -> int:
    return cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed()


def _draw_loader(cfg, mapper: DrawMapper) -> DrawTrainLoader:
    return DrawTrainLoader(
        mapper,
        total_batch_size=cfg.SOLVER.IMS_PER_BATCH,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        pin_memory=cfg.MODEL.DEVICE.startswith("cuda"),
    )
