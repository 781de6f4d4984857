"""Annotations that show their object whole, in a picture of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..segmentation import InvalidAnnotation, shown

# The picture's path, as seen from the folder of images, and its place [x, y, w, h] in the image.
FULL_OBJECT_KEY, FULL_OBJECT_BOX_KEY = "full_object", "full_object_box"


def check_full_object(extras: Mapping[str, Any], size: tuple[int, int], where: str) -> None:
    """Refuse a picture without its place, or a place that is none.

    Args:
        extras: of an annotation.
        size: (H, W) of its image.
        where: how messages name it.

    Raises:
        InvalidAnnotation: naming the key.
    """
    if FULL_OBJECT_KEY not in extras:
        return
    path, box = extras[FULL_OBJECT_KEY], extras.get(FULL_OBJECT_BOX_KEY)
    if not isinstance(path, str) or not path:
        raise InvalidAnnotation(f"{where}: {FULL_OBJECT_KEY!r} is {shown(path)}, not a path")
    whole = isinstance(box, list) and len(box) == 4 and all(_is_whole(v) for v in box)
    if not whole or min(box[2:]) < 1:
        raise InvalidAnnotation(
            f"{where}: {FULL_OBJECT_BOX_KEY!r} is {shown(box)}: give [x, y, width, height] in "
            "whole pixels"
        )
    x, y, w, h = box
    if x < 0 or y < 0 or x + w > size[1] or y + h > size[0]:
        raise InvalidAnnotation(
            f"{where}: {FULL_OBJECT_BOX_KEY!r} is {shown(box)}: it leaves the image of {size[1]} x "
            f"{size[0]} pixels"
        )


def _is_whole(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    )
