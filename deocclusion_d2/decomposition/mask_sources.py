"""Where the modal masks of a photo come from: annotation files, or COCO results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog

from ..data.datasets import DatasetName, ensure_registered, read_json, register_builtin_datasets
from ..data.datasets.formats import ImageInfo, default_format, get_format, read_id
from ..data.datasets.image_files import last_part, parts_of, plain
from ..data.datasets.names import split_at
from ..data.datasets.told_format import tell_format
from ..data.images import check_size
from ..data.scenes import scene_from_record
from ..errors import UserError
from ..inference.scene_input import rle_size, scene_from_masks
from ..structures import DEFAULT_MIN_SCORE, Scene


@dataclass
class MaskedPhoto:
    """A photo with the modal masks of its N objects.

    Attributes:
        scene: with image.
        categories: N category names.
        regions: (H, W, 3) uint8 RGB, what a detector has made of them region by region; None where
            there is no such picture.
    """

    scene: Scene
    categories: list[str]
    regions: np.ndarray | None = None


class MaskSource(ABC):
    """Gives the modal masks of photos."""

    @property
    def is_on_gpu(self) -> bool:
        """Whether it runs a network there, and so works in this process only."""
        return False

    @abstractmethod
    def __call__(self, path: Path, image: np.ndarray) -> MaskedPhoto:
        """The masks of a photo.

        Args:
            path: the photo's.
            image: (H, W, 3) uint8 RGB.

        Raises:
            UserError: one line naming the photo: it has no masks, or masks of another size.
        """


def open_masks(
    name: str, min_score: float = DEFAULT_MIN_SCORE, things_only: bool = False
) -> MaskSource:
    """Open the masks that ``--masks`` names.

    Args:
        name: a JSON of any annotation format of this package, which its keys tell; or of COCO
            results, ``RESULTS_JSON[@IMAGES_JSON]``, where IMAGES_JSON is the COCO file whose images
            and categories they are of; or a registered data set, or ``FORMAT[.modal]:JSON``.
        min_score: results below it are left out.
        things_only: leave out regions of stuff, where the format knows which they are.

    Raises:
        UserError: naming the file.
    """
    register_builtin_datasets()
    json_file, images_json = split_at(name, first=True)
    if name in DatasetCatalog or not Path(json_file).is_file():
        if name not in DatasetCatalog and ":" not in name:
            raise UserError(f"--masks {name}: there is no such file, nor a data set of this name")
        return AnnotatedMasks(ensure_registered(name), things_only)
    document = read_json(json_file)
    if _is_results(document):
        return ResultMasks(json_file, document, images_json or None, min_score)
    if images_json:
        raise UserError(f"--masks {name}: {json_file} holds no COCO results, leave out '@...'")
    visible_parts = DatasetName(tell_format(document, json_file).name, json_file, modal=True)
    return AnnotatedMasks(ensure_registered(str(visible_parts)), things_only)


class AnnotatedMasks(MaskSource):
    """Masks of a data set. A photo is matched to an image by the end of its path, in small or
    capital letters.

    A JSON of one image that is known only by the address it came from (one COCOA entry) belongs to
    whatever photo it is given with.
    """

    def __init__(self, dataset_name: str, things_only: bool = False) -> None:
        self.name = dataset_name
        self.things_only = things_only
        records = DatasetCatalog.get(dataset_name)
        metadata = MetadataCatalog.get(dataset_name)
        self._classes = metadata.thing_classes
        self._json = metadata.get("annotation_json", dataset_name)
        self._by_file_name: dict[str, list[dict]] = defaultdict(list)
        for record in records:
            self._by_file_name[plain(last_part(record["file_name"]))].append(record)
        # a.jpg and A.JPG are two: each photo has an image of exactly its name.
        exact_names = {last_part(record["file_name"]) for record in records}
        self._names_are_unique = len(exact_names) == len(records)
        name = metadata.get("annotation_format")
        self._format = get_format(name) if name else default_format()
        fits = self._format.fits_any_photo and len(records) == 1
        self._only_record = records[0] if fits else None

    def __call__(self, path: Path, image: np.ndarray) -> MaskedPhoto:
        record = self._only_record or self._record(path)
        check_size(path, image.shape[:2], (record["height"], record["width"]), masks=self._json)
        kept = [a for a in record["annotations"] if not a.get("iscrowd", 0)]
        if self.things_only:
            kept = [a for a in kept if not self._format.is_stuff(a)]
        scene, _ = scene_from_record({**record, "annotations": kept})
        # A format without categories may give every region a name.
        names = [str(a.get("name") or self._classes[a["category_id"]]).strip() for a in kept]
        return MaskedPhoto(replace(scene, image=image, file_name=str(path)), names)

    def _record(self, path: Path) -> dict:
        candidates = self._by_file_name.get(plain(path.name), [])
        exact = [r for r in candidates if last_part(r["file_name"]) == path.name]
        candidates = exact or candidates
        if not candidates:
            names = [last_part(group[0]["file_name"]) for group in self._by_file_name.values()]
            raise UserError(
                f"{path}: there is no image of this name in {self._json}{_examples(names)}: rename "
                "the photo, or correct 'file_name'"
            )
        names = [record["file_name"] for record in candidates]
        return candidates[_nearest(path, names, self._names_are_unique, self._json)]


class ResultMasks(MaskSource):
    """Masks that a detector has written as COCO results.

    Args:
        json_file: for messages.
        entries: what it holds.
        images_json: the COCO file whose images and categories the results are of. Without, all
            entries must be of one image, that of the photo, or image ids be the photos' names.
        min_score: entries below it are left out; of the others, the one of the highest score gets
            the pixels on which they overlap.
    """

    def __init__(
        self,
        json_file: str,
        entries: Sequence[Mapping[str, Any]],
        images_json: str | None,
        min_score: float,
    ) -> None:
        self.json_file = json_file
        self.min_score = min_score
        self._entries: dict[str, list] = defaultdict(list)
        for entry in entries:
            self._entries[str(_id_meant(entry.get("image_id")))].append(entry)
        self._names: dict[int, str] = {}
        self._images: dict[str, list[ImageInfo]] | None = None
        if images_json is not None:
            self._read_images(images_json)

    def _read_images(self, images_json: str) -> None:
        coco, document = default_format(), read_json(images_json)
        try:
            self._names = {c["id"]: c["name"] for c in coco.categories(document)}
            images = [coco.images_of(raw) for raw in document.get("images", ())]
        except UserError as error:
            raise UserError(f"{images_json}: {error}") from None
        self._images = defaultdict(list)
        for image in images:
            self._images[plain(last_part(image.file_name))].append(image)

    def __call__(self, path: Path, image: np.ndarray) -> MaskedPhoto:
        entries = self._entries_of(path)
        for entry in entries:
            size = rle_size(entry["segmentation"])
            if size is not None:
                check_size(path, image.shape[:2], size, masks=self.json_file)
        try:
            scene, _ = scene_from_masks(entries, None, image, min_score=self.min_score)
        except UserError as error:
            raise UserError(f"{path}: {self.json_file}: {error}") from None
        names = [self._names.get(int(c), f"category{c}") for c in scene.category_ids]
        return MaskedPhoto(replace(scene, file_name=str(path)), names)

    def _entries_of(self, path: Path) -> list:
        if self._images is not None:
            images = self._images.get(plain(path.name), [])
            if not images:
                raise UserError(
                    f"{path}: there is no image of this name beside {self.json_file}"
                    f"{_examples(list(self._images))}"
                )
            everywhere = [last_part(i.file_name) for group in self._images.values() for i in group]
            unique = len(set(everywhere)) == len(everywhere)
            images = [i for i in images if last_part(i.file_name) == path.name] or images
            names = [image.file_name for image in images]
            image = images[_nearest(path, names, unique, self.json_file)]
            return self._entries[str(image.id)]
        keys = [path.stem, path.stem.lstrip("0"), path.name]
        if len(self._entries) == 1:
            keys += self._entries
        for key in keys:
            if key in self._entries:
                return self._entries[key]
        raise UserError(
            f"{path}: {self.json_file} holds results of {len(self._entries)} images and no file "
            f"names: name the COCO file of the images too (--masks {self.json_file}@IMAGES_JSON)"
        )


def _id_meant(value: object) -> object:
    """1 for 1.0 and "1"; what is no id stays as it is, for messages."""
    try:
        return read_id(value, "")
    except UserError:
        return value


def _is_results(document: object) -> bool:
    return isinstance(document, list) and all(
        isinstance(e, Mapping) and "score" in e and "segmentation" in e for e in document
    )


def _examples(names: Sequence[str]) -> str:
    """The first of the names that there are instead."""
    if not names:
        return ", which has no images"
    more = ", ..." if len(names) > 3 else ""
    return f" (its images are {', '.join(names[:3])}{more})"


def _nearest(path: Path, file_names: Sequence[str], all_unique: bool, json_file: str) -> int:
    """Which of the images of a photo's name is meant, by their folders.

    Args:
        file_names: of these images.
        all_unique: whether no two images of the file have one name.
    """
    common = [_common_parts(path, name) for name in file_names]
    best = max(common)
    # Frames of videos have the same names in all folders: their folder has to agree too.
    if (best > 1 or all_unique) and common.count(best) == 1:
        return common.index(best)
    example = "/".join(parts_of(file_names[0])[-2:])
    raise UserError(
        f"{path}: {json_file} has images of this name in other folders, such as {example}: "
        "the photo's folder has to be named as there"
    )


def _common_parts(path: Path, file_name: str) -> int:
    """How many last parts two paths share."""
    count = 0
    for a, b in zip(reversed(path.absolute().parts), reversed(parts_of(file_name)), strict=False):
        if plain(a) != plain(b):
            break
        count += 1
    return count
