"""Modal COCO JSON: COCO, LVIS, KITTI MOTS, and whatever else has only visible pixels."""

from __future__ import annotations

from .base import CocoStyleFormat, register_format


@register_format
class ModalCoco(CocoStyleFormat):
    """``segmentation`` and ``bbox`` are modal; ``track_id`` is kept where there is one."""

    name = "coco"
    telling_keys = frozenset({"segmentation"})
    telling_rank = 90
    modal_key = "segmentation"
    modal_bbox_key = "bbox"
    extra_keys = ("track_id",)
