"""Detectron2's loaders and evaluator for detectors."""

from __future__ import annotations

import os
from collections.abc import Iterable

from detectron2.data import build_detection_test_loader, build_detection_train_loader
from detectron2.evaluation import COCOEvaluator
from detectron2.modeling import GeneralizedRCNN
from detectron2.utils import comm

from ...data.loaders import train_names

__all__ = ["GeneralizedRCNN", "build_evaluator", "build_test_loader", "build_train_loader"]


def build_train_loader(cfg) -> Iterable:
    """Detectron2's loader of images and instances."""
    train_names(cfg)
    return build_detection_train_loader(cfg)


def build_test_loader(cfg, dataset_name: str) -> Iterable:
    """Detectron2's loader of images."""
    return build_detection_test_loader(cfg, dataset_name)


def build_evaluator(cfg, dataset_name: str, output_dir: str | None) -> COCOEvaluator:
    """COCO's evaluation of boxes and masks."""
    # Detectron2 would take the ground truth that an earlier run wrote, of whatever labels the name
    # stood for then.
    stale = os.path.join(output_dir or "", f"{dataset_name}_coco_format.json")
    if comm.is_main_process() and os.path.exists(stale):
        os.remove(stale)
    # The fast implementation needs Detectron2's C++ part.
    return COCOEvaluator(dataset_name, ("bbox", "segm"), output_dir=output_dir, use_fast_impl=False)
