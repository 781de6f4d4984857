"""Detectron2's loaders and evaluator for detectors, on data as this package reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
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
from detectron2.evaluation import COCOEvaluator
from detectron2.modeling import GeneralizedRCNN
from detectron2.utils import comm

from ...data.loaders import records_of, train_names
from ...errors import UserError
from ...structures.run_lengths import is_empty
from .evaluator import build_coco_evaluator
from .mapper import PictureMapper

__all__ = ["GeneralizedRCNN", "build_evaluator", "build_test_loader", "build_train_loader"]

# What says how many categories an architecture of Detectron2 tells apart.
_CLASSES_KEYS = {
    "GeneralizedRCNN": "MODEL.ROI_HEADS.NUM_CLASSES",
    "PanopticFPN": "MODEL.ROI_HEADS.NUM_CLASSES",
    "RetinaNet": "MODEL.RETINANET.NUM_CLASSES",
}


def build_train_loader(cfg) -> Iterable:
    """Detectron2's loader of images and instances.

    Raises:
        UserError: the data sets have other categories than the network or than each other, no
            instance to learn from, or masks in another form than the config's.
    """
    names = train_names(cfg)
    records = [record for name in names for record in records_of(name)]
    _check_categories(cfg, names)
    _check_mask_format(cfg, names)
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
        cfg, mapper=PictureMapper(cfg, True), dataset=None if own else records
    )


def build_test_loader(cfg, dataset_name: str) -> Iterable:
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


def build_evaluator(cfg, dataset_name: str, output_dir: str | None) -> COCOEvaluator:
    """COCO's evaluation of boxes, and of masks where the network makes some."""
    tasks = ("bbox", "segm") if cfg.MODEL.MASK_ON else ("bbox",)
    if _is_ours(dataset_name):
        return build_coco_evaluator(dataset_name, tasks, output_dir)
    # Detectron2 would take the ground truth that an earlier run wrote, of whatever labels the name
    # stood for then.
    stale = os.path.join(output_dir or "", f"{dataset_name}_coco_format.json")
    if comm.is_main_process() and os.path.exists(stale):
        os.remove(stale)
    # The fast implementation needs Detectron2's C++ part.
    return COCOEvaluator(dataset_name, tasks, output_dir=output_dir, use_fast_impl=False)


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
    if cfg.MODEL.MASK_ON and cfg.INPUT.MASK_FORMAT != "bitmask" and any(map(_is_ours, names)):
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


def _is_ours(dataset_name: str) -> bool:
    """Whether a data set is read by this package, and not by Detectron2."""
    return MetadataCatalog.get(dataset_name).get("annotation_format") is not None
