"""COCO JSON made amodal by this package: by conversion, or by pasting objects over others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from ..segmentation import InvalidAnnotation, shown
from .base import CocoStyleFormat, ImageInfo, register_format

logger = logging.getLogger(__name__)


@register_format
class PseudoAmodal(CocoStyleFormat):
    """Amodal under COCO's keys, modal under ``modal_segmentation`` and ``modal_bbox``.

    Where objects were pasted (``synthesis/occlusion_pairs``), ``amodal_exact`` says whether the
    amodal mask is the whole object, and ``source_image`` of an image is the photo before.

    A crowd region that conversion has passed through has only its ``segmentation``. So has an
    annotation that it could not use and left as it was (``--skip-invalid``): those are left out.
    """

    name = "pseudo_amodal"
    telling_keys = frozenset({"modal_segmentation"})
    telling_rank = 0
    modal_key = "modal_segmentation"
    amodal_key = "segmentation"
    modal_bbox_key = "modal_bbox"
    amodal_bbox_key = "bbox"
    extra_keys = (
        "occluder_ids",
        "occluder_confidences",
        "mutual_occlusion_ids",
        "hidden_probability",
        "samples",
        "occlusion_rate",
        "role",
        "source_id",
        "amodal_exact",
        "track_id",
        "name",
    )

    def is_told_by(self, info: Mapping) -> bool:
        return isinstance(info.get("deocclusion"), Mapping)

    def open_document(
        self, document: object, image_root: str, json_file: str
    ) -> tuple[list[ImageInfo], list[Mapping]]:
        images, items = super().open_document(document, image_root, json_file)
        images = [_with_source(*pair) for pair in zip(images, document["images"], strict=True)]
        used = [
            item
            for item in items
            if not isinstance(item, Mapping)
            or item.get("iscrowd") not in (None, 0, "0")
            or self.modal_key in item
        ]
        if not used:
            # No conversion wrote this file: the first annotation tells what it lacks.
            return images, items
        if len(used) < len(items):
            logger.warning(
                "%s: %d annotations that the conversion could not use are left out",
                json_file,
                len(items) - len(used),
            )
        return images, used


def _with_source(image: ImageInfo, raw_image: Mapping) -> ImageInfo:
    """An image with the photo that it was pasted into, if it says one."""
    source = raw_image.get("source_image")
    if source is not None and not isinstance(source, str):
        raise InvalidAnnotation(
            f"image {shown(image.id)} ({image.file_name}): 'source_image' is {shown(source)}, not "
            "a path"
        )
    return replace(image, source_image=source or "")
