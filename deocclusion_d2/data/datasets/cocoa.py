"""COCOA: COCO scenes in which every region has an amodal outline and a depth order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from PIL import Image

from .annotation_format import (
    AnnotationFormat,
    ImageInfo,
    ParsedAnnotation,
    list_of,
    locate,
    read_mask,
    register_format,
)
from .segmentation import InvalidAnnotation, subtract

# Region ids are entry id * 1000 + position, so an entry must stay below this.
_MAX_REGIONS = 1000
_EXTRA_KEYS = ("order", "name", "isStuff", "occlude_rate")


@register_format
class Cocoa(AnnotationFormat):
    """One element of ``annotations`` holds all ``regions`` of an image.

    Regions have no ids and no categories. A region's annotation id is ``entry id * 1000 + p``, with
    p its 1-based position in ``regions`` (the image id stands in for an entry without id); its
    category is 1, "object". A file may also be one entry, or a list of entries, without ``images``.
    """

    name = "cocoa"
    has_images_key = False
    one_item_per_image = True
    evaluator_type = "cocoa"

    def categories(self, document: Mapping) -> list[dict]:
        return [{"id": 1, "name": "object", "supercategory": "object"}]

    def parse(self, raw_item: Mapping, image: ImageInfo) -> list[ParsedAnnotation]:
        regions = _regions(raw_item, image)
        entry_id = raw_item.get("id", image.id)
        if not isinstance(entry_id, int) or len(regions) >= _MAX_REGIONS:
            raise InvalidAnnotation(
                f"{locate(image, entry_id)}: ids of regions are made from an integer id and "
                f"fewer than {_MAX_REGIONS} regions; here are {len(regions)}"
            )
        return [
            _parse_region(region, entry_id * _MAX_REGIONS + position, image)
            for position, region in enumerate(regions, start=1)
        ]

    def depth_constraints(
        self, raw_item: Mapping, image: ImageInfo
    ) -> list[tuple[int, int]] | None:
        """The pairs of ``depth_constraint``, "i-j,k-l": region i lies in front of region j.

        The numbers are 1-based positions in ``regions``, as the data set's own evaluation reads
        them (``regions[i - 1]``). They are not the regions' ``order``, which skips numbers where
        regions have been deleted.
        """
        text = raw_item.get("depth_constraint")
        if text is None:
            return None
        count = len(_regions(raw_item, image))
        pairs = []
        for part in str(text).split(","):
            if not part.strip():
                continue
            numbers = [n.strip() for n in part.split("-")]
            good = len(numbers) == 2 and all(n.isascii() and n.isdigit() for n in numbers)
            front, back = (int(n) for n in numbers) if good else (0, 0)
            if not (1 <= front <= count and 1 <= back <= count and front != back):
                raise InvalidAnnotation(
                    f"{locate(image, raw_item.get('id'))}: depth_constraint {part.strip()!r} is "
                    f"not 'i-j' with two different regions between 1 and {count}"
                )
            pairs.append((front - 1, back - 1))
        return pairs

    def open_document(
        self, document: object, image_root: str, json_file: str
    ) -> tuple[list[ImageInfo], list[Mapping]]:
        """As for every format; a document may also be one entry, or a list of entries."""
        if isinstance(document, Mapping) and "images" in document:
            return super().open_document(document, image_root, json_file)
        alternative = ""
        if isinstance(document, Mapping) and "regions" in document:
            entries, alternative = [document], Path(json_file).stem
        elif isinstance(document, list):
            entries = document
        else:
            entries = list_of(document, "annotations")
        images = {}
        for entry in entries:
            image = entry_image(entry, image_root, alternative)
            images.setdefault(image.id, image)
        return list(images.values()), entries


def entry_image(entry: Mapping, image_root: str, alternative: str = "") -> ImageInfo:
    """The image of an entry that stands without an ``images`` list.

    The file is the entry's ``file_name`` or the end of its ``url``; where that does not exist below
    the image root, an image named like the JSON (``alternative``). The size is that of the
    entry's RLE masks, or else read from the image file.

    Args:
        image_root: folder of the images.
        alternative: name of the JSON without its ending; empty for none.
    """
    if not isinstance(entry, Mapping) or "image_id" not in entry:
        raise InvalidAnnotation("an entry has no key 'image_id'")
    image_id = entry["image_id"]
    where = f"image {image_id!r}, entry {entry.get('id')!r}"
    url = entry.get("file_name") or entry.get("url") or ""
    names = [PurePosixPath(str(url)).name if "://" in str(url) else str(url)]
    names += [alternative + ending for ending in (".jpg", ".png") if alternative]
    names = [n for n in names if n]
    found = [n for n in names if os.path.isfile(os.path.join(image_root, n))]
    if not names:
        raise InvalidAnnotation(f"{where}: it has neither 'file_name' nor 'url'")
    file_name = (found or names)[0]
    regions = entry.get("regions")
    for region in regions if isinstance(regions, list) else ():
        for key in ("visible_mask", "invisible_mask", "segmentation"):
            mask = region.get(key) if isinstance(region, Mapping) else None
            size = mask.get("size") if isinstance(mask, Mapping) else None
            if isinstance(size, list) and [type(v) for v in size] == [int, int] and min(size) > 0:
                return ImageInfo(image_id, size[0], size[1], file_name)
    if not found:
        raise InvalidAnnotation(
            f"{where}: no mask of it tells the image's size, and there is no image "
            f"{' or '.join(names)} in the image root {image_root!r}"
        )
    try:
        with Image.open(os.path.join(image_root, file_name)) as opened:
            width, height = opened.size
    except OSError as error:
        raise InvalidAnnotation(f"{where}: {file_name} cannot be read: {error}") from None
    return ImageInfo(image_id, height, width, file_name)


def visible_part(raw: Mapping, amodal: dict, image: ImageInfo, where: str) -> dict:
    """Modal mask of a region: ``visible_mask``, else amodal without ``invisible_mask``.

    Neither is present where nothing is hidden: the modal mask is the amodal one then.
    """
    if raw.get("visible_mask") is not None:
        return read_mask(raw, "visible_mask", image, where)
    if raw.get("invisible_mask") is not None:
        return subtract(amodal, read_mask(raw, "invisible_mask", image, where))
    return amodal


def _regions(entry: Mapping, image: ImageInfo) -> list:
    regions = entry.get("regions")
    if not isinstance(regions, list):
        raise InvalidAnnotation(f"{locate(image, entry.get('id'))}: it has no list 'regions'")
    return regions


def _parse_region(region: object, region_id: int, image: ImageInfo) -> ParsedAnnotation:
    where = locate(image, region_id)
    if not isinstance(region, Mapping):
        raise InvalidAnnotation(f"{where}: a region is a {type(region).__name__}, not an object")
    amodal = read_mask(region, "segmentation", image, where)
    made = {"id": region_id, "image_id": image.id, "category_id": 1, "iscrowd": 0}
    return ParsedAnnotation(
        id=region_id,
        image_id=image.id,
        category_id=1,
        iscrowd=False,
        modal=visible_part(region, amodal, image, where),
        amodal=amodal,
        extras={key: region[key] for key in _EXTRA_KEYS if key in region},
        raw={**region, **made},
    )
