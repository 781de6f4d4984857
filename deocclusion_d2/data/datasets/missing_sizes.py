"""Images for which an annotation file gives no size: that of their RLE masks is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .assumptions import Assumptions
from .formats import AnnotationFormat, InvalidAnnotation, shown, size_told_by

_LISTS = ("images", "annotations")
SIZE_OF_MASKS = "it has no 'height' and 'width': the size of its masks is taken"


def has_no_size(raw_image: Any) -> bool:
    """Whether an element of ``images`` has neither height nor width."""
    return (
        isinstance(raw_image, dict)
        and raw_image.get("height") is None
        and raw_image.get("width") is None
    )


def with_size(raw_image: Any, size: tuple[int, int] | None) -> Any:
    """The element with a height and width in pixels; unchanged for None."""
    return raw_image if size is None else {**raw_image, "height": size[0], "width": size[1]}


def with_sizes(
    document: object, annotation_format: AnnotationFormat, assumed: Assumptions
) -> object:
    """The document, with the sizes that its masks tell; itself where no image lacks one."""
    lists = [document.get(k) if isinstance(document, Mapping) else None for k in _LISTS]
    if not all(isinstance(given, list) for given in lists) or not any(map(has_no_size, lists[0])):
        return document
    images, items = lists
    sizes: dict[int | str, tuple[int, int]] = {}
    for item in items:
        size = size_told_by(item)
        if size is None:
            continue
        try:
            sizes.setdefault(annotation_format.image_id_of(item), size)
        except InvalidAnnotation:
            continue  # reading the item says so
    sized = []
    for raw in images:
        if has_no_size(raw):
            try:
                size = sizes.get(annotation_format.images_of(with_size(raw, (1, 1))).id)
            except InvalidAnnotation:
                size = None
            if size is not None:
                place = f"image {shown(raw.get('id'))} ({raw.get('file_name')})"
                assumed.note([SIZE_OF_MASKS], place)
                raw = with_size(raw, size)
        sized.append(raw)
    return {**document, "images": sized}
