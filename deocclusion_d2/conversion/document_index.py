"""Where everything lies in an annotation file, and what is wrong with it as a whole.

One pass finds the byte range of every image and annotation, and checks what can only be seen with
the whole file in view: ids that occur twice, annotations of images that do not exist. Later each
shard reads its own items. About 40 bytes per annotation stay in memory.

Shape shorthand: I: images, A: items of the annotation list (COCOA: one per image, else one per
instance).
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..data.datasets.formats import (
    AnnotationFormat,
    ImageInfo,
    InvalidAnnotation,
    default_format,
    get_format,
    is_lone_item,
    locate,
    read_category_id,
    read_id,
    read_iscrowd,
    shown,
    size_told_by,
    with_only_object,
)
from ..data.datasets.missing_sizes import SIZE_OF_MASKS, has_no_size, with_size
from ..data.datasets.told_format import FormatTeller, check_kind
from ..errors import UserError
from ..json_files import (
    JsonItem,
    JsonStream,
    NamedDocument,
    is_finite,
    read_item,
    read_item_text,
)
from .tally import Tally

KEPT, DROPPED = -1, -2

# What is counted where an annotation that goes out as it is holds such numbers.
NULL = "NaN or Infinity, which JSON does not know, is written as null"

# Of the keys that conversion computes, those that reading an annotation judges itself.
_JUDGED = frozenset({"segmentation", "bbox", "modal_segmentation", "modal_bbox"})
_NOT_FINITE = "holds NaN or Infinity"


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
        category_ids: category id of the instances -> the first item that has it.
        skipped: counts of what cannot be used, and of what had to be assumed.
        encoding: of the file.
        sizes: height and width of the images that the file gives none for, by the image's row:
            those of their masks.
        doubt: what speaks against the format, where the caller has named it; else None.
    """

    path: Path | NamedDocument
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
    category_ids: dict[int, int]
    skipped: Tally
    encoding: str
    sizes: dict[int, tuple[int, int]]
    doubt: str | None

    @property
    def has_no_categories(self) -> bool:
        """Whether the file gives no categories; ``categories`` are assumed then."""
        return not self.top.get("categories")

    @property
    def num_images(self) -> int:
        return len(self.image_places) if self.entry_images is None else len(self.entry_images)

    def read_image(self, file: BinaryIO, image: int) -> Any:
        """The raw image record, with its size; the file must have a list of images."""
        record = read_item(file, *map(int, self.image_places[image]), self.encoding)
        return with_size(record, self.sizes.get(image))

    def image_info(self, file: BinaryIO, image: int) -> ImageInfo:
        if self.entry_images is not None:
            return self.entry_images[image]
        return self.format.images_of(self.read_image(file, image))

    def file_names(self) -> Iterator[str]:
        """The file names of all images that can be used."""
        with self.path.open("rb") as file:
            for image in range(self.num_images):
                try:
                    info = self.image_info(file, image)
                except InvalidAnnotation:
                    continue
                if info is not None:
                    yield info.file_name

    def place_of_category(self, category_id: int) -> str:
        """How messages name the first instance of a category of ``category_ids``."""
        item = self.category_ids[category_id]
        with self.path.open("rb") as file:
            info = self.image_info(file, int(self.image_of_item[item]))
            raw = self.read_annotation(file, item)
        return f"{self.path}: {locate(info, raw.get('id'))}"

    def read_annotation(self, file: BinaryIO, item: int) -> Any:
        """The raw item."""
        return read_item(file, *map(int, self.item_places[item]), self.encoding)

    def annotation_text(self, file: BinaryIO, item: int) -> str:
        """Its JSON, as it stands in the file."""
        return read_item_text(file, *map(int, self.item_places[item]), self.encoding)


def read_index(
    path: Path | NamedDocument,
    format_name: str | None = None,
    image_root: Path | None = None,
    skip_invalid: bool = False,
) -> DocumentIndex:
    """Read a file once; twice where its first annotation is no item of the format of the others.

    Args:
        path: a COCO-like JSON, or one or several COCOA entries.
        format_name: key in ``ANNOTATION_FORMATS``; None to tell it from all annotations.
        image_root: where the images of a file without list of images are looked for; the file's
            folder when None.
        skip_invalid: set annotations that cannot be used aside instead of raising.

    Raises:
        UserError: the file as a whole cannot be used; or, unless ``skip_invalid``, one of its
            annotations or images cannot. The first one in the file is named.
    """
    named = get_format(format_name) if format_name else None
    stream, reader, top, lists = _read(path, named)
    for key in ("images", "annotations"):
        if key in top:
            raise UserError(f"{path}: '{key}' is not a list")
    try:
        check_kind(top)
        if not stream.is_list and "annotations" not in lists:
            raise InvalidAnnotation("there is no list 'annotations': is this a COCO-like JSON?")
        info = top.get("info")
        doubt = reader.teller.doubt(named, info) if named else None
        annotation_format = named or reader.teller.tell(info)
    except InvalidAnnotation as error:
        raise UserError(f"{path}: {error}") from None
    if not _found_alike(annotation_format, reader.format):
        stream, reader, top, lists = _read(path, annotation_format)
    reader.format = annotation_format
    if "images" not in lists and annotation_format.has_images_key:
        results = "; COCO results need --images-from" if stream.is_list else ""
        raise UserError(
            f"{path}: there is no list 'images', which the format {annotation_format.name} needs"
            f"{results}"
        )
    of_categories: list[str] = []
    try:
        categories = annotation_format.categories(top, of_categories)
        if reader.lacks_category:
            categories = with_only_object(categories)
    except InvalidAnnotation as error:
        raise UserError(f"{path}: {error}") from None
    with path.open("rb") as file:
        entry_images = None
        if "images" not in lists:
            entry_images = reader.images_of_entries(file, image_root or path.parent)
        image_of_item = reader.match(file)
        skipped = reader.report(file, skip_invalid)
    skipped.assumed.note(of_categories, "'categories'")
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
        category_ids=reader.category_ids(image_of_item),
        skipped=skipped,
        encoding=stream.encoding,
        sizes=reader.sizes,
        doubt=doubt,
    )


