"""Single values of annotation files: ids, categories, crowd flags, boxes, sizes.

What has one meaning is read, and it is said where that is not what the file should hold; all else
is refused. In all that follows, ``where`` is the value's place, for messages, and ``assumed`` gets
what had to be assumed, a constant sentence each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real

from ..segmentation import InvalidAnnotation, shown

# What reading an annotation or a document may have to say, beside what ``to_rle`` does.
NO_CATEGORY = "it has no category: category 1"
NO_CATEGORIES = "the file has no categories: category 1, 'object'"
NO_CATEGORY_NAME = "a category has no name: 'category' and its id"
# What is added where an annotation has a category, and the file none.
NONE_GIVEN = ": the file lists none, write them as 'categories', each with 'id' and 'name'"
CATEGORY_NAME_NUMBER = "a category's name is a number: its digits"
CROWD_NULL = "'iscrowd' is null: 0"
CROWD_BOOL = "'iscrowd' is true or false: 1 or 0"
CROWD_TEXT = "'iscrowd' is a text that means 0 or 1"
BOX_NOT_FINITE = "a box holds NaN or Infinity: the mask's is taken"
BOX_EMPTY = "a box is []: the mask's is taken"
NO_GIVEN_BOX = "an 'amodal_bbox' is not [x, y, width, height] with an area: it is not looked at"

# Ids of more bits are no ids, and Python does not even write the largest ones.
_MAX_ID = 2**64
# Up to here, a float that is an integer is that integer.
_EXACT = 2**53


def read_box(
    raw: Mapping, key: str | None, where: str, assumed: list[str] | None = None
) -> list[float] | None:
    """A box [x, y, w, h] in pixels; None when the key is absent, its value null, [] or not finite.

    Args:
        assumed: gets what had to be assumed, a constant sentence each.
    """
    if key is None or raw.get(key) is None:
        return None
    box = raw[key]
    assumed = [] if assumed is None else assumed
    if isinstance(box, (list, tuple)):
        if not box:
            assumed.append(BOX_EMPTY)
            return None
        if len(box) == 4 and all(map(_is_number, box)):
            try:
                values = [float(v) for v in box]
            except OverflowError:
                values = [-1.0] * 4
            if not all(map(math.isfinite, values)):
                assumed.append(BOX_NOT_FINITE)
                return None
            if values[2] >= 0 and values[3] >= 0:
                return values
    raise InvalidAnnotation(
        f"{where}: '{key}' is {shown(box)}, not [x, y, width, height] in pixels"
    )


def read_given_box(raw: Mapping, key: str, assumed: list[str]) -> list[float] | None:
    """A box [x, y, w, h] in pixels that most methods do not need; None where it is none.

    Args:
        assumed: gets what had to be assumed, a constant sentence each.
    """
    if raw.get(key) is None:
        return None
    try:
        box = read_box(raw, key, "", [])
    except InvalidAnnotation:
        box = None
    if box is None or min(box[2:]) <= 0:
        assumed.append(NO_GIVEN_BOX)
        return None
    return box


def read_id(
    value: object, where: str, key: str = "", assumed: list[str] | None = None
) -> int | str:
    """The integer or text that an id means.

    1, 1.0 and "1" are the id 1. A text that is written in another way, such as "01" or "a", is a
    text.

    Args:
        where: the id's place, for messages.
        key, assumed: where given, it is said that ``key`` is no integer but means one.

    Raises:
        InvalidAnnotation: it is neither.
    """
    if type(value) is int and -_MAX_ID < value < _MAX_ID:
        return value
    meant = _integer_meant(value)
    if meant is None:
        if isinstance(value, str):
            return value
        of_bits = ", which has more than 64 bits" if _is_int(value) else ""
        raise InvalidAnnotation(
            f"{where}: an id must be an integer or a text, not {shown(value)}{of_bits}"
        )
    if assumed is not None and not isinstance(value, Integral):
        assumed.append(means_integer(key, value))
    return meant


def size_told_by(raw_item: object) -> tuple[int, int] | None:
    """Height and width of an image in pixels, as the first RLE of an item of it says them.

    Args:
        raw_item: an annotation, or an entry with ``regions``; None comes back for anything else.
    """
    if not isinstance(raw_item, Mapping):
        return None
    regions = raw_item.get("regions")
    holders = [raw_item, *(regions if isinstance(regions, list) else ())]
    for holder in holders:
        for mask in holder.values() if isinstance(holder, Mapping) else ():
            if isinstance(mask, list) and len(mask) == 1:
                mask = mask[0]
            size = mask.get("size") if isinstance(mask, Mapping) and "counts" in mask else None
            if isinstance(size, list) and len(size) == 2:
                sides = [None if isinstance(v, str) else _integer_meant(v) for v in size]
                if None not in sides and min(sides) > 0:
                    return sides[0], sides[1]
    return None


class MissingSize(InvalidAnnotation):
    """An image has no height or width."""


def read_category(raw: object, assumed: list[str]) -> dict:
    """A category whose id is an integer and whose name is a text; the given one where it is so."""
    if not isinstance(raw, Mapping) or "id" not in raw:
        raise InvalidAnnotation("a category has no key 'id'")
    category_id, name = _integer_meant(raw["id"]), raw.get("name")
    if category_id is None or not -(2**63) <= category_id < 2**63:
        raise InvalidAnnotation(
            f"category {shown(raw['id'])}: 'id' must be an integer and 'name' a text"
        )
    if not isinstance(raw["id"], Integral):
        assumed.append(means_integer("a category's 'id'", raw["id"]))
    if name is None:
        assumed.append(NO_CATEGORY_NAME)
        name = f"category{category_id}"
    elif _is_int(name) or (isinstance(name, float) and math.isfinite(name)):
        assumed.append(CATEGORY_NAME_NUMBER)
        name = shown(name)
    elif not isinstance(name, str):
        raise InvalidAnnotation(
            f"category {category_id!r}: 'id' must be an integer and 'name' a text"
        )
    if raw["id"] == category_id and raw.get("name") == name and _is_int(raw["id"]):
        return raw
    return {**raw, "id": category_id, "name": name}


def read_category_id(raw_item: Mapping, where: str, assumed: list[str]) -> int:
    value = raw_item.get("category_id")
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    if value is None:
        assumed.append(NO_CATEGORY)
        return 1
    meant = _integer_meant(value)
    if meant is None or not -(2**63) <= meant < 2**63:
        raise InvalidAnnotation(f"{where}: 'category_id' is {shown(value)}, not an integer")
    if not isinstance(value, Integral):
        assumed.append(means_integer("'category_id'", value))
    return meant


def read_iscrowd(raw_item: Mapping, where: str, assumed: list[str]) -> bool:
    value = raw_item.get("iscrowd", 0)
    if type(value) is int and value in (0, 1):
        return bool(value)
    if value is None:
        assumed.append(CROWD_NULL)
        return False
    if isinstance(value, bool):
        assumed.append(CROWD_BOOL)
    elif isinstance(value, str) and value in ("0", "1"):
        assumed.append(CROWD_TEXT)
    elif not isinstance(value, Real) or value not in (0, 1):
        raise InvalidAnnotation(f"{where}: 'iscrowd' is {shown(value)}, not 0 or 1")
    return bool(int(value))


def read_side(raw_image: Mapping, key: str, where: str, assumed: list[str]) -> int:
    value = raw_image.get(key)
    if value is None:
        what = f"'{key}' is null" if key in raw_image else f"it has no key '{key}'"
        raise MissingSize(f"{where}: {what}")
    meant = None if isinstance(value, str) else _integer_meant(value)
    if meant is None or meant < 1:
        raise InvalidAnnotation(f"{where}: '{key}' is {shown(value)}, not a positive integer")
    if not isinstance(value, Integral):
        assumed.append(means_integer(f"an image's '{key}'", value))
    return meant


def _integer_meant(value: object) -> int | None:
    """The integer that a value is or means; None where it means none.

    Of texts, those that Python writes for an integer.
    """
    if _is_int(value):
        return int(value) if -_MAX_ID < value < _MAX_ID else None
    if isinstance(value, Real) and not isinstance(value, bool):
        exact = math.isfinite(value) and -_EXACT <= value <= _EXACT and value == int(value)
        return int(value) if exact else None
    if isinstance(value, str) and len(value) <= 20 and value.isascii():
        digits = value.removeprefix("-")
        if digits.isdigit() and (value == "0" or digits[0] != "0"):
            meant = int(value)
            return meant if -_MAX_ID < meant < _MAX_ID else None
    return None


def means_integer(key: str, value: object) -> str:
    return f"{key} is a {'text' if isinstance(value, str) else 'float'} that means an integer"


def _is_int(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) or (isinstance(value, Real) and not isinstance(value, bool))
