"""KINS: amodal street scenes, first release and the 2020 release."""

from __future__ import annotations

from .base import CocoStyleFormat, register_format


@register_format
class Kins(CocoStyleFormat):
    """First release: amodal under COCO's keys, modal under ``inmodal_seg`` and ``inmodal_bbox``."""

    name = "kins"
    telling_keys = frozenset({"inmodal_seg"})
    modal_key = "inmodal_seg"
    amodal_key = "segmentation"
    modal_bbox_key = "inmodal_bbox"
    amodal_bbox_key = "bbox"
    coco_views = frozenset({"amodal"})


@register_format
class Kins2020(CocoStyleFormat):
    """2020 release: ``a_*`` amodal, ``i_*`` modal; the clusters and their order are kept."""

    name = "kins2020"
    telling_keys = frozenset({"i_segm", "a_segm"})
    modal_key = "i_segm"
    amodal_key = "a_segm"
    modal_bbox_key = "i_bbox"
    amodal_bbox_key = "a_bbox"
    extra_keys = ("oco_id", "ico_id")
    replaced_keys = {"a_segm": "segmentation", "a_bbox": "bbox", "a_area": "area"}
