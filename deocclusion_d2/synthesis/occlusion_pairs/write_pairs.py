"""Writes images of pasted pairs, and one JSON in the format of a conversion (``pseudo_amodal``).

    DIR/images/000000.jpg ...    DIR/instances.json

While they are made, what is known about every finished image lies in ``DIR/.parts/``; an
interrupted run goes on from there. The JSON appears at the very end, complete.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...data.images import read_rgb
from ...errors import UserError
from ...files import hash_of, whole_text_file
from ...workers import map_in_order, worker_count
from ..image_parts import ImageParts, check_image_format, write_image
from .bank import Bank
from .compose import MAX_OBJECTS, Composition, paste
from .draw import PairSettings, PairSource

MAX_IMAGES = 10_000_000
_DESCRIPTION = "Pasted pairs of complete objects with exact amodal masks"
_HEAD = 200  # bytes of a JSON in which its description lies
_RECIPE = 1  # changes when the same seed gives other images


@dataclass(frozen=True)
class PairsConfig:
    """What to make.

    Attributes:
        pairs: how pairs are drawn.
        feather: see ``paste``.
        image_format: ``jpg`` or ``png``; None for masks alone, which need no photos.
        jpeg_quality: 1 to 100.
    """

    pairs: PairSettings = field(default_factory=PairSettings)
    feather: bool = False
    image_format: str | None = "jpg"
    jpeg_quality: int = 95

    def __post_init__(self) -> None:
        if self.image_format is not None:
            check_image_format(self.image_format, self.jpeg_quality)


@dataclass(frozen=True)
class Realised:
    """What was made, for those who wonder.

    Attributes:
        images: how many.
        failed: occluders that found no place before another one did.
        hidden: (images,) hidden share of the occludees.
        occludees, occluders: category id -> number of images.
    """

    images: int
    failed: int
    hidden: np.ndarray
    occludees: Mapping[int, int]
    occluders: Mapping[int, int]


@dataclass(frozen=True)
class _Images:
    """What a worker does: makes an image and writes it, and then what is known about it."""

    output: Path
    bank: Bank
    config: PairsConfig

    def __call__(self, index: int) -> None:
        parts, image = _parts_of(self.output), _image_of(self.output, self.config, index)
        is_drawn = self.config.image_format is not None
        if parts.has(index) and (image.exists() or not is_drawn):
            return
        pair = PairSource(self.bank, self.config.pairs).draw(index)
        composition = Composition.of(self.bank, pair)
        if is_drawn:
            pixels = picture_of(self.bank, composition, self.config.feather)
            write_image(image, pixels[:, :, ::-1], self.config.jpeg_quality)
        parts.write(index, self._known(index, composition, image))

    def enter_worker(self, number: int) -> None:
        """Nothing to prepare."""

    def _known(self, index: int, composition: Composition, image: Path) -> dict[str, Any]:
        host, pair = composition.host, composition.pair
        return {
            "image": {
                "id": index,
                "file_name": image.name,
                "height": host["height"],
                "width": host["width"],
                "source_image": _path_from(image.parent, host["file_name"]),
                "source_image_id": host["image_id"],
                "flipped": pair.flipped,
                "offset": list(pair.corner),
                "pasted_size": [pair.size[1], pair.size[0]],
            },
            "annotations": composition.annotations(self.bank, index),
            "failed": pair.failed,
        }


def picture_of(bank: Bank, composition: Composition, feather: bool = False) -> np.ndarray:
    """The photo with the pasted object: (H, W, 3) uint8 RGB.

    Raises:
        UserError: a photo cannot be read, or has another size than its masks.
    """
    photos = []
    for found in (composition.pair.occludee, composition.pair.occluder):
        record = bank.records[found.record]
        photos.append(read_rgb(record["file_name"], (record["height"], record["width"])))
    source = bank.mask(composition.pair.occluder)
    return paste(*photos, source, composition.pair, composition.occluder, feather)


def json_path(output: Path) -> Path:
    """The JSON of a data set of pairs."""
    return output / "instances.json"


def image_folder(output: Path) -> Path:
    """The folder of its pictures."""
    return output / "images"


def _image_of(output: Path, config: PairsConfig, index: int) -> Path:
    return image_folder(output) / f"{index:06d}.{config.image_format or 'jpg'}"


def _parts_of(output: Path) -> ImageParts:
    return ImageParts(output / ".parts")


def _path_from(folder: Path, file_name: str) -> str:
    """A photo's path from the folder of the pictures; as it is where it is an address."""
    if "://" in file_name:
        return file_name
    return Path(os.path.relpath(os.path.realpath(file_name), os.path.realpath(folder))).as_posix()


