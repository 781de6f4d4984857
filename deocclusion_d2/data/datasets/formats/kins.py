"""KINS: amodal street scenes, first release and the 2020 release."""

from __future__ import annotations

from collections.abc import Mapping

from .base import CocoStyleFormat, ImageInfo, ParsedAnnotation, locate, register_format
from .full_object import FULL_OBJECT_BOX_KEY, FULL_OBJECT_KEY, check_full_object

NOTHING_HIDES_IT = "it has no 'inmodal_seg': nothing hides it"


@register_format
class Kins(CocoStyleFormat):
    """First release: amodal under COCO's keys, modal under ``inmodal_seg`` and ``inmodal_bbox``.

    Files of others may have these only where something is hidden; a file in which no annotation
    has them is refused as a whole.

    Rendered scenes may also show objects whole: ``full_object`` names a picture with transparency,
    as seen from the folder of images, and ``full_object_box`` [x, y, w, h] the pixels it holds.
    """

    name = "kins"
    telling_keys = frozenset({"inmodal_seg"})
    modal_key = "inmodal_seg"
    amodal_key = "segmentation"
    modal_bbox_key = "inmodal_bbox"
    amodal_bbox_key = "bbox"
    extra_keys = (FULL_OBJECT_KEY, FULL_OBJECT_BOX_KEY)

    def parse(self, item: Mapping, image: ImageInfo) -> list[ParsedAnnotation]:
        parsed = super().parse(item, image)
        for annotation in parsed:
            check_full_object(
                annotation.extras, (image.height, image.width), locate(image, annotation.id)
            )
        return parsed

    def _modal(
        self,
        raw_item: Mapping,
        image: ImageInfo,
        where: str,
        amodal: dict | None,
        iscrowd: bool,
        assumed: list[str],
    ) -> dict | None:
        if raw_item.get(self.modal_key) is None and raw_item.get(self.amodal_key) is not None:
            if iscrowd:
                return None
            assumed.append(NOTHING_HIDES_IT)
            return amodal
        return super()._modal(raw_item, image, where, amodal, iscrowd, assumed)


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
