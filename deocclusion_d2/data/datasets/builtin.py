"""The data sets that are there by name, below $DETECTRON2_DATASETS (default ``./datasets``).

They are registered when a config is loaded, or a data set is asked for by ``ensure_registered``.
``datasets/README.md`` shows the folders. A name with ``_modal`` is the modal view of the same file.
"""

from __future__ import annotations

import functools
import os

from detectron2.data import DatasetCatalog

from .register import register_amodal_dataset

# name: (format, annotation file, folder of the images)
_AMODAL = {
    "kins_train": ("kins", "KINS/instances_train.json", "KINS/training/image_2"),
    "kins_val": ("kins", "KINS/instances_val.json", "KINS/testing/image_2"),
    "kins2020_train": ("kins2020", "KINS/update_train_2020.json", "KINS/training/image_2"),
    "kins2020_val": ("kins2020", "KINS/update_test_2020.json", "KINS/testing/image_2"),
    "synthetic_kins_train": (
        "kins",
        "synthetic_KINS/instances_train.json",
        "synthetic_KINS/training/image_2",
    ),
    "synthetic_kins_val": (
        "kins",
        "synthetic_KINS/instances_val.json",
        "synthetic_KINS/testing/image_2",
    ),
    # Masks alone: there are no images.
    "generic_shapes_train": (
        "kins",
        "generic_shapes/instances_train.json",
        "generic_shapes/images",
    ),
    "generic_shapes_val": ("kins", "generic_shapes/instances_val.json", "generic_shapes/images"),
    # Where the README's conversion command writes.
    "kins_train_pseudo_amodal": (
        "pseudo_amodal",
        "KINS/instances_train_pseudo_amodal.json",
        "KINS/training/image_2",
    ),
    "cocoa_train": ("cocoa", "COCOA/annotations/COCO_amodal_train2014.json", "coco/train2014"),
    "cocoa_val": ("cocoa", "COCOA/annotations/COCO_amodal_val2014.json", "coco/val2014"),
    "cocoa_cls_train": (
        "cocoa_cls",
        "COCOA/annotations/COCO_amodal_train2014_with_classes.json",
        "coco/train2014",
    ),
    "cocoa_cls_val": (
        "cocoa_cls",
        "COCOA/annotations/COCO_amodal_val2014_with_classes.json",
        "coco/val2014",
    ),
    "d2sa_train": ("cocoa_cls", "D2SA/D2S_amodal_training_rot0.json", "D2SA/images"),
    "d2sa_train_augmented": ("cocoa_cls", "D2SA/D2S_amodal_augmented.json", "D2SA/images"),
    "d2sa_val": ("cocoa_cls", "D2SA/D2S_amodal_validation.json", "D2SA/images"),
}

# name: (annotation file, folder of the images)
_MODAL = {
    "kitti_mots_train": ("kitti_mots/train.json", "kitti_mots/images"),
    "coco_modal_train": ("coco/annotations/instances_train2017.json", "coco/train2017"),
    "coco_modal_val": ("coco/annotations/instances_val2017.json", "coco/val2017"),
    "coco_crowd": ("coco_crowd/instances.json", "coco_crowd/images"),
    # The photos that the network of the package was trained on.
    "coco_general": ("coco_general/instances.json", "coco/train2017"),
    # What datasets/split_by_image.py makes of it.
    "coco_crowd_train": ("coco_crowd/instances_train.json", "coco_crowd/images"),
    "coco_crowd_val": ("coco_crowd/instances_val.json", "coco_crowd/images"),
}


def register_builtin(root: str) -> None:
    """Register every built-in data set below a folder; names already known are left alone."""

    def register(name: str, format: str, view: str, json: str, images: str, **more: str) -> None:
        if name not in DatasetCatalog:
            json, images = os.path.join(root, json), os.path.join(root, images)
            register_amodal_dataset(name, json, images, format, view, **more)

    for name, (format, json, images) in _AMODAL.items():
        register(name, format, "amodal", json, images)
        register(f"{name}_modal", format, "modal", json, images)
    for name, (json, images) in _MODAL.items():
        register(name, "coco", "modal", json, images)
    register(
        "kitti_mots_dev",
        "coco",
        "modal",
        "kitti_mots/dev.json",
        "kitti_mots/images",
        labels_json=os.path.join(root, "kitti_mots/dev_labels.json"),
        evaluator_type="kitti_mots_dev",
    )


@functools.cache
def register_builtin_datasets() -> None:
    """Register every built-in data set below $DETECTRON2_DATASETS, once in a process."""
    register_builtin(os.path.expanduser(os.getenv("DETECTRON2_DATASETS", "datasets")))
