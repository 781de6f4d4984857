"""Finished shards -> one file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..data.datasets.formats import InvalidAnnotation
from ..files import whole_file
from ..json_files import dump_json
from .document_index import DROPPED, KEPT, DocumentIndex
from .shards import ShardFolder, ShardPlan
from .writers import Writer


def merge(
    index: DocumentIndex,
    plan: ShardPlan,
    folder: ShardFolder,
    info: dict[str, Any],
    output: Path,
    writer: Writer,
) -> None:
    """Write the output. It appears complete, or not at all.

    Nothing in the file depends on the time, the machine or the number of processes.

    Args:
        info: what is said about the conversion under ``info.deocclusion``.
        writer: of the output's format.
    """
    with whole_file(output, folder.path) as unfinished:
        writer.write(MergedShards(index, plan, folder, info), unfinished)


def image_records(index: DocumentIndex) -> Iterator[tuple[int, dict[str, Any]]]:
    """The images of an input as they are written.

    Yields:
        (number, record): the image's number in the index, and what is written of it.
    """
    entries = {}
    if index.format.one_item_per_image:
        entries = {int(image): item for item, image in enumerate(index.image_of_item)}
    with index.path.open("rb") as file:
        for image in range(index.num_images):
            if index.entry_images is None:
                record = index.read_image(file, image)
                with contextlib.suppress(InvalidAnnotation):
                    record = {**record, "id": index.format.images_of(record).id}
            elif index.entry_images[image] is None:
                continue
            else:
                info = index.entry_images[image]
                keys = ("id", "height", "width", "file_name")
                record = {key: getattr(info, key) for key in keys}
            if image in entries:
                entry = index.read_annotation(file, entries[image])
                record.update(index.format.about_image(entry))
            yield image, record


class MergedShards:
    """The converted file that the shards of a conversion make up; see ``ConvertedDocument``."""

    def __init__(
        self, index: DocumentIndex, plan: ShardPlan, folder: ShardFolder, info: dict[str, Any]
    ) -> None:
        own_info = index.top.get("info", {})
        if not isinstance(own_info, dict):
            own_info = {"input_info": own_info}
        self.info = {**own_info, "deocclusion": info}
        self.top = {k: v for k, v in index.top.items() if k not in ("info", "categories")}
        self.categories = index.categories
        self._index = index
        self._plan = plan
        self._folder = folder

    def images(self) -> Iterator[dict[str, Any]]:
        """The input's image records, with what its items say about an image as a whole."""
        return (record for _, record in image_records(self._index))

    def annotations(self) -> Iterator[dict[str, Any]]:
        for line in self.lines():
            yield from json.loads(f"[{line}]")

    def lines(self) -> Iterator[str]:
        index = self._index
        shards = self._plan.shard_of_items()
        with index.path.open("rb") as file:
            for item, line in enumerate(self._folder.lines(shards)):
                if line:
                    yield line
                elif line is None and index.image_of_item[item] == KEPT:
                    yield dump_json(index.read_annotation(file, item))
                else:
                    assert line == "" or index.image_of_item[item] == DROPPED
