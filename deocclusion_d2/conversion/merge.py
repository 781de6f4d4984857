"""Finished shards -> one COCO JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files import whole_text_file
from .document_index import DROPPED, KEPT, DocumentIndex
from .shards import ShardFolder, ShardPlan


def merge(
    index: DocumentIndex, plan: ShardPlan, folder: ShardFolder, info: dict[str, Any], output: Path
) -> None:
    """Write the output. It appears complete, or not at all.

    Images and annotations stand in the order of the input, one line per item of the input. Nothing
    in the file depends on the time, the machine or the number of processes.

    Args:
        info: what is said about the conversion under ``info.deocclusion``.
    """
    top = {k: v for k, v in index.top.items() if k not in ("info", "categories")}
    own_info = index.top.get("info", {})
    if not isinstance(own_info, dict):
        own_info = {"input_info": own_info}
    with whole_text_file(output, folder.path) as file:
        file.write('{"info": ' + json.dumps({**own_info, "deocclusion": info}))
        for key, value in [*top.items(), ("categories", index.categories)]:
            file.write(f",\n{json.dumps(key)}: {json.dumps(value)}")
        for key, lines in (
            ("images", _images(index)),
            ("annotations", _items(index, plan, folder)),
        ):
            file.write(f',\n"{key}": [')
            separator = "\n"
            for line in lines:
                if line:
                    file.write(separator + line)
                    separator = ",\n"
            file.write("\n]" if separator != "\n" else "]")
        file.write("}\n")


def _images(index: DocumentIndex) -> Iterator[str]:
    """The input's image records. COCOA's facts about an image as a whole join them."""
    entries = {}
    if index.format.one_item_per_image:
        entries = {int(image): item for item, image in enumerate(index.image_of_item)}
    with index.path.open("rb") as file:
        for image in range(index.num_images):
            if index.entry_images is None:
                record = index.read_image(file, image)
            elif index.entry_images[image] is None:
                continue
            else:
                record = asdict(index.entry_images[image])
            if image in entries:
                entry = index.read_annotation(file, entries[image])
                record["cocoa"] = {k: v for k, v in entry.items() if k != "regions"}
            yield json.dumps(record)


def _items(index: DocumentIndex, plan: ShardPlan, folder: ShardFolder) -> Iterator[str]:
    shards = plan.shard_of_items()
    with index.path.open("rb") as file:
        for item, line in enumerate(folder.lines(shards)):
            if line is not None:
                yield line
            elif index.image_of_item[item] == KEPT:
                yield json.dumps(index.read_annotation(file, item))
            else:
                assert index.image_of_item[item] == DROPPED
