"""Writes synthetic street scenes in the folder layout and JSON schema of KINS (first release).

    DIR/training/image_2/000000.jpg ...    DIR/instances_train.json
    DIR/testing/image_2/000000.jpg ...     DIR/instances_val.json

With whole objects, beside ``image_2``:

    full_object/000000/000.png ...   an object each, front-most first: colours, also where others
                                     hide it, and its amodal mask as transparency
    background/000000.jpg            the picture without its objects

While a split is being made, the annotations of every finished image lie in ``DIR/.parts_<split>/``;
an interrupted run continues from there. The JSON file appears at the very end, complete.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...errors import UserError
from ...files import whole_text_file
from ...structures import WindowMask
from ...workers import map_in_order, worker_count
from ..image_parts import ImageParts, check_image_format, write_image
from .categories import kins_categories
from .render import RenderedObject, RenderedScene, render_scene

MIN_SIDE = 32
MAX_IMAGES = 1_000_000
MAX_OBJECTS = 1000
"""Annotation ids are ``image id * MAX_OBJECTS + rank + 1``: they depend on the image alone."""

_SPLITS = {"train": (0, "training"), "val": (1, "testing")}  # number in the seed, KINS's folder
# They change when the same seed gives other pictures; parts of another recipe are not reused. The
# second one is that of whole objects.
_RECIPES = {False: 1, True: 2}
_FULL_OBJECTS, _BACKGROUNDS = "full_object", "background"


@dataclass(frozen=True)
class SyntheticKinsConfig:
    """What to make.

    Attributes:
        height: image height in pixels, at least `MIN_SIDE`.
        width: image width in pixels, at least `MIN_SIDE`.
        seed: image ``i`` of a split depends on (seed, split, i, height, width) and nothing else.
        image_format: ``jpg`` or ``png``.
        jpeg_quality: 1 to 100.
        whole_objects: also what others hide of every object, see ``render_scene``.
    """

    height: int = 375
    width: int = 1242
    seed: int = 0
    image_format: str = "jpg"
    jpeg_quality: int = 90
    whole_objects: bool = False

    def __post_init__(self) -> None:
        if self.height < MIN_SIDE or self.width < MIN_SIDE:
            raise UserError(
                f"height and width must be at least {MIN_SIDE}, got {self.height} x {self.width}"
            )
        if self.seed < 0:
            raise UserError(f"seed must not be negative, got {self.seed}")
        check_image_format(self.image_format, self.jpeg_quality)

    def to_json(self) -> dict:
        """For ``info``; without whole objects as before there were any."""
        values = asdict(self)
        if not self.whole_objects:
            del values["whole_objects"]
        return values


def split_paths(output: Path, split: str) -> tuple[Path, Path]:
    """Image folder and JSON file of a split (``train`` or ``val``)."""
    return output / _SPLITS[split][1] / "image_2", output / f"instances_{split}.json"


def scene_of(config: SyntheticKinsConfig, split: str, index: int) -> RenderedScene:
    """Image ``index`` of a split, the same whatever else is rendered."""
    seed = np.random.SeedSequence(config.seed, spawn_key=(_SPLITS[split][0], index))
    return render_scene(seed, config.height, config.width, config.whole_objects)


def _annotation(item: RenderedObject, image_id: int, layer: int) -> dict:
    height, width = item.amodal.shape
    amodal, modal = WindowMask.from_array(item.amodal), WindowMask.from_array(item.modal)
    annotation = {
        "id": image_id * MAX_OBJECTS + layer + 1,
        "image_id": image_id,
        "category_id": item.category_id,
        "iscrowd": 0,
        "segmentation": item.polygons,
        "bbox": [float(v) for v in amodal.xywh],
        "area": float(amodal.area),
        "inmodal_seg": modal.to_rle(height, width),
        "inmodal_bbox": [float(v) for v in modal.xywh],
        "depth": round(item.depth, 3),
        "layer": layer,
    }
    if item.whole is not None:
        annotation["full_object"] = f"../{_FULL_OBJECTS}/{image_id:06d}/{layer:03d}.png"
        annotation["full_object_box"] = amodal.xywh
    return annotation


def annotations_of(scene: RenderedScene, image_id: int) -> list[dict]:
    """KINS annotations of a scene, front-most first.

    Beside KINS's keys every annotation has ``depth``, metres to the middle of the object, and
    ``layer``, its rank from the front: an object can hide only objects of a higher layer. With
    whole objects also ``full_object``, a file as seen from the folder of images, and
    ``full_object_box``, the pixels [x, y, w, h] that it holds.
    """
    return [_annotation(item, image_id, layer) for layer, item in enumerate(scene.objects)]


def _image(index: int, config: SyntheticKinsConfig) -> dict:
    name = f"{index:06d}.{config.image_format}"
    image = {"id": index, "file_name": name, "height": config.height, "width": config.width}
    if config.whole_objects:
        image["background"] = f"../{_BACKGROUNDS}/{name}"
    return image


@dataclass(frozen=True)
class _Images:
    """What a worker does: renders an image and writes it, and then its annotations."""

    output: Path
    split: str
    config: SyntheticKinsConfig

    def __call__(self, index: int) -> None:
        parts = _parts_of(self.output, self.split)
        folder, _ = split_paths(self.output, self.split)
        path = folder / f"{index:06d}.{self.config.image_format}"
        if parts.has(index) and path.exists():
            return
        scene = scene_of(self.config, self.split, index)
        write_image(path, scene.image, self.config.jpeg_quality)
        if self.config.whole_objects:
            self._write_whole(scene, index, folder)
        parts.write(index, annotations_of(scene, index))

    def _write_whole(self, scene: RenderedScene, index: int, images: Path) -> None:
        name = f"{index:06d}.{self.config.image_format}"
        background = images.parent / _BACKGROUNDS
        objects = images.parent / _FULL_OBJECTS / f"{index:06d}"
        for folder in (background, objects):
            folder.mkdir(parents=True, exist_ok=True)
        write_image(background / name, scene.background, self.config.jpeg_quality)
        for layer, item in enumerate(scene.objects):
            alpha = WindowMask.from_array(item.amodal).array.astype(np.uint8) * 255
            write_image(objects / f"{layer:03d}.png", np.dstack([item.whole, alpha]), 0)

    def enter_worker(self, number: int) -> None:
        """Nothing to prepare."""


def _parts_of(output: Path, split: str) -> ImageParts:
    return ImageParts(output / f".parts_{split}")


def _check(output: Path, split: str, count: int, overwrite: bool) -> None:
    """Raises what `write_split` says it raises, before anything is written."""
    if split not in _SPLITS:
        raise UserError(f"split must be one of {', '.join(_SPLITS)}, got {split!r}")
    if not 1 <= count <= MAX_IMAGES:
        raise UserError(f"a split has 1 to {MAX_IMAGES} images, got {count}")
    target = split_paths(output, split)[1]
    if target.exists() and not overwrite:
        raise UserError(f"{target} exists; give --overwrite to replace it")


def write_splits(
    output: Path,
    counts: dict[str, int],
    config: SyntheticKinsConfig,
    num_workers: int | None = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Writes several splits; refuses before it renders anything if one of them may not be written.

    Args:
        output: see `write_split`.
        counts: split to number of images, at least one split.
        config: see `write_split`.
        num_workers: see `write_split`.
        overwrite: see `write_split`.
        progress: see `write_split`.

    Returns:
        Paths of the JSON files.

    Raises:
        UserError: as `write_split`, or there is no split, or ``num_workers`` is below 0.
    """
    if not counts:
        raise UserError("nothing to do: no split has an image")
    worker_count(num_workers)
    for split, count in counts.items():
        _check(output, split, count, overwrite)
    return [
        write_split(output, split, count, config, num_workers, overwrite, progress)
        for split, count in counts.items()
    ]


