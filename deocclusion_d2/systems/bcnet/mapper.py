"""Detection samples that also say what hides each object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.data import detection_utils
from detectron2.modeling import ROI_MASK_HEAD_REGISTRY
from pycocotools import mask as mask_util

from ...data.detection import build_detector_train_loader
from ...data.picture_mapper import PictureMapper
from ...errors import UserError
from ...structures import WindowMask
from .mask_head import BCNetMaskHead
from .occluders import (
    IN_FRONT,
    Relation,
    check_occluders,
    in_front,
    neighbours,
    occluder_masks,
    says_who_is_in_front,
)
from .shared_masks import SharedMasks


class BCNetMapper(PictureMapper):
    """``PictureMapper`` whose instances have ``gt_occluder_masks``, ``SharedMasks``.

    Those are made of the masks of the dataset dict before the image is resized or flipped, and are
    transformed with it. No key beside those of detection is needed. Crowds hide nothing.

    Args:
        cfg: a config.
        is_train: whether samples are for training.

    Raises:
        UserError: ``MODEL.BCNET.OCCLUDERS`` is no kind of occluders.
    """

    def __init__(self, cfg, is_train: bool) -> None:
        super().__init__(cfg, is_train)
        own = cfg.MODEL.BCNET
        check_occluders(own)
        self._kind = own.OCCLUDERS
        self._box_iou = own.BOX_IOU
        self._min_pixels = own.MIN_PIXELS

    def _transform_annotations(self, dataset_dict: dict, transforms, image_shape) -> None:
        rows = [k for k, a in enumerate(dataset_dict["annotations"]) if not a.get("iscrowd", 0)]
        occluders = self._occluders(dataset_dict, rows)
        size = dataset_dict["height"], dataset_dict["width"]
        given = dataset_dict.pop("annotations")
        if not self.use_keypoint:
            for annotation in given:
                annotation.pop("keypoints", None)
        annotations = [
            detection_utils.transform_instance_annotations(
                given[row],
                transforms,
                image_shape,
                keypoint_hflip_indices=self.keypoint_hflip_indices,
            )
            for row in rows
        ]
        instances = detection_utils.annotations_to_instances(
            annotations, image_shape, mask_format=self.instance_mask_format
        )
        if self.recompute_boxes and rows:
            instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
        found = torch.zeros((len(rows), *image_shape), dtype=torch.bool)
        for plane, mask in zip(found, occluders, strict=True):
            if not mask.is_empty:
                moved = transforms.apply_segmentation(mask.to_array(*size).view(np.uint8))
                plane[:] = torch.from_numpy(np.ascontiguousarray(moved)) > 0
        instances.gt_occluder_masks = SharedMasks(found)
        instances = detection_utils.filter_empty_instances(instances)
        if self.instance_mask_format == "bitmask" and len(rows):
            instances.gt_masks = SharedMasks(instances.gt_masks.tensor)
        dataset_dict["instances"] = instances

    def _occluders(self, record: Mapping[str, Any], rows: Sequence[int]) -> list[WindowMask]:
        """What hides each of the objects."""
        size = record["height"], record["width"]
        masks = [_mask(record["annotations"][row]["segmentation"], *size) for row in rows]
        relation = self._relation(record, rows, masks)
        return occluder_masks(masks, relation, self._min_pixels)

    def _relation(
        self, record: Mapping[str, Any], rows: Sequence[int], masks: Sequence[WindowMask]
    ) -> Relation:
        if self._kind != IN_FRONT:
            return neighbours(masks, self._box_iou)
        check_order([record])
        known = in_front(record)
        place = {row: k for k, row in enumerate(rows)}
        return [[place[other] for other in known[row]] for row in rows]


def build_train_loader(cfg) -> Iterable:
    """Detectron2's loader of images and instances with their occluders.

    Raises:
        UserError: see ``build_detector_train_loader``; another mask head; in_front without
            anything that says who is in front.
    """
    check_head(cfg)
    check = check_order if cfg.MODEL.BCNET.OCCLUDERS == IN_FRONT else None
    return build_detector_train_loader(cfg, BCNetMapper, check)


def check_head(cfg) -> None:
    """Refuse to train another mask head under BCNet's name.

    Raises:
        UserError: naming the key.
    """
    name = cfg.MODEL.ROI_MASK_HEAD.NAME
    known = name in ROI_MASK_HEAD_REGISTRY
    if not cfg.MODEL.MASK_ON or not (
        known and issubclass(ROI_MASK_HEAD_REGISTRY.get(name), BCNetMaskHead)
    ):
        raise UserError(
            f"MODEL.SYSTEM is bcnet, but MODEL.MASK_ON is {cfg.MODEL.MASK_ON} and "
            f"MODEL.ROI_MASK_HEAD.NAME {name!r}: set them to True and BCNetMaskHead, or "
            'MODEL.SYSTEM to ""'
        )


def check_order(records: Iterable[Mapping[str, Any]]) -> None:
    """Refuse dataset dicts that do not say who is in front.

    Raises:
        UserError: naming the image.
    """
    for record in records:
        if not says_who_is_in_front(record):
            raise UserError(
                f"image {record['image_id']!r} ({record['file_name']}): nothing says which object "
                "is in front of another, as MODEL.BCNET.OCCLUDERS in_front wants it: convert the "
                "masks by tools/convert_modal_to_amodal.py and train on the result, or set "
                "MODEL.BCNET.OCCLUDERS neighbours"
            )


def _mask(segmentation: object, height: int, width: int) -> WindowMask:
    """A mask in any form that Detectron2's data sets have."""
    if isinstance(segmentation, np.ndarray):
        return WindowMask.from_array(segmentation)
    if isinstance(segmentation, list):
        segmentation = mask_util.merge(mask_util.frPyObjects(segmentation, height, width))
    return WindowMask.from_rle(segmentation)
