"""Images with their annotations as rows that stand for themselves, for data beyond one file.

A row knows all that converting its image takes, so that any process can do it, in any order, and
again. Rows come from the documents that the other readers know (``rows_of``), or from rows of the
user's (``document_of_row``), which are read as documents of one image: formats and checks are the
same. Nothing here knows who runs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets.formats import (
    ImageInfo,
    InvalidAnnotation,
    get_format,
    is_lone_item,
    locate,
    read_category_id,
)
from ..data.datasets.image_files import ImageFinder
from ..deoccluder import Deoccluder
from ..errors import UserError
from ..inference.steps import require_known_ids
from ..json_files import JsonStream, NamedDocument, dump_json
from .annotations import ImageReader, SourceImage, convert_image, read_pixels
from .document_index import KEPT, DocumentIndex
from .merge import image_records
from .tally import Tally

# Keys of a user's row that are not the image's.
_OF_ROW = ("annotations", "categories")
# Those that a row without an image has in our own Parquet files.
_WITHOUT_IMAGE = {"file", "annotations", "categories", "tally", "about"}


@dataclass
class ImageRow:
    """An image and its annotations, as they were found.

    Attributes:
        file: the input that it is of, for messages.
        about: of the first row of a document, what it says as a whole, JSON-able; else None:
            ``rows`` it makes, ``format``, ``info``, ``top``, ``categories``, ``sha256`` (None where
            it is not a whole file), ``doubt``, and ``tally``, what was met in finding the rows.
        image: fields of its ``ImageInfo``; None where it cannot be used, or there is none.
        record: the image record that is written; None in a row of annotations without an image.
        items: numbers of its items in the document.
        annotations: the JSON of each item; as it is written, where there is no image.
        format: name of its annotation format.
        categories: COCO categories that its annotations name.
        gives_categories: whether the document gives any; else they are assumed.
        photo: the image's file and what was assumed to find it; None where it is not looked for.
    """

    file: str
    about: dict[str, Any] | None
    image: dict[str, Any] | None
    record: dict[str, Any] | None
    items: list[int]
    annotations: list[str]
    format: str
    categories: list[dict[str, Any]]
    gives_categories: bool
    photo: tuple[str, list[str]] | None = None


@dataclass
class ConvertedRow:
    """What has become of a row.

    Attributes:
        file, about, image, record, items, categories: see ``ImageRow``.
        lines: for each item the JSON of its annotations, ", " between them.
        ids: ids of all annotations.
        tally: what was met in converting it.
    """

    file: str
    about: dict[str, Any] | None
    image: dict[str, Any] | None
    record: dict[str, Any] | None
    items: list[int]
    lines: list[str]
    ids: list[int | str]
    categories: list[dict[str, Any]]
    tally: Tally = field(default_factory=Tally)


# -------------------------------------------------------------------- documents -> rows


def rows_of(
    index: DocumentIndex,
    image_root: Path | None = None,
    knows_all_names: bool = True,
    only: Container[int] | None = None,
) -> Iterator[ImageRow]:
    """The rows of a document, in the order of its images, one in memory at a time.

    Annotations that are kept as they are, as their image is missing, make a last one.

    Args:
        index: of the document.
        image_root: folder of the images; None when the method looks at masks alone.
        knows_all_names: whether the document has all images of the data set: only then a file may
            be found by the last part of its name alone.
        only: numbers of the images that are wanted; None for all, and what has no image.
    """
    finder = None
    if image_root is not None:
        finder = ImageFinder(str(image_root), index.file_names if knows_all_names else tuple)
    order = np.argsort(index.image_of_item, kind="stable")
    starts = np.searchsorted(index.image_of_item[order], np.arange(index.num_images + 1))
    kept = np.flatnonzero(index.image_of_item == KEPT).tolist()
    about: dict[str, Any] | None = {
        "rows": max(1, _count_images(index) + bool(kept)),
        "format": index.format.name,
        "info": index.top.get("info", {}),
        "top": {k: v for k, v in index.top.items() if k not in ("info", "categories")},
        "categories": index.categories,
        "sha256": index.sha256,
        "doubt": index.doubt,
        "tally": index.skipped.counted(),
    }
    categories = {category["id"]: category for category in index.categories}
    new = partial(ImageRow, str(index.path), format=index.format.name)
    with index.path.open("rb") as file:
        for number, record in image_records(index):
            if only is not None and number not in only:
                continue
            items = order[starts[number] : starts[number + 1]].tolist()
            info = None
            with contextlib.suppress(InvalidAnnotation):
                info = index.image_info(file, number)
            texts = [index.annotation_text(file, item) for item in items]
            yield new(
                about=about,
                image=None if info is None else dataclasses.asdict(info),
                record=record,
                items=items,
                annotations=texts,
                categories=_named(map(json.loads, texts), categories),
                gives_categories=not index.has_no_categories,
                photo=_photo(finder, info) if items else None,
            )
            about = None
        if only is None and (kept or about is not None):
            texts = [dump_json(index.read_annotation(file, item)) for item in kept]
            yield new(
                about=about,
                image=None,
                record=None,
                items=kept,
                annotations=texts,
                categories=[],
                gives_categories=not index.has_no_categories,
            )


def _count_images(index: DocumentIndex) -> int:
    if index.entry_images is None:
        return index.num_images
    return sum(image is not None for image in index.entry_images)


def _photo(finder: ImageFinder | None, info: ImageInfo | None) -> tuple[str, list[str]] | None:
    if finder is None or info is None:
        return None
    path, assumed = finder.find(info.file_name)
    return path, list(assumed)


def _named(items: Iterable[Any], categories: Mapping[int, dict]) -> list[dict]:
    """The categories that items name; the one of items that name none, too."""
    named: dict[int, dict] = {}
    for item in items:
        with contextlib.suppress(InvalidAnnotation):
            category_id = read_category_id(item, "", [])
            if category_id in categories:
                named[category_id] = categories[category_id]
    return [named[category_id] for category_id in sorted(named)]


def images_with_annotations(index: DocumentIndex) -> list[int]:
    """Numbers of the images of a document that have annotations, in their order."""
    found = np.unique(index.image_of_item)
    return found[found >= 0].tolist()


# -------------------------------------------------------------------- a user's rows -> documents


def document_of_row(row: Mapping[str, Any], name: str) -> NamedDocument:
    """A user's row as a document of one image.

    A row has an image's keys (``id`` or ``image_id``, ``height``, ``width``, ``file_name``, any
    others), or an object ``image`` with them; ``annotations``, and maybe ``categories``. Lists and
    objects may be JSON in a text. Annotations need not name the image. A single entry of a format
    with one entry per image (COCOA) is a row as it is.

    Args:
        row: the keys and values.
        name: of the document, for messages.

    Raises:
        UserError: naming what is missing.
    """
    if not isinstance(row, Mapping):
        raise UserError(f"{name}: a row is a {type(row).__name__}, not an object")
    if is_lone_item(row):
        return NamedDocument(name, json.dumps(row).encode())
    annotations = _decoded(row, "annotations", list, name)
    if annotations is None:
        raise UserError(
            f"{name}: a row has no 'annotations': give an image's keys, and a list 'annotations'"
        )
    image = _decoded(row, "image", dict, name)
    if image is None and {"file", "tally"} <= row.keys() <= _WITHOUT_IMAGE:
        document = {"images": [], "annotations": annotations}
    else:
        if image is None:
            image = {key: value for key, value in row.items() if key not in _OF_ROW}
        if "id" not in image and "image_id" in image:
            image = {**image, "id": image["image_id"]}
        of_image = [_of_image(annotation, image.get("id")) for annotation in annotations]
        document = {"images": [image], "annotations": of_image}
    categories = _decoded(row, "categories", list, name)
    if categories is not None:
        document["categories"] = categories
    try:
        return NamedDocument(name, json.dumps(document).encode())
    except RecursionError:
        raise UserError(f"{name}: a row is nested too deeply") from None


def _decoded(row: Mapping[str, Any], key: str, kind: type, name: str) -> Any:
    value = row.get(key)
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    if value is not None and not isinstance(value, kind):
        what = "a list" if kind is list else "an object"
        raise UserError(f"{name}: a row's '{key}' is not {what}")
    return value


def _of_image(annotation: Any, image_id: Any) -> Any:
    if not isinstance(annotation, dict) or "image_id" in annotation:
        return annotation
    return {**annotation, "image_id": image_id}


def is_row(document: NamedDocument) -> bool:
    """Whether a document is one user's row: an object ``image``, and ``annotations`` (SA-1B).

    Reads no further than it takes to tell.
    """
    stream = JsonStream(document, ("images", "annotations"))
    for item in stream.items():
        if item.key != "annotations" or "image" in stream.top:
            break
        if isinstance(item.value, dict) and "image_id" in item.value:
            break  # else the image may come behind them
    return isinstance(stream.top.get("image"), dict) and "images" not in stream.found_lists


# -------------------------------------------------------------------- rows -> scenes -> rows


def read_row(row: ImageRow, skip_invalid: bool, tally: Tally) -> SourceImage:
    """Read and check the annotations of a row that has an image.

    Raises:
        UserError: naming file, image and annotation.
    """
    photo = row.photo
    reader = ImageReader(
        row.file,
        get_format(row.format),
        {category["id"] for category in row.categories},
        not row.gives_categories,
        skip_invalid,
        None if photo is None else lambda info, tally: read_pixels(row.file, photo, info, tally),
    )
    image = ImageInfo(**row.image)
    return reader.read(image, zip(row.items, map(json.loads, row.annotations), strict=True), tally)


def convert_rows(
    rows: Sequence[ImageRow],
    deoccluder: Deoccluder,
    skip_invalid: bool = False,
    as_polygons: bool = False,
) -> Iterator[ConvertedRow]:
    """De-occlude rows; all of them share the network's batches.

    Raises:
        UserError: naming file, image and annotation.
    """
    sources = [_source(row, deoccluder, skip_invalid) for row in rows]
    scenes = [found[0].scene for found in sources if found is not None]
    results = iter(deoccluder(scenes))
    for row, found in zip(rows, sources, strict=True):
        same = (row.file, row.about, row.image, row.record)
        if found is None:
            # Where there is no image, items go out as they are; they were read when found.
            kept = [json.loads(text) for text in row.annotations if row.record is None]
            ids = [raw.get("id") if isinstance(raw, dict) else None for raw in kept]
            yield ConvertedRow(*same, row.items, row.annotations, ids, row.categories)
            continue
        image, tally = found
        converted = dict(
            convert_image(image, next(results), get_format(row.format), as_polygons, tally)
        )
        ids = [
            image.instances[part].id if isinstance(part, int) else part.get("id")
            for parts in image.parts.values()
            for part in parts
        ]
        yield ConvertedRow(
            *same, list(converted), list(converted.values()), ids, row.categories, tally
        )


def _source(
    row: ImageRow, deoccluder: Deoccluder, skip_invalid: bool
) -> tuple[SourceImage, Tally] | None:
    if row.image is None or not row.items:
        return None
    tally = Tally()
    image = read_row(row, skip_invalid, tally)
    require_known_ids(
        image.scene.category_ids,
        lambda number: f"{row.file}: {locate(image.info, image.instances[number].id)}",
        deoccluder.steps,
    )
    return image, tally


def scenes_reader(rows: Sequence[ImageRow]) -> Callable[[Sequence[int]], list]:
    """Reads the scenes of rows by their numbers, without what cannot be used in them."""
    return lambda numbers: [read_row(rows[n], True, Tally()).scene for n in numbers]