def write_split(
    output: Path,
    split: str,
    count: int,
    config: SyntheticKinsConfig,
    num_workers: int | None = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Renders a split and writes its images and its JSON file.

    Args:
        output: the folder that plays the part of ``KINS/``; made if it does not exist.
        split: ``train`` or ``val``.
        count: number of images, at least 1.
        config: what to make.
        num_workers: processes that render, 0 for this one; the result does not depend on it. None:
            one per core.
        overwrite: whether an existing JSON file, or an unfinished run with other settings, is
            replaced.
        progress: whether to show a progress bar.

    Returns:
        Path of the JSON file.

    Raises:
        UserError: ``split`` is unknown, ``count`` is not 1 to `MAX_IMAGES`, or the JSON file (or an
            unfinished run with other settings) exists and ``overwrite`` is False.
    """
    _check(output, split, count, overwrite)
    images, target = split_paths(output, split)
    parts = _parts_of(output, split)
    recipe = _RECIPES[config.whole_objects]
    parts.open({"recipe": recipe, **config.to_json()}, overwrite, images)
    target.unlink(missing_ok=True)
    work = _Images(output, split, config)
    done = map_in_order(work, range(count), worker_count(num_workers, parts=count))
    for _ in tqdm(done, total=count, desc=split, unit="image", disable=not progress):
        pass

    annotations: list[dict] = []
    for index in range(count):
        annotations += parts.read(index)
    data = {
        "info": {
            "description": "Synthetic street scenes with exact amodal masks, in the format of KINS",
            "split": split,
            **config.to_json(),
        },
        "licenses": [],
        "categories": kins_categories(),
        "images": [_image(index, config) for index in range(count)],
        "annotations": annotations,
    }
    with whole_text_file(target) as file:
        json.dump(data, file)
    parts.remove()
    return target
