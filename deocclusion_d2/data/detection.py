"""Detectron2's loaders for detectors, on data as this package reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce

from detectron2.data import (
    MetadataCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
)
from detectron2.data.build import (
    filter_images_with_only_crowd_annotations,
    print_instances_class_histogram,
)

from ..errors import UserError
from ..structures.run_lengths import is_empty
from .datasets import is_ours
from .loaders import records_of, train_names
from .picture_mapper import PictureMapper

# What says how many categories an architecture of Detectron2 tells apart.
_CLASSES_KEYS = {
    "GeneralizedRCNN": "MODEL.ROI_HEADS.NUM_CLASSES",
    "PanopticFPN": "MODEL.ROI_HEADS.NUM_CLASSES",
    "RetinaNet": "MODEL.RETINANET.NUM_CLASSES",
}


def build_detector_train_loader(
    cfg,
    mapper: Callable[..., PictureMapper] = PictureMapper,
    check: Callable[[Sequence[dict]], None] | None = None,
) -> Iterable:
    """Detectron2's loader of images and instances.

    Args:
        mapper: (config, whether for training) -> what makes a sample of a dataset dict.
        check: raises a UserError for dataset dicts that the mapper cannot use.

    Raises:
        UserError: the data sets have other categories than the network or than each other, no
            instance to learn from, or masks in another form than the config's.
    """
    names = train_names(cfg)
    records = [record for name in names for record in records_of(name)]
    _check_categories(cfg, names)
    _check_mask_format(cfg, names)
    if check is not None:
        check(records)
    if not any(map(_has_instance, records)):
        raise UserError(
            f"DATASETS.TRAIN = {names}: there is no instance to learn from: all images are without "
            "annotations, or theirs are crowds or empty masks"
        )
    if cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS:
        records = filter_images_with_only_crowd_annotations(records)
    classes = MetadataCatalog.get(names[0]).get("thing_classes")
    if classes:
        print_instances_class_histogram(records, classes)
    # Proposals and keypoints are Detectron2's own matter.
    own = cfg.MODEL.LOAD_PROPOSALS or cfg.MODEL.KEYPOINT_ON
    return build_detection_train_loader(
        cfg, mapper=mapper(cfg, True), dataset=None if own else records
    )


def build_detector_test_loader(cfg, dataset_name: str) -> Iterable:
    """Detectron2's loader of images.

    Raises:
        UserError: the data set has no image, or other categories than the network.
    """
    records = records_of(dataset_name)
    _check_categories(cfg, [dataset_name])
    mapper = PictureMapper(cfg, False)
    if cfg.MODEL.LOAD_PROPOSALS:
        return build_detection_test_loader(cfg, dataset_name, mapper=mapper)
    return build_detection_test_loader(
        records, mapper=mapper, num_workers=cfg.DATALOADER.NUM_WORKERS
    )


# -------------------------------------------------------------------- what fits


def _check_categories(cfg, names: Sequence[str]) -> None:
    """Refuse data sets that have been read and whose categories are not those of the network."""
    classes = {name: MetadataCatalog.get(name).get("thing_classes") for name in names}
    first = classes[names[0]]
    for name, others in classes.items():
        if first is not None and others is not None and others != first:
            raise UserError(
                f"DATASETS.TRAIN: {name!r} has other categories than {names[0]!r} "
                f"({_short(others)}; {_short(first)}): train on data sets of the same categories"
            )
    key = _CLASSES_KEYS.get(cfg.MODEL.META_ARCHITECTURE)
    if key is None or first is None:
        return
    number = reduce(getattr, key.split("."), cfg)
    if number != len(first):
        raise UserError(
            f"{key} = {number}, but data set {names[0]!r} has {len(first)} categories "
            f"({_short(first)}): set {key} to {len(first)}, or name data of the categories that "
            "the network is for"
        )


def _short(classes: Sequence[str]) -> str:
    shown = ", ".join(classes[:4])
    return f"{shown}, ..." if len(classes) > 4 else shown or "none"


def _check_mask_format(cfg, names: Sequence[str]) -> None:
    if cfg.MODEL.MASK_ON and cfg.INPUT.MASK_FORMAT != "bitmask" and any(map(is_ours, names)):
        raise UserError(
            f"INPUT.MASK_FORMAT = {cfg.INPUT.MASK_FORMAT!r}: the masks of this package's data sets "
            "are no polygons: set it to bitmask"
        )


def _has_instance(record: dict) -> bool:
    """Whether an image has something to learn from; foreign masks are not looked at."""
    return any(
        not a.get("iscrowd", 0) and not ("dataset_category_id" in a and is_empty(a["segmentation"]))
        for a in record.get("annotations", ())
    )
