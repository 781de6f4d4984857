"""COCOA-cls and D2SA: COCO JSON with amodal ``segmentation`` and ``visible_mask``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import CocoStyleFormat, ImageInfo, ParsedAnnotation, read_mask, register_format
from .cocoa import MASK_KEYS, REPLACED_KEYS, visible_mask_as_given, visible_part


@register_format
class CocoaCls(CocoStyleFormat):
    """``visible_mask`` and ``invisible_mask`` may both be absent: nothing is hidden then."""

    name = "cocoa_cls"
    telling_keys = frozenset({"visible_mask", "invisible_mask", "occlude_rate"})
    telling_rank = 20
    amodal_key = "segmentation"
    amodal_bbox_key = "bbox"
    extra_keys = ("occlude_rate",)
    replaced_keys = REPLACED_KEYS

    def modal_as_given(self, parsed: ParsedAnnotation) -> Any:
        return visible_mask_as_given(parsed)

    def _amodal(
        self, raw_item: Mapping, image: ImageInfo, where: str, assumed: list[str]
    ) -> dict | None:
        return read_mask(raw_item, "segmentation", image, where, assumed, MASK_KEYS)

    def _modal(
        self,
        raw_item: Mapping,
        image: ImageInfo,
        where: str,
        amodal: dict | None,
        iscrowd: bool,
        assumed: list[str],
    ) -> dict | None:
        return visible_part(raw_item, amodal, image, where, assumed)
