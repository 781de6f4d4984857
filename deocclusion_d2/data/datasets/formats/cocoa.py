"""COCOA: COCO scenes in which every region has an amodal outline and a depth order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ....errors import UserError
from ....structures.run_lengths import subtract
from ...images import read_size
from ..segmentation import InvalidAnnotation, check_pixels, shown
from .base import (
    AnnotationFormat,
    ImageInfo,
    ParsedAnnotation,
    Replacement,
    list_of,
    locate,
    read_mask,
    register_format,
)
from .values import read_id, size_told_by

# Region ids are entry id * 1000 + position, so an entry must stay below this.
_MAX_REGIONS = 1000
MASK_KEYS = ("segmentation", "visible_mask", "invisible_mask")
_EXTRA_KEYS = ("order", "name", "isStuff", "occlude_rate")
# Of COCOA-cls too.
REPLACED_KEYS: Mapping[str, Replacement] = {
    "invisible_mask": "hidden",
    "occlude_rate": "occlusion_rate",
}


@register_format
class Cocoa(AnnotationFormat):
    """One element of ``annotations`` holds all ``regions`` of an image.

    Regions have no ids and no categories. A region's annotation id is ``entry id * 1000 + p``, with
    p its 1-based position in ``regions`` (the image id stands in for an entry without id), or the
    text ``ID-p`` where that id is a text; its category is 1, "object". A file may also be one
    entry, or a list of entries, without ``images``.
    """

    name = "cocoa"
    telling_keys = frozenset({"regions"})
    has_categories = False
    has_images_key = False
    one_item_per_image = True
    fits_any_photo = True
    replaced_keys = REPLACED_KEYS
    evaluator_type = "cocoa"

    # ---------------------------------------------------------------- the document

    def is_lone_item(self, document: Mapping) -> bool:
        return "regions" in document

    def open_document(
        self, document: object, image_root: str, json_file: str
    ) -> tuple[list[ImageInfo], list[Mapping]]:
        """As for every format; a document may also be one entry, or a list of entries."""
        if isinstance(document, Mapping) and "images" in document:
            return super().open_document(document, image_root, json_file)
        alternative = ""
        if isinstance(document, Mapping) and self.is_lone_item(document):
            entries, alternative = [document], Path(json_file).stem
        elif isinstance(document, list):
            entries = document
        else:
            entries = list_of(document, "annotations")
        images = {}
        for entry in entries:
            image = self.entry_image(entry, image_root, alternative)
            images.setdefault(image.id, image)
        return list(images.values()), entries

    def entry_image(self, raw_item: Mapping, image_root: str, alternative: str = "") -> ImageInfo:
        """The image of an entry that stands without an ``images`` list.

        The file is the entry's ``file_name`` or the end of its ``url``; where that does not exist
        below the image root, an image named like the JSON (``alternative``). The size is that of
        the entry's RLE masks, or else read from the image file.
        """
        if not isinstance(raw_item, Mapping) or "image_id" not in raw_item:
            raise InvalidAnnotation("an entry has no key 'image_id'")
        image_id = self.image_id_of(raw_item)
        where = f"image {image_id!r}, entry {shown(raw_item.get('id'))}"
        url = str(raw_item.get("file_name") or raw_item.get("url") or "")
        if "://" in url:  # that is how COCOA writes it
            names = [PurePosixPath(url).name]
        else:
            names = list(dict.fromkeys((url, url.replace("\\", "/"))))
        names += [alternative + ending for ending in (".jpg", ".png") if alternative]
        names = [n for n in names if n]
        found = [n for n in names if os.path.isfile(os.path.join(image_root, n))]
        if not names:
            raise InvalidAnnotation(f"{where}: it has neither 'file_name' nor 'url'")
        file_name = (found or names)[0]
        size = size_told_by(raw_item)
        if size is not None:
            return _checked(ImageInfo(image_id, *size, file_name), where)
        if not found:
            raise InvalidAnnotation(
                f"{where}: no mask of it tells the image's size, and there is no image "
                f"{' or '.join(names)} in the image root {image_root!r}"
            )
        try:
            size = read_size(os.path.join(image_root, file_name))
        except UserError as error:
            raise InvalidAnnotation(f"{where}: {error}") from None
        return _checked(ImageInfo(image_id, *size, file_name), where)

    # ---------------------------------------------------------------- one entry

    def parse(self, raw_item: Mapping, image: ImageInfo) -> list[ParsedAnnotation]:
        regions = _regions(raw_item, image)
        assumed: list[str] = []
        entry_id = raw_item.get("id")
        if entry_id is None:
            entry_id = image.id
        entry_id = read_id(entry_id, locate(image, entry_id), "an entry's 'id'", assumed)
        if raw_item.get("image_id") is not None:
            read_id(raw_item["image_id"], locate(image, entry_id), "'image_id'", assumed)
        if isinstance(entry_id, str):
            ids: list[int | str] = [f"{entry_id}-{p}" for p in range(1, len(regions) + 1)]
        elif len(regions) < _MAX_REGIONS:
            ids = [entry_id * _MAX_REGIONS + p for p in range(1, len(regions) + 1)]
        else:
            raise InvalidAnnotation(
                f"{locate(image, entry_id)}: ids of regions are made from an integer id and "
                f"fewer than {_MAX_REGIONS} regions; here are {len(regions)}"
            )
        return [
            # What was assumed of the entry is said once.
            _parse_region(region, region_id, image, () if position else tuple(assumed))
            for position, (region, region_id) in enumerate(zip(regions, ids, strict=True))
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

    def count_instances(self, raw_item: Mapping) -> int:
        regions = raw_item.get("regions")
        if not isinstance(regions, list):
            raise InvalidAnnotation(f"entry {shown(raw_item.get('id'))}: it has no list 'regions'")
        return len(regions)

    def about_image(self, raw_item: Mapping) -> dict[str, Any]:
        return {"cocoa": {key: value for key, value in raw_item.items() if key != "regions"}}

    def salvage(
        self,
        raw_item: Mapping,
        image: ImageInfo,
        error: InvalidAnnotation,
        skip: Callable[[str], None],
    ) -> Iterator[ParsedAnnotation | dict]:
        """The regions that can be used.

        A region's id is made from its place in the entry, so an empty one stands in for each that
        cannot be used.
        """
        if not isinstance(raw_item.get("regions"), list):
            yield from super().salvage(raw_item, image, error, skip)
            return
        empty: dict[str, Any] = {"segmentation": []}
        sound = list(raw_item["regions"])
        bad: set[int] = set()
        for place, region in enumerate(raw_item["regions"]):
            try:
                self.parse({**raw_item, "regions": [region]}, image)
            except InvalidAnnotation:
                before = [empty] * place
                try:
                    self.parse({**raw_item, "regions": [*before, region]}, image)
                except InvalidAnnotation as reason:
                    skip(str(reason))
                sound[place] = empty
                bad.add(place)
        try:
            parsed = self.parse({**raw_item, "regions": sound}, image)
        except InvalidAnnotation as reason:  # the entry itself
            skip(str(reason))
            yield dict(raw_item)
            return
        for place, annotation in enumerate(parsed):
            if place not in bad:
                yield annotation
            elif isinstance(raw_item["regions"][place], dict):
                made = {k: v for k, v in annotation.raw.items() if k not in empty}
                yield {**raw_item["regions"][place], **made}

    def modal_as_given(self, parsed: ParsedAnnotation) -> Any:
        return visible_mask_as_given(parsed)

    def is_stuff(self, annotation: Mapping) -> bool:
        return bool(annotation.get("isStuff"))


# What ``visible_part`` may have to say.
RATE_WITHOUT_MASK = (
    "its 'occlude_rate' says that something hides it, but it has neither 'visible_mask' nor "
    "'invisible_mask': all of it is taken as visible"
)


def visible_part(
    raw: Mapping, amodal: dict, image: ImageInfo, where: str, assumed: list[str] | None = None
) -> dict:
    """Modal mask of a region: ``visible_mask``, else amodal without ``invisible_mask``.

    Neither is present where nothing is hidden: the modal mask is the amodal one then.
    """
    if raw.get("visible_mask") is not None:
        return read_mask(raw, "visible_mask", image, where, assumed)
    if raw.get("invisible_mask") is not None:
        return subtract(amodal, read_mask(raw, "invisible_mask", image, where, assumed))
    rate = raw.get("occlude_rate")
    if assumed is not None and isinstance(rate, (int, float)) and rate > 0:
        assumed.append(RATE_WITHOUT_MASK)
    return amodal


def visible_mask_as_given(parsed: ParsedAnnotation) -> Any:
    """``visible_mask`` as the input writes it; the RLE of ``visible_part`` where it has none."""
    given = parsed.raw.get("visible_mask")
    return parsed.modal if given is None else given


def _checked(image: ImageInfo, where: str) -> ImageInfo:
    try:
        check_pixels(image.height, image.width)
    except InvalidAnnotation as error:
        raise InvalidAnnotation(f"{where}: {error}") from None
    return image


def _regions(entry: Mapping, image: ImageInfo) -> list:
    regions = entry.get("regions")
    if not isinstance(regions, list):
        raise InvalidAnnotation(f"{locate(image, entry.get('id'))}: it has no list 'regions'")
    return regions


def _parse_region(
    region: object, region_id: int | str, image: ImageInfo, of_entry: tuple[str, ...]
) -> ParsedAnnotation:
    where = locate(image, region_id)
    if not isinstance(region, Mapping):
        raise InvalidAnnotation(f"{where}: a region is a {type(region).__name__}, not an object")
    assumed: list[str] = []
    amodal = read_mask(region, "segmentation", image, where, assumed, MASK_KEYS)
    made = {"id": region_id, "image_id": image.id, "category_id": 1, "iscrowd": 0}
    return ParsedAnnotation(
        id=region_id,
        image_id=image.id,
        category_id=1,
        iscrowd=False,
        modal=visible_part(region, amodal, image, where, assumed),
        amodal=amodal,
        extras={key: region[key] for key in _EXTRA_KEYS if key in region},
        raw={**region, **made},
        assumed=(*of_entry, *assumed),
    )