def _read(
    path: Path | NamedDocument, annotation_format: AnnotationFormat | None
) -> tuple[JsonStream, _Reader, dict[str, Any], set[str]]:
    """One pass over a file: the reader, the values beside the long lists, and the lists found."""
    stream = JsonStream(path, ("images", "annotations"))
    reader = _Reader(path, annotation_format)
    try:
        for item in stream.items():
            if item.key == "images":
                reader.add_image(item)
            else:
                reader.add_annotation(item)
        top, lists = stream.top, stream.found_lists
        if "annotations" not in lists and is_lone_item(top):
            reader.add_annotation(JsonItem("", *stream.extent, top))
            top, lists = {}, lists | {"annotations"}
    except InvalidAnnotation as error:
        raise UserError(f"{path}: {error}") from None
    reader.encoding = stream.encoding
    return stream, reader, top, lists


def _found_alike(first: AnnotationFormat, second: AnnotationFormat) -> bool:
    """Whether two formats find the same ids and numbers of instances in a file."""
    methods = ("image_id_of", "images_of", "count_instances")
    return first.one_item_per_image == second.one_item_per_image and all(
        getattr(type(first), name) is getattr(type(second), name) for name in methods
    )


class _Reader:
    """Collects the parts of a document as they come by, in compact arrays."""

    def __init__(
        self, path: Path | NamedDocument, annotation_format: AnnotationFormat | None
    ) -> None:
        self.path = path
        self.encoding = "utf-8"
        self.teller = FormatTeller()
        # Until all is read, what the first annotation shows.
        self.format = annotation_format or default_format()
        self._is_told = annotation_format is not None
        self.sizes: dict[int, tuple[int, int]] = {}
        self._unsized: dict[int, str] = {}
        self._not_finite: dict[int, list[str]] = {}
        self._assumed: list[tuple[str, str]] = []
        self.lacks_category = False
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
        # Category ids, numbered in the order of their first mention; -1 for items that are no
        # instances, or whose id cannot be read.
        self._category_numbers: dict[int, int] = {}
        self._category_of_item = array("i")
        self._further_entries: list[int] = []

    @property
    def _mask_keys(self) -> set[str]:
        """Keys that replace others, and hold masks or boxes."""
        replaced = self.format.replaced_keys
        return {key for key, value in replaced.items() if value in ("segmentation", "bbox")}

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
        value, unsized = item.value, has_no_size(item.value)
        if unsized:
            value = with_size(value, (1, 1))
        try:
            image = self.format.images_of(value)
            image_id = image.id
            if image.assumed:
                place = f"image {image.id!r} ({image.file_name})"
                self._assumed += [(sentence, place) for sentence in image.assumed]
            if unsized:
                self._unsized[row] = f"image {image.id!r} ({image.file_name})"
        except InvalidAnnotation as error:
            self._bad_rows[row] = str(error)
            image_id = item.value.get("id") if isinstance(item.value, dict) else None
            if not isinstance(image_id, (int, str)):
                return
        self._claim(image_id, row)

    def add_annotation(self, item: JsonItem) -> None:
        number = len(self.instances)
        self._items.extend((item.offset, item.length))
        self.instances.append(1)
        self._number_of_item.append(-1)
        self._category_of_item.append(-1)
        value = item.value
        if not isinstance(value, dict):
            kind = type(value).__name__
            self._bad_items[number] = f"annotation number {number + 1}: a {kind}, not an object"
            return
        self.teller.add(value)
        if not self._is_told:
            self.format, self._is_told = self.teller.first, True
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
            self._not_finite[number] = [k for k, v in value.items() if not is_finite(v)]
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
        if value.get("category_id") is None:
            self.lacks_category = True
        self._note_category(value)
        annotation_id = value.get("id")
        self._note_id(image_id if annotation_id is None else annotation_id, number)

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
        if type(annotation_id) is not int:
            with contextlib.suppress(InvalidAnnotation):
                annotation_id = read_id(annotation_id, "")
        if isinstance(annotation_id, int) and -(2**63) <= annotation_id < 2**63:
            self._ids.append(annotation_id)
            self._item_of_id.append(number)
        elif isinstance(annotation_id, (int, str)):
            if annotation_id in self._texts:
                self._bad_items[number] = "this annotation id occurs twice"
            self._texts.add(annotation_id)
        # Whatever else it is, the format will not take it for an id.

    def _note_category(self, value: dict) -> None:
        with contextlib.suppress(InvalidAnnotation):
            if self.format.has_categories and read_iscrowd(value, "", []):
                return
            category_id = 1
            if self.format.has_categories:
                category_id = read_category_id(value, "", [])
            numbers = self._category_numbers
            self._category_of_item[-1] = numbers.setdefault(category_id, len(numbers))

    # ---------------------------------------------------------------- the whole

    def category_ids(self, image_of_item: np.ndarray) -> dict[int, int]:
        """Category id -> the first item of it that can be used, in their order."""
        items = np.flatnonzero((image_of_item >= 0) & (np.asarray(self._category_of_item) >= 0))
        numbers, first = np.unique(np.asarray(self._category_of_item)[items], return_index=True)
        ids = list(self._category_numbers)
        found = sorted(zip(items[first].tolist(), numbers.tolist(), strict=True))
        return {ids[number]: item for item, number in found}

    def images_of_entries(self, file: BinaryIO, image_root: Path) -> list[ImageInfo | None]:
        """The images of items that stand without a list of images."""
        places = self.item_places
        images: list[ImageInfo | None] = []
        alternative = self.path.stem if len(places) == 1 else ""
        for number, place in enumerate(places):
            image = None
            if number not in self._bad_items and number not in self._further_entries:
                try:
                    entry = read_item(file, *map(int, place), self.encoding)
                    image = self.format.entry_image(entry, str(image_root), alternative)
                except InvalidAnnotation as error:
                    self._bad_items[number] = str(error)
                else:
                    self._claim(image.id, number)
            images.append(image)
        return images

    def match(self, file: BinaryIO) -> np.ndarray:
        """(A,) int32, the image of each item; -1 for those that cannot be used."""
        computed = self.format.recomputed_keys
        for number, keys in self._not_finite.items():
            kept = ", ".join(repr(key) for key in keys if key not in computed)
            if kept:
                self._bad_items.setdefault(number, f"{kept} {_NOT_FINITE}")
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
        if self._unsized:
            self._find_sizes(file, images)
        if self._bad_rows:
            for item in np.flatnonzero(np.isin(images, list(self._bad_rows))).tolist():
                self._bad_items.setdefault(item, "its image cannot be used")
        images[list(self._bad_items)] = KEPT
        images[self._further_entries] = DROPPED
        return images

    def _find_sizes(self, file: BinaryIO, images: np.ndarray) -> None:
        """Sizes that images lack, from the masks of their items."""
        for item in np.flatnonzero(np.isin(images, list(self._unsized))).tolist():
            row = int(images[item])
            if row not in self.sizes:
                size = size_told_by(self._item(file, item))
                if size is not None:
                    self.sizes[row] = size
        for row, place in self._unsized.items():
            if row in self._bad_rows:
                continue
            if row in self.sizes:
                self._assumed.append((SIZE_OF_MASKS, place))
            else:
                self._bad_rows[row] = f"{place}: it has no key 'height'"

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
        for sentence, place in self._assumed:
            tally.assumed.note([sentence], place)
        for item, keys in self._not_finite.items():
            if self._number_of_item[item] < 0:
                continue
            place = self._place(file, item)
            if item in self._bad_items:
                tally.assumed.note([NULL], place)
                continue
            said = [key for key in keys if key not in _JUDGED and key not in self._mask_keys]
            tally.assumed.note((f"'{key}' {_NOT_FINITE}: computed anew" for key in said), place)
        for item in self._further_entries:
            value = self._item(file, item)
            tally.skip(
                f"image {shown(value['image_id'])}, entry {shown(value.get('id'))}: "
                "a further annotator's entry of an image, left out"
            )
        return tally

    def _locate(self, file: BinaryIO, item: int) -> str:
        """The message of an item, with image and annotation in it."""
        reason = self._bad_items[item]
        if self._number_of_item[item] < 0 or reason.startswith(("image ", "annotation ", "entry ")):
            return reason
        return f"{self._place(file, item)}: {reason}"

    def _place(self, file: BinaryIO, item: int) -> str:
        """Image and annotation of an item that has an image id."""
        row = self._row_of_number[self._number_of_item[item]]
        value = self._item(file, item)
        annotation_id = value.get("id")
        if row < 0 or row in self._bad_rows or not len(self._images):
            return f"image {shown(value['image_id'])}, annotation {shown(annotation_id)}"
        raw_image = read_item(file, *map(int, self.image_places[row]), self.encoding)
        if has_no_size(raw_image):
            raw_image = with_size(raw_image, self.sizes.get(row, (1, 1)))
        return locate(self.format.images_of(raw_image), annotation_id)

    def _item(self, file: BinaryIO, item: int) -> Any:
        return read_item(file, *map(int, self.item_places[item]), self.encoding)
