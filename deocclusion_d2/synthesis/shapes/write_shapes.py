"""Writes scenes of generic objects in KINS's JSON schema (first release), one file per split.

    DIR/instances_train.json    DIR/instances_val.json

There are no images: what is learnt from masks alone needs none. Masks are RLE, for some have holes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...errors import UserError
from ...files import whole_text_file
from ...structures import WindowMask
from ...workers import map_in_order, worker_count
from .scene import GenericObject, compose_scene

MIN_SIDE = 64
MAX_IMAGES = 1_000_000
MAX_OBJECTS = 100
"""Annotation ids are ``image id * MAX_OBJECTS + layer + 1``: they depend on the image alone."""

SPLITS = {"train": 0, "val": 1}
"""Split to its number in the seed."""

_CHUNK = 4  # images that a worker makes at a time


@dataclass(frozen=True)
class GenericShapesConfig:
    """What to make.

    Attributes:
        height: image height in pixels, at least `MIN_SIDE`.
        width: image width in pixels, at least `MIN_SIDE`.
        seed: image ``i`` of a split depends on (seed, split, i, height, width, scattered_share) and
            nothing else.
        scattered_share: share of the scenes (0 to 1) in which no object touches another one.
    """

    height: int = 480
    width: int = 640
    seed: int = 0
    scattered_share: float = 0.5

    def __post_init__(self) -> None:
        if self.height < MIN_SIDE or self.width < MIN_SIDE:
            raise UserError(
                f"height and width must be at least {MIN_SIDE}, got {self.height} x {self.width}"
            )
        if self.seed < 0:
            raise UserError(f"seed must not be negative, got {self.seed}")
        if not 0 <= self.scattered_share <= 1:
            raise UserError(f"scattered_share must lie in 0 ... 1, got {self.scattered_share}")


def split_path(output: Path, split: str) -> Path:
    """JSON file of a split (``train`` or ``val``)."""
    return output / f"instances_{split}.json"


def scene_of(config: GenericShapesConfig, split: str, index: int) -> list[GenericObject]:
    """Scene ``index`` of a split, front-most object first, the same whatever else is made."""
    seed = np.random.SeedSequence(config.seed, spawn_key=(SPLITS[split], index))
    rng = np.random.default_rng(seed)
    scattered = bool(rng.random() < config.scattered_share)
    return compose_scene(rng, config.height, config.width, scattered)


def annotations_of(objects: Sequence[GenericObject], image_id: int) -> list[dict]:
    """KINS annotations of a scene.

    Beside KINS's keys every annotation has ``layer``, its rank from the front (an object can hide
    only objects of a higher layer), and ``shape``, the family of its outline.
    """
    return [_annotation(item, image_id, layer) for layer, item in enumerate(objects)]


def _annotation(item: GenericObject, image_id: int, layer: int) -> dict:
    height, width = item.amodal.shape
    amodal, modal = WindowMask.from_array(item.amodal), WindowMask.from_array(item.modal)
    return {
        "id": image_id * MAX_OBJECTS + layer + 1,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "segmentation": amodal.to_rle(height, width),
        "bbox": [float(v) for v in amodal.xywh],
        "area": float(amodal.area),
        "inmodal_seg": modal.to_rle(height, width),
        "inmodal_bbox": [float(v) for v in modal.xywh],
        "layer": layer,
        "shape": item.family,
    }


@dataclass(frozen=True)
class _Scenes:
    """What a worker does: the annotations of some images of a split."""

    config: GenericShapesConfig
    split: str

    def __call__(self, images: range) -> list[list[dict]]:
        return [annotations_of(scene_of(self.config, self.split, i), i) for i in images]

    def enter_worker(self, number: int) -> None:
        """Nothing to prepare."""


def write_splits(
    output: Path,
    counts: dict[str, int],
    config: GenericShapesConfig,
    num_workers: int | None = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Writes the JSON files; refuses before it draws anything if one of them may not be written.

    Args:
        output: folder of the files; made if it does not exist.
        counts: split (``train``, ``val``) to number of images, at least one split.
        config: what to make.
        num_workers: processes; the result does not depend on it. None: one per core.
        overwrite: whether existing files are replaced.
        progress: whether to show a progress bar.

    Returns:
        Paths of the JSON files.

    Raises:
        UserError: there is no split or an unknown one, a count is not 1 to `MAX_IMAGES`,
            ``num_workers`` is below 0, or a file exists and ``overwrite`` is False.
    """
    if not counts:
        raise UserError("nothing to do: no split has an image")
    for split, count in counts.items():
        if split not in SPLITS:
            raise UserError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        if not 1 <= count <= MAX_IMAGES:
            raise UserError(f"a split has 1 to {MAX_IMAGES} images, got {count}")
        if split_path(output, split).exists() and not overwrite:
            raise UserError(f"{split_path(output, split)} exists; give --overwrite to replace it")
    worker_count(num_workers)
    return [
        _write_split(output, split, count, config, num_workers, progress)
        for split, count in counts.items()
    ]


def _write_split(
    output: Path,
    split: str,
    count: int,
    config: GenericShapesConfig,
    num_workers: int | None,
    progress: bool,
) -> Path:
    parts = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    workers = worker_count(num_workers, parts=len(parts))
    annotations: list[dict] = []
    with tqdm(total=count, desc=split, unit="image", disable=not progress) as bar:
        for scenes in map_in_order(_Scenes(config, split), parts, workers):
            annotations += [annotation for scene in scenes for annotation in scene]
            bar.update(len(scenes))
    data = {
        "info": {
            "description": "Generic shapes with exact amodal masks, in the format of KINS",
            "split": split,
            **asdict(config),
        },
        "licenses": [],
        "categories": [{"id": 1, "name": "object", "supercategory": "object"}],
        "images": [
            {
                "id": index,
                "file_name": f"{index:06d}.png",
                "height": config.height,
                "width": config.width,
            }
            for index in range(count)
        ],
        "annotations": annotations,
    }
    target = split_path(output, split)
    with whole_text_file(target) as file:
        json.dump(data, file)
    return target
