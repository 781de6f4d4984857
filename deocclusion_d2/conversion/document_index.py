"""Where everything lies in an annotation file, and what is wrong with it as a whole.

One pass finds the byte range of every image and annotation, and checks what can only be seen with
the whole file in view: ids that occur twice, annotations of images that do not exist. Later each
shard reads its own items. About 40 bytes per annotation stay in memory.

Shape shorthand: I: images, A: items of the annotation list (COCOA: one per image, else one per
instance).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..data.datasets.formats import (
    AnnotationFormat,
    ImageInfo,
    InvalidAnnotation,
    default_format,
    detect_format,
    get_format,
    is_lone_item,
    locate,
)
from ..errors import UserError
from .json_stream import JsonItem, JsonStream, read_item
from .tally import Tally

KEPT, DROPPED = -1, -2

# pycocotools counts pixels in 32 bits.
_MAX_PIXELS = 2**31


@dataclass
class DocumentIndex:
    """An annotation file, known by the places of its parts.

    Attributes:
        path: the file.
        sha256, size: of the file.
        format: how its annotations are written.
        top: its values beside ``images`` and ``annotations``.
        categories: COCO categories.
        image_places: (I, 2) int64, offset and length in bytes of each image; (0, 2) when the file
            has no list of images.
        entry_images: the images of a file without list of images, one per item; else None.
        item_places: (A, 2) int64, offset and length in bytes of each item.
        image_of_item: (A,) int32, image of each item; KEPT for an item that cannot be used and
            stays as it is; DROPPED for a further annotator's entry of an image (COCOA), which
            would double every object.
        instances_of_item: (A,) int32.
        skipped: counts of what cannot be used.
    """

    path: Path
    sha256: str
    size: int
    format: AnnotationFormat
    top: dict[str, Any]
    categories: list[dict]
    image_places: np.ndarray
    entry_images: list[ImageInfo | None] | None
    item_places: np.ndarray
    image_of_item: np.ndarray
    instances_of_item: np.ndarray
    skipped: Tally

    @property
    def num_images(self) -> int:
        return len(self.image_places) if self.entry_images is None else len(self.entry_images)

    def read_image(self, file: BinaryIO, image: int) -> Any:
        """The raw image record; the file must have a list of images."""
        return read_item(file, *map(int, self.image_places[image]))

    def image_info(self, file: BinaryIO, image: int) -> ImageInfo:
        if self.entry_images is not None:
            return self.entry_images[image]
        return self.format.images_of(self.read_image(file, image))

    def read_annotation(self, file: BinaryIO, item: int) -> Any:
        """The raw item."""
        return read_item(file, *map(int, self.item_places[item]))


def read_index(
    path: Path,
    format_name: str | None = None,
    image_root: Path | None = None,
    skip_invalid: bool = False,
) -> DocumentIndex:
    """Read a file once.

    Args:
        path: a COCO-like JSON, or one or several COCOA entries.
        format_name: key in ``ANNOTATION_FORMATS``; None to tell it from the first annotation.
        image_root: where the images of a file without list of images are looked for; the file's
            folder when None.
        skip_invalid: set annotations that cannot be used aside instead of raising.

    Raises:
        UserError: the file as a whole cannot be used; or, unless ``skip_invalid``, one of its
            annotations or images cannot. The first one in the file is named.
    """
    stream = JsonStream(path, ("images", "annotations"))
    reader = _Reader(path, get_format(format_name) if format_name else None)
    for item in stream.items():
        if item.key == "images":
            reader.add_image(item)
        else:
            reader.add_annotation(item)
    top, lists = stream.top, stream.found_lists
    if "annotations" not in lists and is_lone_item(top):
        reader.add_annotation(JsonItem("", *stream.extent, top))
        top, lists = {}, lists | {"annotations"}
    for key in ("images", "annotations"):
        if key in top:
            raise UserError(f"{path}: '{key}' is not a list")
    if not stream.is_list and "annotations" not in lists:
        raise UserError(f"{path}: there is no list 'annotations': is this a COCO-like JSON?")
    annotation_format = reader.format or default_format()
    if "images" not in lists and annotation_format.has_images_key:
        results = "; COCO results need --images-from" if stream.is_list else ""
        raise UserError(
            f"{path}: there is no list 'images', which the format {annotation_format.name} needs"
            f"{results}"
        )
    try:
        categories = annotation_format.categories(top)
    except InvalidAnnotation as error:
        raise UserError(f"{path}: {error}") from None
    with path.open("rb") as file:
        entry_images = None
        if "images" not in lists:
            entry_images = reader.images_of_entries(file, image_root or path.parent)
        image_of_item = reader.match()
        skipped = reader.report(file, skip_invalid)
    return DocumentIndex(
        path=path,
        sha256=stream.sha256,
        size=stream.size,
        format=annotation_format,
        top=top,
        categories=categories,
        image_places=reader.image_places,
        entry_images=entry_images,
        item_places=reader.item_places,
        image_of_item=image_of_item,
        instances_of_item=np.asarray(reader.instances, np.int32),
        skipped=skipped,
    )


class _Reader:
    """Collects the parts of a document as they come by, in compact arrays."""

    def __init__(self, path: Path, annotation_format: AnnotationFormat | None) -> None:
        self.path = path
        self.format = annotation_format
        self._images = array("q")
        self._items = array("q")
        self.instances = array("i")
        # Image ids are numbered in the order of their first mention, by an image or an annotation:
        # either list may come first.
        self._numbers: dict[int | str, int] = {}
        self._row_of_number = array("i")
        self._number_of_item = array("i")
        self._bad_rows: dict[int, str] = {}
        # Annotation ids: integers in arrays, for their number; the rare texts in a set.
        self._ids, self._item_of_id = array("q"), array("q")
        self._texts: set[int | str] = set()
        self._bad_items: dict[int, str] = {}
        # COCOA has an entry per annotator; the first one of an image counts.
        self._images_with_entry: set[int | str] = set()
        self._further_entries: list[int] = []

    @property
    def image_places(self) -> np.ndarray:
        return np.asarray(self._images, np.int64).reshape(-1, 2)

    @property
    def item_places(self) -> np.ndarray:
        return np.asarray(self._items, np.int64).reshape(-1, 2)

    # ---------------------------------------------------------------- one part at a time

    def add_image(self, item: JsonItem) -> None:
        row = len(self._images) // 2
        self._images.extend((item.offset, item.length))
        annotation_format = self.format or default_format()
        try:
            image_id = check_size(annotation_format.images_of(item.value)).id
        except InvalidAnnotation as error:
            self._bad_rows[row] = str(error)
            image_id = item.value.get("id") if isinstance(item.value, Mapping) else None
            if not isinstance(image_id, (int, str)):
                return
        self._claim(image_id, row)

    def add_annotation(self, item: JsonItem) -> None:
        number = len(self.instances)
        self._items.extend((item.offset, item.length))
        self.instances.append(1)
        self._number_of_item.append(-1)
        value = item.value
        if not isinstance(value, Mapping):
            kind = type(value).__name__
            self._bad_items[number] = f"annotation number {number + 1}: a {kind}, not an object"
            return
        if self.format is None:
            self.format = detect_format(value)
            if self.format is None:
                raise UserError(
                    f"{self.path}: the format cannot be told from the keys of the first "
                    f"annotation ({', '.join(map(str, value))}): pass --format"
                )
        if self.format.one_item_per_image:
            try:
                self.instances[-1] = self.format.count_instances(value)
            except InvalidAnnotation as error:
                self._bad_items[number] = str(error)
                return
        elif "id" not in value:
            self._bad_items[number] = f"annotation number {number + 1}: it has no key 'id'"
            return
        elif item.not_finite:
            keys = ", ".join(repr(k) for k, v in value.items() if not _is_finite(v))
            self._bad_items[number] = f"{keys} holds NaN or Infinity"
        try:
            image_id = self.format.image_id_of(value)
        except InvalidAnnotation as error:
            self._bad_items[number] = str(error)
            return
        if image_id not in self._numbers:
            self._numbers[image_id] = len(self._row_of_number)
            self._row_of_number.append(-1)
        self._number_of_item[-1] = self._numbers[image_id]
        if self.format.one_item_per_image:
            if image_id in self._images_with_entry:
                self._further_entries.append(number)
                return
            self._images_with_entry.add(image_id)
        self._note_id(value.get("id", image_id), number)

    def _claim(self, image_id: int | str, row: int) -> None:
        number = self._numbers.get(image_id)
        if number is None:
            self._numbers[image_id] = len(self._row_of_number)
            self._row_of_number.append(row)
        elif self._row_of_number[number] < 0:
            self._row_of_number[number] = row
        else:
            self._bad_rows[row] = f"image {image_id!r}: this image id occurs twice"

    def _note_id(self, annotation_id: Any, number: int) -> None:
        if isinstance(annotation_id, int) and -(2**63) <= annotation_id < 2**63:
            self._ids.append(annotation_id)
            self._item_of_id.append(number)
        elif isinstance(annotation_id, (int, str)):
            if annotation_id in self._texts:
                self._bad_items[number] = "this annotation id occurs twice"
            self._texts.add(annotation_id)
        # Whatever else it is, the format will not take it for an id.

    # ---------------------------------------------------------------- the whole

    def images_of_entries(self, file: BinaryIO, image_root: Path) -> list[ImageInfo | None]:
        """The images of items that stand without a list of images."""
        places = self.item_places
        images: list[ImageInfo | None] = []
        alternative = self.path.stem if len(places) == 1 else ""
        for number, place in enumerate(places):
            image = None
            if number not in self._bad_items and number not in self._further_entries:
                try:
                    entry = read_item(file, *map(int, place))
                    image = self.format.entry_image(entry, str(image_root), alternative)
                    image = check_size(image)
                except InvalidAnnotation as error:
                    self._bad_items[number] = str(error)
                else:
                    self._claim(image.id, number)
            images.append(image)
        return images

    def match(self) -> np.ndarray:
        """(A,) int32, the image of each item; -1 for those that cannot be used."""
        ids = np.asarray(self._ids, np.int64)
        order = np.argsort(ids, kind="stable")
        again = order[1:][ids[order[1:]] == ids[order[:-1]]]
        for number in np.asarray(self._item_of_id, np.int64)[again].tolist():
            self._bad_items.setdefault(number, "this annotation id occurs twice")
        numbers = np.asarray(self._number_of_item, np.int32)
        rows = np.append(np.asarray(self._row_of_number, np.int32), np.int32(KEPT))
        images = rows[numbers]  # -1, no image id at all, takes the last one
        for item in np.flatnonzero((images < 0) & (numbers >= 0)).tolist():
            self._bad_items.setdefault(item, "its image_id is not among the images")
        if self._bad_rows:
            for item in np.flatnonzero(np.isin(images, list(self._bad_rows))).tolist():
                self._bad_items.setdefault(item, "its image cannot be used")
        images[list(self._bad_items)] = KEPT
        images[self._further_entries] = DROPPED
        return images

    def report(self, file: BinaryIO, skip_invalid: bool) -> Tally:
        """Raise for the first thing in the file that cannot be used, or count all of them."""
        bad = [(int(self._images[2 * row]), row, None) for row in self._bad_rows]
        bad += [(int(self._items[2 * item]), None, item) for item in self._bad_items]
        tally = Tally()
        for _, row, item in sorted(bad, key=lambda place: place[0]):
            if item is None:
                message = self._bad_rows[row]
            else:
                message = self._locate(file, item)
            if not skip_invalid:
                raise UserError(f"{self.path}: {message}")
            tally.skip(message)
        for item in self._further_entries:
            value = read_item(file, *map(int, self.item_places[item]))
            tally.skip(
                f"image {value['image_id']!r}, entry {value.get('id')!r}: "
                "a further annotator's entry of an image, left out"
            )
        return tally

    def _locate(self, file: BinaryIO, item: int) -> str:
        """The message of an item, with image and annotation in it."""
        reason = self._bad_items[item]
        number = self._number_of_item[item]
        if number < 0 or reason.startswith(("image ", "annotation ", "entry ")):
            return reason
        row = self._row_of_number[number]
        value = read_item(file, *map(int, self.item_places[item]))
        annotation_id = value.get("id")
        if row >= 0 and row not in self._bad_rows and len(self._images):
            raw_image = read_item(file, *map(int, self.image_places[row]))
            place = locate(self.format.images_of(raw_image), annotation_id)
        else:
            place = f"image {value['image_id']!r}, annotation {annotation_id!r}"
        return f"{place}: {reason}"


def check_size(image: ImageInfo) -> ImageInfo:
    """The image itself. Raises InvalidAnnotation when it is larger than pycocotools can count."""
    if image.height * image.width > _MAX_PIXELS:
        raise InvalidAnnotation(
            f"image {image.id!r} ({image.file_name}): {image.height} x {image.width} pixels are "
            f"more than the {_MAX_PIXELS} that masks can have"
        )
    return image


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return True
