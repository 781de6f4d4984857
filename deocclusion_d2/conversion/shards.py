"""Shards: the unit of work that a killed conversion does not lose.

A shard is a run of consecutive images of the input. Its borders depend on the input and the shard
size alone, so any number of processes may share the work, and another number may finish it. The
converted annotations of a shard appear in one file, complete or not at all.

Shard shorthand: I: images of the input, A: items of its annotation list, S: shards.
"""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import UserError
from ..files import whole_text_file
from ..inference.calibration import RequestCalibration
from ..unfinished import clean_leftovers

# Far below the usual limit of 1,024 open files of a process.
_OPEN_FILES = 256


@dataclass(frozen=True)
class ShardPlan:
    """Which images make up which shard.

    Attributes:
        image_of_item: (A,) int32, image of each annotation item, -1 for items kept aside.
        shard_of_image: (I,) int32, -1 for images without annotations.
        instances: (S,) int64, instances of each shard.
    """

    image_of_item: np.ndarray
    shard_of_image: np.ndarray
    instances: np.ndarray

    @classmethod
    def make(
        cls, image_of_item: np.ndarray, instances_of_item: np.ndarray, images: int, size: int
    ) -> ShardPlan:
        """Cut the images, in the order of the file, into shards of at most ``size`` instances.

        An image with more instances than that is a shard of its own.

        Args:
            image_of_item: (A,) int.
            instances_of_item: (A,) int, instances that an item holds.
            images: I.
            size: in instances, at least 1.
        """
        known = image_of_item >= 0
        counts = np.zeros(images, np.int64)
        items = np.zeros(images, np.int64)
        np.add.at(counts, image_of_item[known], instances_of_item[known])
        np.add.at(items, image_of_item[known], 1)
        shard_of_image = np.full(images, -1, np.int32)
        instances: list[int] = []
        for image in np.flatnonzero(items).tolist():
            count = int(counts[image])
            if not instances or instances[-1] + count > size:
                instances.append(0)
            instances[-1] += count
            shard_of_image[image] = len(instances) - 1
        return cls(image_of_item, shard_of_image, np.asarray(instances, np.int64))

    def __len__(self) -> int:
        return len(self.instances)

    def shard_of_items(self) -> np.ndarray:
        """(A,) int32, shard of each item, -1 for items kept aside."""
        shards = np.full(len(self.image_of_item), -1, np.int32)
        known = self.image_of_item >= 0
        shards[known] = self.shard_of_image[self.image_of_item[known]]
        return shards

    def items_by_shard(self) -> Iterator[np.ndarray]:
        """For every shard its items' numbers, those of an image together, in the file's order."""
        order = np.argsort(self.image_of_item, kind="stable").astype(np.int64)
        order = order[self.image_of_item[order] >= 0]
        shards = self.shard_of_items()[order]
        starts = np.searchsorted(shards, np.arange(len(self) + 1))
        for start, end in pairwise(starts):
            yield order[start:end]


@dataclass(frozen=True)
class ShardPart:
    """What one worker does at a time.

    Attributes:
        shard: its number.
        items: numbers of its items, those of an image together.
        instances: how many they hold, crowd regions among them.
        is_last: whether the shard is complete with it.
    """

    shard: int
    items: np.ndarray
    instances: int
    is_last: bool


def split_shard(
    number: int,
    items: np.ndarray,
    image_of_item: np.ndarray,
    instances_of_item: np.ndarray,
    size: int,
) -> Iterator[ShardPart]:
    """Cut a shard between its images into parts of even size: a small rest makes small batches.

    Args:
        items: of the shard, those of an image together.
        image_of_item, instances_of_item: (A,) int.
        size: of a part, in instances, about.
    """
    counts = instances_of_item[items]
    total = int(counts.sum())
    share = max(1, total / max(1, round(total / size)))
    images = image_of_item[items]
    ends = np.flatnonzero(np.diff(images, append=-1)) + 1
    start = done = 0
    for end, after in zip(ends.tolist(), np.cumsum(counts)[ends - 1].tolist(), strict=True):
        is_last = end == len(items)
        if is_last or after - done >= share:
            yield ShardPart(number, items[start:end], after - done, is_last)
            start, done = end, after


