"""Modal COCO JSON: COCO, LVIS, KITTI MOTS, and whatever else has only visible pixels."""

from __future__ import annotations

from .annotation_format import CocoStyleFormat, register_format


@register_format
class ModalCoco(CocoStyleFormat):
    """``segmentation`` and ``bbox`` are modal; ``track_id`` is kept where there is one."""

    name = "coco"
    knows_amodal = False
    modal_key = "segmentation"
    modal_bbox_key = "bbox"
    extra_keys = ("track_id",)
    coco_views = frozenset({"modal"})
    evaluator_type = "modal"
