"""COCOA-cls and D2SA: COCO JSON with amodal ``segmentation`` and ``visible_mask``."""

from __future__ import annotations

from collections.abc import Mapping

from .annotation_format import CocoStyleFormat, ImageInfo, register_format
from .cocoa import visible_part


@register_format
class CocoaCls(CocoStyleFormat):
    """``visible_mask`` and ``invisible_mask`` may both be absent: nothing is hidden then."""

    name = "cocoa_cls"
    amodal_key = "segmentation"
    amodal_bbox_key = "bbox"
    extra_keys = ("occlude_rate",)

    def _modal(
        self, raw_item: Mapping, image: ImageInfo, where: str, amodal: dict | None, iscrowd: bool
    ) -> dict | None:
        return visible_part(raw_item, amodal, image, where)