class ShardFolder:
    """The finished shards of one conversion, in a folder beside its output.

    A shard file holds a header line (a JSON object) and one line per annotation item, in the order
    of the input.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder

    @property
    def _manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def _abort(self) -> Path:
        return self.path / "abort"

    def shard(self, number: int) -> Path:
        return self.path / f"shard-{number:06d}.jsonl"

    def open(
        self,
        fingerprint: dict[str, Any],
        overwrite: bool,
        same: Iterable[dict[str, Any]] = (),
    ) -> None:
        """Make the folder ready; called by one process before any other uses it.

        Args:
            fingerprint: everything that decides the shards' content, JSON-able.
            overwrite: throw away what a conversion with another fingerprint has left.
            same: fingerprints of older versions that stand for the same content.

        Raises:
            UserError: the folder holds finished shards of another conversion.
        """
        fingerprint = json.loads(json.dumps(fingerprint))
        found = self._read_manifest()
        if found in [json.loads(json.dumps(other)) for other in same]:
            found = fingerprint
        if found != fingerprint and self.path.exists():
            if any(self.path.glob("shard-*.jsonl")) and not overwrite:
                raise UserError(
                    f"{self.path} holds shards of another conversion "
                    f"({_differences(found, fingerprint)}): "
                    "pass --overwrite to start anew, or delete that folder"
                )
            self.remove()
        self.path.mkdir(parents=True, exist_ok=True)
        self._abort.unlink(missing_ok=True)
        clean_leftovers(self.path)
        for left in self.path.glob("shard-*.tmp"):  # version 0.1's
            left.unlink()
        if found != fingerprint:
            with whole_text_file(self._manifest) as file:
                json.dump(fingerprint, file, indent=1)

    def _read_manifest(self) -> dict[str, Any] | None:
        try:
            return json.loads(self._manifest.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    @property
    def modal_json(self) -> Path:
        """Where predictions wait as modal COCO JSON."""
        return self.path / "modal.json"

    @property
    def _calibration(self) -> Path:
        return self.path / "calibration.json"

    def calibration(self) -> RequestCalibration | None:
        """What was measured on the input, maybe by an earlier run; None before that."""
        try:
            return RequestCalibration.from_json(
                json.loads(self._calibration.read_text(encoding="utf-8"))
            )
        except FileNotFoundError:
            return None

    def save_calibration(self, calibration: RequestCalibration) -> None:
        with whole_text_file(self._calibration) as file:
            json.dump(calibration.to_json(), file)

    def write(self, number: int, header: dict[str, Any], lines: Iterable[str]) -> None:
        with whole_text_file(self.shard(number)) as file:
            file.write(json.dumps(header) + "\n")
            for line in lines:
                file.write(line + "\n")

    def header(self, number: int) -> dict[str, Any] | None:
        """Header of a finished shard; None when it is not finished."""
        try:
            with self.shard(number).open(encoding="utf-8") as file:
                return json.loads(file.readline())
        except FileNotFoundError:
            return None

    def lines(self, shard_of_items: np.ndarray) -> Iterator[str | None]:
        """Lines of all shards in the order of the input, without holding them in memory.

        Args:
            shard_of_items: (A,) int.

        Yields:
            A lines, without line break; None for items that are in no shard.
        """
        files: OrderedDict[int, BinaryIO] = OrderedDict()
        places: dict[int, int] = {}
        try:
            for number in map(int, shard_of_items):
                if number < 0:
                    yield None
                    continue
                file = files.pop(number, None)
                if file is None:
                    if len(files) >= _OPEN_FILES:
                        oldest, closing = files.popitem(last=False)
                        places[oldest] = closing.tell()
                        closing.close()
                    file = self.shard(number).open("rb")
                    if number in places:
                        file.seek(places[number])
                    else:
                        file.readline()  # the header
                files[number] = file
                line = file.readline()
                if not line.endswith(b"\n"):
                    raise UserError(
                        f"{self.shard(number)} is incomplete: delete it and run the command again"
                    )
                yield line[:-1].decode("ascii")
        finally:
            for file in files.values():
                file.close()

    def ask_to_stop(self) -> None:
        """Tell the other processes that this one has failed."""
        self._abort.touch()

    def asked_to_stop(self) -> bool:
        return self._abort.exists()

    def remove(self) -> None:
        shutil.rmtree(self.path)


def _differences(found: dict[str, Any] | None, wanted: dict[str, Any]) -> str:
    if found is None:
        return "its manifest is missing"
    keys = sorted(k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k))
    return "other " + ", ".join(key.replace("_", " ") for key in keys)
