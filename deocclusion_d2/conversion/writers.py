"""What a conversion writes: one class per output format, found like annotation formats.

Shards hold converted annotations as JSON, whatever is written in the end; a writer puts finished
shards together. To add one, derive a class from ``Writer`` that has the decorator
``register_writer``, or name it as an entry point of the group ``deocclusion_d2.writers``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from ..json_files import dump_json
from ..registry import Registry

# Writers of other packages are entry points of this group, each the name of a class.
ENTRY_POINTS = "deocclusion_d2.writers"


class ConvertedDocument(Protocol):
    """A converted file, part by part. Nothing of it is held in memory.

    Every method may be called any number of times, and starts anew.

    Attributes:
        info: the input's ``info``, and what is said about the conversion under ``deocclusion``.
        top: the input's further values beside ``images`` and ``annotations``.
        categories: COCO categories.
    """

    info: dict[str, Any]
    top: dict[str, Any]
    categories: list[dict[str, Any]]

    def images(self) -> Iterator[dict[str, Any]]:
        """The image records, in the order of the input."""

    def annotations(self) -> Iterator[dict[str, Any]]:
        """The annotations as COCO ones, in the order of the input, not image by image.

        ``annotations.py`` says which keys they have; those that could not be used, and crowd
        regions, are as the input has them.
        """

    def lines(self) -> Iterator[str]:
        """The JSON of ``annotations`` without line breaks, ", " between those of one item."""


class Writer(ABC):
    """Writes a converted file in one format.

    Attributes:
        name: key in ``WRITERS``.
    """

    name: str

    @abstractmethod
    def write(self, document: ConvertedDocument, path: Path) -> None:
        """Write all of a document.

        Args:
            document: what to write.
            path: an empty file; it takes the output's place when this returns.

        Raises:
            OSError: the file cannot be written.
        """


WRITERS: Registry[Writer] = Registry("output format", Writer, ENTRY_POINTS)
register_writer = WRITERS.register


@register_writer
class CocoWriter(Writer):
    """COCO JSON, one line per image and per item of the input's annotation list."""

    name = "coco"

    def write(self, document: ConvertedDocument, path: Path) -> None:
        with path.open("w", encoding="ascii", newline="\n") as file:
            file.write('{"info": ' + dump_json(document.info))
            for key, value in [*document.top.items(), ("categories", document.categories)]:
                file.write(f",\n{dump_json(key)}: {dump_json(value)}")
            for key, lines in (
                ("images", map(dump_json, document.images())),
                ("annotations", document.lines()),
            ):
                file.write(f',\n"{key}": [')
                separator = "\n"
                for line in lines:
                    file.write(separator + line)
                    separator = ",\n"
                file.write("\n]" if separator != "\n" else "]")
            file.write("}\n")
