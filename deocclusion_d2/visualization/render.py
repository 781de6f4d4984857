"""Pictures of whole data sets: which images, what is said about them, and the PNG files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path, PurePath

import numpy as np
from detectron2.utils.file_io import PathManager
from PIL import Image

from ..data.scenes import deocclusion_from_record, scene_from_record
from ..errors import UserError
from ..files import name_key, portable_name, portable_names, whole_file
from ..outputs import Inputs, check_folder_can_be_made, check_output_file
from ..structures import Deocclusion, Scene, SceneTruth
from .labels import scene_labels
from .palette import Color, instance_color
from .sample_sheets import samples_sheet
from .scene import scene_panels

# A gigabyte of masks and layers of colour; photos have 12 to 100 million.
_MOST_PIXELS = 300_000_000
# Of a panel's side. Matplotlib draws up to 65,535, and five panels stand in one picture.
_LONGEST_PANEL = 12_000

Method = Callable[[dict, Scene, SceneTruth], tuple[Deocclusion, SceneTruth | None]]
"""Says what to draw of a dataset dict and its scene: the de-occlusion, and the truth if known."""


def select_records(
    records: Sequence[dict],
    image_ids: Sequence[str] = (),
    name_part: str = "",
    frames: str = "",
    max_images: int | None = None,
) -> list[dict]:
    """Choose images of a data set, in the order of their file names.

    Args:
        records: dataset dicts.
        image_ids: ids to keep, as text; all when empty.
        name_part: keep files whose path contains this, such as "0000/".
        frames: a slice "START:STOP:STEP" of what is left, parts optional, such as "::8"; or one
            position.
        max_images: keep the first so many of what is left then.

    Raises:
        UserError: an id is not in the data set, ``frames`` cannot be read, or nothing is left.
    """
    chosen = sorted(records, key=lambda r: (r["file_name"], str(r["image_id"])))
    if image_ids:
        known = {str(r["image_id"]) for r in chosen}
        unknown = [i for i in image_ids if i not in known]
        if unknown:
            raise UserError(f"--image-ids: the data set has no image {unknown[0]}")
        chosen = [r for r in chosen if str(r["image_id"]) in set(image_ids)]
    chosen = [r for r in chosen if name_part in r["file_name"]]
    if frames:
        chosen = chosen[_parse_slice(frames)]
    if max_images is not None:
        if max_images < 1:
            raise UserError(f"--max-images {max_images}: give 1 or more")
        chosen = chosen[:max_images]
    if not chosen:
        raise UserError(
            f"no image is left of {len(records)}: loosen --filter, --frames or --max-images"
        )
    return chosen


def by_deoccluder(deoccluder: Callable[[list[Scene]], list[Deocclusion]]) -> Method:
    """Draw what a de-occluder makes of the modal masks, beside the truth of the data set."""

    def method(
        record: dict, scene: Scene, truth: SceneTruth
    ) -> tuple[Deocclusion, SceneTruth | None]:
        return deoccluder([scene])[0], truth

    return method


def as_converted(
    record: dict, scene: Scene, truth: SceneTruth
) -> tuple[Deocclusion, SceneTruth | None]:
    """Draw what conversion has written."""
    return deocclusion_from_record(record, scene, truth), None


def render_records(
    records: Sequence[dict],
    method: Method,
    output_dir: str | Path,
    amodal_title: str,
    needs_image: bool = False,
    scale: float | None = None,
    overwrite: bool = False,
    classes: Sequence[str] = (),
    sheets: bool = False,
) -> Iterator[Path]:
    """Write ``scene_panels`` of images to PNG files, one after the other.

    Args:
        records: dataset dicts.
        method: what to draw.
        output_dir: folder, made when it is missing. A file is named after its image and the
            image's folder, and numbered where several would have one name.
        amodal_title, scale: see ``scene_panels``.
        classes: names of the categories, by the annotations' ``category_id``.
        needs_image: whether the method looks at the image; otherwise a missing file is drawn dark.
        overwrite: replace pictures that are there.
        sheets: beside the picture of an image of which completions were drawn, also write their
            ``samples_sheet``, as ``NAME_samples.png``.

    Yields:
        The path of each image's picture, when its files are written.

    Raises:
        UserError: naming the image, or a picture that cannot be written or is there already.
    """
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise UserError(f"--scale {scale}: give a positive number")
    folder = Path(output_dir)
    check_folder_can_be_made(folder)
    inputs = Inputs(record["file_name"] for record in records)
    taken: set[str] = set()
    paths = [folder / name for name in _png_names(records, taken)]
    stems = [f"{path.stem}_samples" for path in paths] if sheets else []
    sheet_paths = [folder / f"{name}.png" for name in portable_names(stems, taken)]
    for path in (*paths, *sheet_paths):
        check_output_file(path, inputs, overwrite)
    files = list(zip_longest(paths, sheet_paths))
    return _rendered(records, files, method, amodal_title, needs_image, scale, classes)


def _rendered(
    records: Sequence[dict],
    files: Sequence[tuple[Path, Path | None]],
    method: Method,
    amodal_title: str,
    needs_image: bool,
    scale: float | None,
    classes: Sequence[str],
) -> Iterator[Path]:
    tracks = _track_numbers(records)
    for record, (path, sheet_path) in zip(records, files, strict=True):
        _check_size(record, scale)
        exists = PathManager.isfile(record["file_name"])
        if needs_image and not exists:
            raise UserError(
                f"image {record['image_id']}: the model uses colours, but there is no file "
                f"{record['file_name']}"
            )
        scene, truth = scene_from_record(record, load_image=exists)
        deocclusion, known = method(record, scene, truth)
        names, colors = _categories(record, classes), _track_colors(record, tracks)
        picture = scene_panels(scene, deocclusion, known, scale, amodal_title, names, colors)
        if sheet_path is not None and any(deocclusion.samples or ()):
            labels = scene_labels(scene, names)
            sheet = samples_sheet(scene, deocclusion, known, labels=labels, colors=colors)
            _save(sheet, sheet_path)
        _save(picture, path)
        yield path


def _save(picture: np.ndarray, path: Path) -> None:
    with whole_file(path) as file:
        Image.fromarray(picture).save(file, "PNG")


def _annotations(record: dict) -> list[dict]:
    """Those that become instances."""
    return [a for a in record["annotations"] if not a.get("iscrowd", 0)]


def _categories(record: dict, classes: Sequence[str]) -> list[str]:
    """The category name of every instance, "" where it is not known."""
    names = []
    for annotation in _annotations(record):
        row = annotation.get("category_id", -1)
        known = classes[row] if 0 <= row < len(classes) else ""
        # A format without categories may give every region a name.
        names.append(str(annotation.get("name") or known))
    return names


def _track_numbers(records: Sequence[dict]) -> dict[tuple[str, str], int]:
    """A number for each track of a sequence, which is a folder: an object keeps its colour."""
    found: dict[str, set[str]] = {}
    for record in records:
        tracks = found.setdefault(_sequence(record), set())
        tracks |= {str(a["track_id"]) for a in _annotations(record) if "track_id" in a}
    return {
        (sequence, track): number
        for sequence, tracks in found.items()
        for number, track in enumerate(sorted(tracks, key=lambda t: (len(t), t)))
    }


def _track_colors(record: dict, numbers: Mapping[tuple[str, str], int]) -> list[Color] | None:
    """The colour of every instance by its track; None where some instances have none."""
    annotations = _annotations(record)
    if not all("track_id" in a for a in annotations):
        return None
    sequence = _sequence(record)
    return [instance_color(numbers[sequence, str(a["track_id"])]) for a in annotations]


def _sequence(record: dict) -> str:
    return str(PurePath(record["file_name"]).parent)


def _png_names(records: Sequence[dict], taken: set[str] | None = None) -> list[str]:
    """``FOLDER_STEM.png``, with the image id where two images would share it.

    Args:
        taken: names that are no longer free; these are added.
    """
    names: list[str] = []
    taken = set() if taken is None else taken
    for record in records:
        path = PurePath(record["file_name"])
        stem = "_".join([*path.parent.parts[-1:], path.stem]).strip("_/")
        stem = stem or f"image_{record['image_id']}"
        if name_key(portable_name(stem)) in taken:
            stem = f"{stem}_{record['image_id']}"
        names += portable_names([stem], taken)
    return [f"{name}.png" for name in names]


def _check_size(record: dict, scale: float | None) -> None:
    height, width = record["height"], record["width"]
    if height * width > _MOST_PIXELS:
        raise UserError(
            f"image {record['image_id']} ({record['file_name']}): its size is {width} x {height} "
            f"in the annotations; pictures are drawn of up to {_MOST_PIXELS:,} pixels: mend the "
            "size, or leave the image out with --filter or --image-ids"
        )
    if scale is not None and max(height, width) * scale > _LONGEST_PANEL:
        raise UserError(
            f"--scale {scale:g}: image {record['image_id']} of {width} x {height} pixels would be "
            f"drawn larger than {_LONGEST_PANEL:,} pixels: give less"
        )


def _parse_slice(text: str) -> slice:
    parts = text.split(":")
    try:
        numbers = [int(p) if p else None for p in parts]
        if len(numbers) == 1 and numbers[0] is not None:
            first = numbers[0]
            return slice(first, first + 1 if first != -1 else None)
        if not 2 <= len(numbers) <= 3 or numbers[2:] == [0]:
            raise ValueError
    except ValueError:
        raise UserError(
            f"--frames {text!r}: give START:STOP:STEP, such as 0:100:5 or ::8"
        ) from None
    return slice(*numbers)
