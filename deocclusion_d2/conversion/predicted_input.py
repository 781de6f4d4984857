"""COCO results as an input: they become a modal COCO JSON, which is then converted as any other.

A results JSON has masks and scores, but no images; those come from the JSON that the detector was
run on. A first pass checks every entry and remembers where those with a sufficient score lie, in
about 30 bytes each, and the ids that they have. A second one takes them image by image, gives
pixels on which masks overlap to the one of the higher score, and writes. What is written depends on
the two files and the settings alone, so an interrupted conversion finds the same annotations again.

Shape shorthand: E: entries of sufficient score, I: images.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from ..data.datasets.formats import (
    InvalidAnnotation,
    default_format,
    read_id,
    shown,
    to_rle,
)
from ..data.datasets.predictions import parse_prediction, prediction_mask
from ..errors import UserError
from ..files import whole_text_file
from ..json_files import JsonStream, dump_json, read_item
from ..structures import OverlapSummary, resolve_rle_overlaps
from .tally import Tally

# Keys by which an entry may name itself, the first that it has.
_ID_KEYS = ("id", "annotation_id")


@dataclass(frozen=True)
class ImageTable:
    """The images and categories of the JSON that a detector was run on.

    Attributes:
        path: the file.
        sha256: of the file.
        top: its values beside ``images`` and ``annotations``.
        categories: COCO categories.
        row_of_id: row of each image by its id.
        sizes: (I, 2) int64, height and width in pixels.
        places: (I, 2) int64, offset and length in bytes of each image.
        encoding: of the file.
    """

    path: Path
    sha256: str
    top: dict[str, Any]
    categories: list[dict]
    row_of_id: dict[int | str, int]
    sizes: np.ndarray
    places: np.ndarray
    encoding: str = "utf-8"

    @classmethod
    def read(cls, path: Path) -> ImageTable:
        """Read a COCO-like JSON; its annotations, if it has any, are passed over.

        Raises:
            UserError: naming the file and image.
        """
        stream = JsonStream(path, ("images", "annotations"))
        coco = default_format()
        row_of_id: dict[int | str, int] = {}
        sizes, places = array("q"), array("q")
        try:
            for item in stream.items():
                if item.key != "images":
                    continue
                image = coco.images_of(item.value)
                if image.id in row_of_id:
                    raise InvalidAnnotation(f"image {shown(image.id)}: this image id occurs twice")
                row_of_id[image.id] = len(row_of_id)
                sizes.extend((image.height, image.width))
                places.extend((item.offset, item.length))
            if "images" not in stream.found_lists:
                raise InvalidAnnotation("there is no list 'images': is this a COCO-like JSON?")
            categories = coco.categories(stream.top)
        except InvalidAnnotation as error:
            raise UserError(f"{path}: {error}") from None
        return cls(
            path,
            stream.sha256,
            stream.top,
            categories,
            row_of_id,
            np.asarray(sizes, np.int64).reshape(-1, 2),
            np.asarray(places, np.int64).reshape(-1, 2),
            stream.encoding,
        )

    def file_names(self) -> Iterator[str]:
        """The file names of all images."""
        with self.path.open("rb") as file:
            for place in self.places:
                record = read_item(file, *map(int, place), self.encoding)
                yield default_format().images_of(record).file_name


@dataclass(frozen=True)
class PredictedInput:
    """A results JSON that has been checked, and is known by the places of its entries.

    Attributes:
        path, sha256, size: of the file.
        images: the images and categories it was predicted for.
        entries: number of all its entries.
        id_key: the key by which entries name themselves; None to number them from 1.
        places: (E, 2) int64, offset and length in bytes of each entry that is used.
        numbers: (E,) int64, their places in the list, from 1.
        image_rows: (E,) int64.
        category_ids: category id of the entries that are used -> number of the first that has it.
        tally: what is left out.
        encoding: of the file.
    """

    path: Path
    sha256: str
    size: int
    images: ImageTable
    entries: int
    id_key: str | None
    places: np.ndarray
    numbers: np.ndarray
    image_rows: np.ndarray
    category_ids: dict[int, int]
    tally: Tally
    encoding: str = "utf-8"

    @classmethod
    def read(
        cls, path: Path, images_from: Path, min_score: float, skip_invalid: bool
    ) -> PredictedInput:
        """Read and check both files.

        Args:
            path: the results JSON.
            images_from: the COCO-like JSON whose images the detector was run on.
            min_score: entries below it are counted and left out.
            skip_invalid: count and leave out entries that cannot be used instead of raising.

        Raises:
            UserError: one line naming the file and the entry.
        """
        images = ImageTable.read(images_from)
        reader = _EntryReader(images, min_score)
        stream = JsonStream(path, ("images", "annotations"))
        for item in stream.items():
            if item.key:
                break
            try:
                reader.add(item.value, item.not_finite, item.offset, item.length)
            except InvalidAnnotation as error:
                if not skip_invalid:
                    raise UserError(f"{path}: {error}") from None
                reader.tally.skip(f"{error}, left out")
        if not stream.is_list:
            raise UserError(
                f"{path}: not a list of predictions: only COCO results need --images-from"
            )
        return cls(
            path,
            stream.sha256,
            stream.size,
            images,
            reader.count,
            reader.id_key or None,
            np.asarray(reader.places, np.int64).reshape(-1, 2),
            np.asarray(reader.numbers, np.int64),
            np.asarray(reader.image_rows, np.int64),
            reader.category_ids,
            reader.tally,
            stream.encoding,
        )

    def place_of_category(self, category_id: int) -> str:
        """How messages name the first entry of a category of ``category_ids``."""
        return f"{self.path}: entry {self.category_ids[category_id]}"

    # ---------------------------------------------------------------- as modal COCO JSON

    def write(self, output: Path, show_bar: bool = True) -> Tally:
        """Write the entries that are used as modal COCO JSON, those of an image together.

        Images and categories are those of ``images.path``. An annotation is the entry, with ``id``
        (its own, or its number in the list), ``iscrowd`` 0, and ``segmentation`` without the pixels
        that an entry of a higher score holds. The file appears complete, or not at all.

        Returns:
            The overlaps there were.
        """
        resolved = Tally()
        top = {
            k: v
            for k, v in self.images.top.items()
            if k not in ("categories", "images", "annotations")
        }
        with (
            self.path.open("rb") as results,
            self.images.path.open("rb") as images,
            whole_text_file(output) as file,
        ):
            file.write('{"categories": ' + dump_json(self.images.categories))
            for key, value in top.items():
                file.write(f",\n{dump_json(key)}: {dump_json(value)}")
            for key, values in (
                (
                    "images",
                    (
                        read_item(images, *map(int, p), self.images.encoding)
                        for p in self.images.places
                    ),
                ),
                ("annotations", self._annotations(results, resolved, show_bar)),
            ):
                file.write(f',\n"{key}": [')
                separator = "\n"
                for value in values:
                    file.write(separator + dump_json(value))
                    separator = ",\n"
                file.write("]")
            file.write("}\n")
        return resolved

    def _annotations(self, results: BinaryIO, resolved: Tally, show_bar: bool) -> Iterator[dict]:
        order = np.argsort(self.image_rows, kind="stable")
        starts = np.flatnonzero(np.diff(self.image_rows[order])) + 1
        about = {"desc": "resolving overlaps", "unit": "inst", "disable": not show_bar}
        with tqdm(total=len(order), **about) as bar:
            for group in np.split(order, starts) if len(order) else ():
                annotations, found = self._annotations_of_image(results, group)
                resolved.add_overlaps(found)
                yield from annotations
                bar.update(len(group))

    def _annotations_of_image(
        self, results: BinaryIO, rows: np.ndarray
    ) -> tuple[list[dict], OverlapSummary]:
        raws, masks = [], []
        height, width = map(int, self.images.sizes[self.image_rows[rows[0]]])
        for row in rows:
            raw = read_item(results, *map(int, self.places[row]), self.encoding)
            number = int(self.numbers[row])
            masks.append(to_rle(raw["segmentation"], height, width))
            raws.append(
                {
                    **raw,
                    **{key: read_id(raw[key], "") for key in ("image_id", "category_id")},
                    "id": read_id(raw[self.id_key], "") if self.id_key else number,
                    "iscrowd": 0,
                }
            )
        resolved, found = resolve_rle_overlaps(masks, [raw["score"] for raw in raws])
        annotations = [
            {**raw, "segmentation": mask} for raw, mask in zip(raws, resolved, strict=True)
        ]
        return annotations, found


class _EntryReader:
    """Checks entries as they come by, and collects the places of those that are used."""

    def __init__(self, images: ImageTable, min_score: float) -> None:
        self.count = 0
        self.id_key: str | None = None  # "" once an entry without any was met
        self.places, self.numbers, self.image_rows = array("q"), array("q"), array("q")
        self.category_ids: dict[int, int] = {}
        self.tally = Tally()
        self._images = images
        self._min_score = min_score
        self._category_ids = {category["id"] for category in images.categories}
        self._seen: set[int | str] = set()

    def add(self, raw: Any, not_finite: bool, offset: int, length: int) -> None:
        """Take an entry; raises InvalidAnnotation, naming it, when it cannot be used."""
        self.count += 1
        prediction = parse_prediction(raw, self.count, self._images.row_of_id, self._category_ids)
        where = f"entry {self.count}"
        if not_finite:
            raise InvalidAnnotation(f"{where}: it holds NaN or Infinity")
        if self.id_key is None:
            self.id_key = next((key for key in _ID_KEYS if key in raw), "")
        if self.id_key and self.id_key not in raw:
            raise InvalidAnnotation(f"{where}: it has no key '{self.id_key}', which others have")
        if prediction.score < self._min_score:
            self.tally.low_scores += 1
            return
        row = self._images.row_of_id[prediction.image_id]
        assumed: list[str] = []
        prediction_mask(prediction, *map(int, self._images.sizes[row]), assumed)
        self.tally.assumed.note(assumed, where)
        if self.id_key:
            own_id = read_id(raw[self.id_key], where)
            if own_id in self._seen:
                raise InvalidAnnotation(f"{where}: {self.id_key} {shown(own_id)} occurs twice")
            self._seen.add(own_id)
        self.category_ids.setdefault(prediction.category_id, self.count)
        self.places.extend((offset, length))
        self.numbers.append(self.count)
        self.image_rows.append(row)