def check_request(output: Path, count: int, overwrite: bool) -> None:
    """What ``write_pairs`` refuses whatever the bank holds. Raises UserError."""
    if not 1 <= count <= MAX_IMAGES:
        raise UserError(f"--num-images must be 1 to {MAX_IMAGES}, got {count}")
    target = json_path(output)
    if not target.exists():
        return
    if not overwrite:
        raise UserError(f"{target} exists; give --overwrite to replace it")
    # Somebody's annotations may have that name too.
    with target.open("rb") as file:
        if _DESCRIPTION.encode() not in file.read(_HEAD):
            raise UserError(f"{target} holds no pasted pairs: name another folder as --output")


def write_pairs(
    output: Path,
    count: int,
    bank: Bank,
    config: PairsConfig,
    about: Mapping[str, Any],
    categories: Sequence[Mapping[str, Any]],
    num_workers: int | None = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> Realised:
    """Make images and their JSON.

    Args:
        output: the folder; made if it does not exist.
        count: number of images, 1 to ``MAX_IMAGES``. Image k depends on bank, config and k alone.
        bank: the objects.
        config: what to make.
        about: where the bank comes from and by which rules, for JSON; it is written to ``info``,
            and an interrupted run of another bank is not gone on with.
        categories: COCO categories of the data set.
        num_workers: processes; the result does not depend on them. None: one per core.
        overwrite: whether an existing JSON, or an unfinished run of other settings, is replaced.
        progress: whether to show a progress bar.

    Raises:
        UserError: a count out of range; a JSON, or an unfinished run of other settings, is there
            and ``overwrite`` is False; a pair without a place; or a photo that cannot be read.
    """
    check_request(output, count, overwrite)
    crowded = max((len(record["annotations"]) for record in bank.records), default=0)
    if crowded + 1 >= MAX_OBJECTS:
        raise UserError(f"an image has {crowded} annotations; at most {MAX_OBJECTS - 2} are taken")
    target, parts = json_path(output), _parts_of(output)
    settings = {"recipe": _RECIPE, **asdict(config), **about, "bank": _fingerprint(bank)}
    images = None if config.image_format is None else image_folder(output)
    parts.open(settings, overwrite, images)
    target.unlink(missing_ok=True)
    work, workers = _Images(output, bank, config), worker_count(num_workers, parts=count)
    done = map_in_order(work, range(count), workers, ahead=8)
    for _ in tqdm(done, total=count, desc="pairs", unit="image", disable=not progress):
        pass
    info = {
        "description": _DESCRIPTION,
        **asdict(config),
        **about,
    }
    realised = _put_together(target, parts, count, info, categories)
    parts.remove()
    return realised


def _fingerprint(bank: Bank) -> str:
    """A hash of the objects that the bank holds, and of where they come from."""
    ids = {
        key: [[bank.records[o.record]["image_id"], bank.annotation(o)["id"]] for o in of]
        for key, of in bank.by_class.items()
    }
    return hash_of(ids)


def _put_together(
    target: Path,
    parts: ImageParts,
    count: int,
    info: Mapping[str, Any],
    categories: Sequence[Mapping[str, Any]],
) -> Realised:
    """Write the JSON, image by image, so that memory does not grow with their number."""
    failed, hidden = 0, np.zeros(count)
    classes = {"occludee": Counter(), "occluder": Counter()}
    with whole_text_file(target) as file:
        file.write(f'{{"info": {json.dumps(info)},\n"licenses": [],\n')
        file.write(f'"categories": {json.dumps(list(categories))},\n"images": [\n')
        _write_lines(file, ([parts.read(index)["image"]] for index in range(count)))
        file.write('\n],\n"annotations": [\n')

        def annotations() -> Iterator[list[dict]]:
            nonlocal failed
            for index in range(count):
                known = parts.read(index)
                failed += known["failed"]
                for entry in known["annotations"]:
                    if entry["role"] in classes:
                        classes[entry["role"]][entry["category_id"]] += 1
                    if entry["role"] == "occludee":
                        hidden[index] = entry["occlusion_rate"]
                yield known["annotations"]

        _write_lines(file, annotations())
        file.write("\n]}\n")
    return Realised(count, failed, hidden, classes["occludee"], classes["occluder"])


def _write_lines(file: Any, groups: Iterator[list[dict]]) -> None:
    """Elements of a JSON list, one per line."""
    separator = ""
    for group in groups:
        for entry in group:
            file.write(separator + json.dumps(entry))
            separator = ",\n"
