"""Converted rows put together: their counts, and one COCO JSON where that is wanted.

Shape shorthand: A: items of all documents, in the order of their arrival.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .rows import ConvertedRow
from .tally import Tally


class Totals:
    """What the rows of a conversion say together, in whatever way they are written.

    Attributes:
        tally: sum over all rows; each row is counted once, however often it was tried.
        documents: how many the rows are of.
        formats: names of their annotation formats.
        about: of the only document; None where there are several.
    """

    def __init__(self) -> None:
        self.tally = Tally()
        self.documents = 0
        self.formats: set[str] = set()
        self.about: dict[str, Any] | None = None
        self._doubt, self._doubtful = "", 0
        self._rows = self._promised = 0

    def add(self, file: str, about: dict[str, Any] | None, tally: Tally) -> None:
        """Count a row; those of a document in their order, the one that is about it first."""
        if about is not None:
            self.documents += 1
            self.formats.add(about["format"])
            self.about = about if self.documents == 1 else None
            self._promised += about["rows"]
            self.tally.add(Tally.from_dict(about["tally"]))
            if about["doubt"]:
                self._doubt = self._doubt or f"{file}: {about['doubt']}"
                self._doubtful += 1
        self.tally.add(tally)
        self._rows += 1

    def check(self, name: str) -> None:
        """Find what is missing once all rows should be there.

        Args:
            name: of the input.

        Raises:
            UserError: there are no rows, or not as many as the documents have.
        """
        if not self.documents:
            raise UserError(f"{name}: there is no row in it")
        if self._rows != self._promised:
            raise UserError(
                f"{name}: of {self._promised:,} rows {self._rows:,} have come back: do all "
                "machines see the folder of the output?"
            )

    @property
    def doubts(self) -> list[str]:
        """What speaks against the format that the user has named, in a line: rows are millions."""
        if self._doubtful < 2:
            return [self._doubt] * self._doubtful
        return [f"{self._doubt}; and so on in {self._doubtful - 1:,} more rows or files"]

    def describe(self, name: str, segmentation: str) -> dict[str, Any]:
        """What ``info.deocclusion`` says about the input.

        Args:
            name: of the input.
            segmentation: how masks are written.
        """
        about: dict[str, Any] = {"input": name}
        if self.about is not None and self.about["sha256"]:
            about["input_sha256"] = self.about["sha256"]
        else:
            about["documents"] = self.documents
        if segmentation != "rle":
            about["segmentation"] = segmentation
        names = sorted(self.formats)
        return {**about, "format": names[0] if len(names) == 1 else names}


class GatheredRows:
    """The rows of a conversion as one document; see ``writers.ConvertedDocument``.

    Records and annotations wait in two files, in the order of their arrival; in memory are 16 bytes
    per item, and the ids where they could meet those of another document.

    Args:
        folder: empty, for those files.
        can_be_several: whether rows of more than one document may come.
    """

    def __init__(self, folder: Path, can_be_several: bool) -> None:
        self.info: dict[str, Any] = {}
        self.top: dict[str, Any] = {}
        self.dropped_keys: set[str] = set()
        self._info: dict[str, Any] = {}
        self._categories: dict[int, tuple[dict[str, Any], str]] = {}
        self._image_file = (folder / "images").open("w+", encoding="ascii", newline="\n")
        self._line_file = (folder / "lines").open("w+b")
        self._places, self._order = array("q"), array("q")
        self._base = self._next = 0
        self._can_be_several = can_be_several
        self._file_of_image: dict[Any, str] = {}
        self._ids: set[Any] = set()

    def close(self) -> None:
        """Close the files."""
        self._image_file.close()
        self._line_file.close()

    def add(self, row: ConvertedRow) -> None:
        """Take the next row.

        Raises:
            UserError: its ids or categories cannot stand beside those of another document.
        """
        if row.about is not None:
            self._base = self._next
            self._add_document(row.file, row.about)
        if self._can_be_several:
            self._check_ids(row)
        if row.record is not None:
            self._image_file.write(json.dumps(row.record) + "\n")
        for item, line in zip(row.items, row.lines, strict=True):
            self._next = max(self._next, self._base + item + 1)
            if line:
                self._order.append(self._base + item)
                self._places.append(self._line_file.tell())
                self._line_file.write(line.encode("ascii") + b"\n")

    def _add_document(self, file: str, about: dict[str, Any]) -> None:
        for category in about["categories"]:
            first, of_file = self._categories.setdefault(category["id"], (category, file))
            if first["name"] != category["name"]:
                raise UserError(
                    f"{file}: category {category['id']} is {category['name']!r}, but "
                    f"{first['name']!r} in {of_file}: number them alike, or write a folder of "
                    "Parquet files"
                )
        info = about["info"] if isinstance(about["info"], dict) else {"input_info": about["info"]}
        for known, values in ((self.top, about["top"]), (self._info, info)):
            for key, value in values.items():
                if known.setdefault(key, value) != value:
                    self.dropped_keys.add(key)

    def _check_ids(self, row: ConvertedRow) -> None:
        """One JSON needs ids that occur once. Those of a single document have been checked."""
        if row.image is None:
            return
        image_id = row.image["id"]
        other = self._file_of_image.get(image_id)
        if other is not None:
            raise UserError(_twice(row.file, f"image id {image_id!r}", f" (first in {other})"))
        self._file_of_image[image_id] = row.file
        for annotation_id in row.ids:
            if annotation_id in self._ids:
                raise UserError(_twice(row.file, f"annotation id {annotation_id!r}"))
            self._ids.add(annotation_id)

    @property
    def categories(self) -> list[dict[str, Any]]:
        """COCO categories of all documents, sorted by id."""
        return [self._categories[number][0] for number in sorted(self._categories)]

    def describe(self, info: dict[str, Any]) -> None:
        """Say what the output says about the conversion, once all rows are there."""
        kept = {key: value for key, value in self._info.items() if key not in self.dropped_keys}
        self.info = {**kept, "deocclusion": info}
        self.top = {k: v for k, v in self.top.items() if k not in self.dropped_keys}

    def images(self) -> Iterator[dict[str, Any]]:
        """The image records, in the order of the input."""
        self._image_file.seek(0)
        yield from map(json.loads, self._image_file)

    def annotations(self) -> Iterator[dict[str, Any]]:
        """The annotations, in the order of the input."""
        for line in self.lines():
            yield from json.loads(f"[{line}]")

    def lines(self) -> Iterator[str]:
        """Their JSON, ", " between those of one item."""
        places = np.asarray(self._places, np.int64)
        places = places[np.argsort(np.asarray(self._order, np.int64), kind="stable")]
        # Annotations mostly lie image by image: then this is the file from front to back.
        for place in places.tolist():
            if self._line_file.tell() != place:
                self._line_file.seek(place)
            yield self._line_file.readline()[:-1].decode("ascii")


def _twice(file: str, what: str, first: str = "") -> str:
    return (
        f"{file}: {what} occurs twice in the input{first}: number all files together, or write a "
        "folder of Parquet files, whose rows name their file"
    )
