"""What conversion writes: COCO JSON made amodal by this package."""

from __future__ import annotations

from .annotation_format import CocoStyleFormat, register_format


@register_format
class PseudoAmodal(CocoStyleFormat):
    """Amodal under COCO's keys, modal under ``modal_segmentation`` and ``modal_bbox``.

    A crowd region that conversion has passed through has only its ``segmentation``.
    """

    name = "pseudo_amodal"
    modal_key = "modal_segmentation"
    amodal_key = "segmentation"
    modal_bbox_key = "modal_bbox"
    amodal_bbox_key = "bbox"
    extra_keys = ("occluder_ids", "occlusion_rate")
    coco_views = frozenset({"amodal"})
