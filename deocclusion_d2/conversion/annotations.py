"""One shard's annotations: raw items -> scenes -> pseudo-amodal COCO annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets.formats import (
    NONE_GIVEN,
    AnnotationFormat,
    ImageInfo,
    InvalidAnnotation,
    ParsedAnnotation,
    locate,
)
from ..data.datasets.image_files import ImageFinder
from ..data.datasets.segmentation import are_polygons_of, looks_normalised
from ..data.images import read_rgb
from ..data.scenes import corner_boxes
from ..errors import UserError
from ..json_files import dump_json, is_number
from ..structures import Deocclusion, Scene, WindowMask, known_scores, polygons_of
from ..structures.run_lengths import is_empty
from .document_index import NULL, DocumentIndex
from .tally import Tally

# Instances in one call of the deoccluder: enough patches for full batches, little enough that
# workers end together, and a bar that moves.
INSTANCES_AT_ONCE = 256
# Keys of ours that not every annotation has; an input of an earlier conversion may hold old ones.
_NOT_ALWAYS = (
    "occluder_confidences",
    "mutual_occlusion_ids",
    "hidden_probability",
    "samples",
    "amodal_bbox_unclipped",
)
# Likewise in ``attributes``.
_IN_CYCLE = "occlusion_cycle"


@dataclass
class SourceImage:
    """An image of a shard and its annotations, read and checked.

    Attributes:
        info: id, size and file name.
        scene: the N instances that take part.
        instances: the annotation of each row of the scene.
        parts: for every item of the input, its annotations in their order: what goes out as it
            is (a dict), or the scene's row of an instance (an int).
    """

    info: ImageInfo
    scene: Scene
    instances: list[ParsedAnnotation]
    parts: dict[int, list[dict | int]]


@dataclass
class SourceShard:
    """Images of a shard, and what was met in reading them."""

    images: list[SourceImage] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


@dataclass
class ImageReader:
    """An image and its raw annotations -> scene, wherever they come from.

    Attributes:
        name: of the input, for messages.
        format: how the annotations are written.
        category_ids: of the input's categories.
        has_no_categories: whether the input gives none, and ``category_ids`` are assumed.
        skip_invalid: keep annotations that cannot be used as they are, instead of raising.
        pixels: reads the (H, W, 3) uint8 RGB of an image; None when the method looks at masks
            alone. What it raises comes through.
    """

    name: str | Path
    format: AnnotationFormat
    category_ids: Set[int]
    has_no_categories: bool
    skip_invalid: bool
    pixels: Callable[[ImageInfo, Tally], np.ndarray] | None = None

    def read(self, info: ImageInfo, items: Iterable[tuple[int, Any]], tally: Tally) -> SourceImage:
        """
        Args:
            items: (number, raw item) of the image, in their order.
            tally: counts what is met.

        Raises:
            UserError: naming input, image and annotation.
        """
        instances: list[ParsedAnnotation] = []
        parts: dict[int, list[dict | int]] = {}
        for item, raw in items:
            parts[item] = []
            for parsed in self._parse(raw, info, tally):
                if isinstance(parsed, ParsedAnnotation) and parsed.assumed:
                    tally.assumed.note(parsed.assumed, locate(info, parsed.id))
                if isinstance(parsed, dict):
                    parts[item].append(parsed)
                elif parsed.iscrowd:
                    tally.crowds += 1
                    parts[item].append({**parsed.raw, **_ids(parsed)})
                else:
                    parts[item].append(len(instances))
                    instances.append(parsed)
        scene = Scene(
            info.height,
            info.width,
            [WindowMask.from_rle(p.modal) for p in instances],
            np.array([p.category_id for p in instances], np.int64),
            [p.id for p in instances],
            image=self.pixels(info, tally) if instances and self.pixels is not None else None,
            image_id=info.id,
            file_name=info.file_name,
            scores=known_scores([p.raw.get("score") for p in instances]),
            amodal_boxes=corner_boxes([p.given_amodal_bbox for p in instances]),
        )
        return SourceImage(info, scene, instances, parts)

    def _parse(self, raw: Any, info: ImageInfo, tally: Tally) -> Iterator[ParsedAnnotation | dict]:
        """Annotations of an item; a dict is one that cannot be used."""
        try:
            parsed = self.format.parse(raw, info)
            for annotation in parsed:
                self._check_category(annotation, info)
        except InvalidAnnotation as error:
            if not self.skip_invalid:
                raise UserError(f"{self.name}: {error}") from None
            yield from self.format.salvage(raw, info, error, tally.skip)
            return
        yield from parsed

    def _check_category(self, annotation: ParsedAnnotation, info: ImageInfo) -> None:
        if annotation.category_id not in self.category_ids:
            raise InvalidAnnotation(
                f"{locate(info, annotation.id)}: 'category_id' {annotation.category_id} is not "
                f"among the categories{NONE_GIVEN if self.has_no_categories else ''}"
            )


def read_pixels(
    name: str | Path, found: tuple[str, Iterable[str]], info: ImageInfo, tally: Tally
) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an image.

    Args:
        name: of the input, for messages.
        found: path of the image's file, and what was assumed to find it; see ``ImageFinder``.
        tally: counts what was assumed.

    Raises:
        UserError: the file is missing, no image, or of another size.
    """
    path, assumed = found
    tally.assumed.note(assumed, f"image {info.id!r} ({info.file_name})")
    try:
        return read_rgb(path, (info.height, info.width))
    except UserError as error:
        raise UserError(f"{name}: image {info.id!r}: {error}: check --image-root") from None


class ShardReader:
    """Reads the items of a shard from the input, and nothing else of it.

    Args:
        index: of the input.
        image_root: folder of the images; None when the method looks at masks alone.
        skip_invalid: keep annotations that cannot be used as they are, instead of raising.
        name: the file that messages name; the input's when None.
    """

    def __init__(
        self,
        index: DocumentIndex,
        image_root: Path | None,
        skip_invalid: bool,
        name: Path | None = None,
    ) -> None:
        self.index = index
        self.name = name or index.path
        self.category_ids = {category["id"] for category in index.categories}
        self._finder = ImageFinder(str(image_root), index.file_names)
        self._images = ImageReader(
            self.name,
            index.format,
            self.category_ids,
            index.has_no_categories,
            skip_invalid,
            None if image_root is None else self._pixels,
        )

    def read(self, items: np.ndarray) -> SourceShard:
        """
        Args:
            items: numbers of items of a shard, those of an image together.

        Raises:
            UserError: naming file, image and annotation.
        """
        shard = SourceShard()
        index = self.index
        images = index.image_of_item[items]
        starts = np.flatnonzero(np.diff(images, prepend=-1))
        with index.path.open("rb") as file:
            for group in np.split(items, starts[1:]):
                info = index.image_info(file, int(index.image_of_item[group[0]]))
                raw = ((item, index.read_annotation(file, item)) for item in group.tolist())
                shard.images.append(self._images.read(info, raw, shard.tally))
        return shard

    def _pixels(self, info: ImageInfo, tally: Tally) -> np.ndarray:
        return read_pixels(self.name, self._finder.find(info.file_name), info, tally)


def count_given(image: SourceImage, annotation_format: AnnotationFormat, tally: Tally) -> None:
    """Count the instances of an image, and what is odd about them, as they are given."""
    tally.images += bool(image.instances)
    tally.instances += len(image.instances)
    for source, modal in zip(image.instances, image.scene.modal_masks, strict=True):
        if _is_speck(modal):
            shares = looks_normalised(annotation_format.modal_as_given(source))
            tally.hidden += modal.is_empty
            tally.normalised += shares
            tally.specks += shares and not modal.is_empty
            tally.boxes_kept += bool(_kept_boxes(source, modal, shares))


def convert_shard(
    shard: SourceShard,
    deoccluder: Callable[[list[Scene]], list[Deocclusion]],
    annotation_format: AnnotationFormat,
    as_polygons: bool = False,
) -> Iterator[tuple[int, str]]:
    """De-occlude what was read of a shard, and complete its tally.

    Args:
        as_polygons: write amodal masks as polygons where they hold a pixel, not as RLE.

    Yields:
        (item, line): the number of an item, and the JSON of its annotations on one line.
    """
    images = shard.images
    for image, result in zip(images, deoccluder([i.scene for i in images]), strict=True):
        yield from convert_image(image, result, annotation_format, as_polygons, shard.tally)


def convert_image(
    image: SourceImage,
    result: Deocclusion,
    annotation_format: AnnotationFormat,
    as_polygons: bool,
    tally: Tally,
) -> Iterator[tuple[int, str]]:
    """The annotations of an image that was de-occluded; see ``convert_shard``."""
    count_given(image, annotation_format, tally)
    cycles = result.graph.cycles()
    tally.cycles += len(cycles)
    tally.mutual += len(result.graph.mutual_pairs)
    if result.ownership is not None:
        tally.add_overlaps(result.ownership.summary())
    in_cycle = {row for cycle in cycles for row in cycle}
    rows = [
        _converted(
            image,
            result,
            row,
            {"z_order": rank, **({_IN_CYCLE: True} if row in in_cycle else {})},
            annotation_format,
            as_polygons,
            tally,
        )
        for row, rank in enumerate(result.graph.z_order())
    ]
    for item, parts in image.parts.items():
        out = [rows[part] if isinstance(part, int) else part for part in parts]
        yield item, ", ".join(_dump(annotation, image.info, tally) for annotation in out)


def _dump(annotation: dict[str, Any], info: ImageInfo, tally: Tally) -> str:
    return dump_json(
        annotation, lambda: tally.assumed.note([NULL], locate(info, annotation.get("id")))
    )


def _converted(
    image: SourceImage,
    result: Deocclusion,
    row: int,
    depth: dict[str, Any],
    annotation_format: AnnotationFormat,
    as_polygons: bool,
    tally: Tally,
) -> dict[str, Any]:
    """The annotation of one instance: the input's, with what we say in it.

    ``occlusion_rate`` is the hidden share of the amodal area, 0 for an empty mask.

    Args:
        depth: what ``attributes`` say about the instance's place in the graph.
    """
    scene, source = image.scene, image.instances[row]
    modal, amodal = scene.modal_masks[row], result.amodal_masks[row]
    occluders = result.graph.occluders(row)
    unchanged = amodal is modal or amodal == modal
    hidden = WindowMask.empty() if unchanged else amodal - modal
    modal_area, area, added = modal.area, amodal.area, hidden.area
    tally.occluded += bool(occluders)
    if added:
        tally.grown += 1
        tally.added_pixels += added
        tally.grown_modal_pixels += modal_area
    given_mask = annotation_format.modal_as_given(source)
    if not as_polygons or amodal.is_empty:
        segmentation = source.modal if unchanged else amodal.to_rle(scene.height, scene.width)
    elif unchanged and are_polygons_of(given_mask, source.modal):
        segmentation = given_mask
    else:
        segmentation, holes = polygons_of(amodal, scene.height, scene.width)
        tally.holes += holes
    rate = round(added / area, 4) if area else 0.0
    ours = {
        **_ids(source),
        "segmentation": segmentation,
        "bbox": amodal.xywh,
        "area": area,
        "modal_segmentation": given_mask,
        "modal_bbox": modal.xywh,
        "occluder_ids": [scene.instance_ids[k] for k in occluders],
        **_certainty(scene, result, row, occluders),
        **_unclipped(result, row),
        "occlusion_rate": rate,
        **_attributes(
            source, {"occluded": bool(occluders), "occlusion_rate": rate, **depth}, tally
        ),
    }
    for key, value in annotation_format.replaced_keys.items():
        if key in source.raw:
            ours[key] = (
                hidden.to_rle(scene.height, scene.width) if value == "hidden" else ours[value]
            )
    given = {key: value for key, value in source.raw.items() if key not in _NOT_ALWAYS}
    if _is_speck(modal):
        shares = looks_normalised(ours["modal_segmentation"])
        ours |= _kept_boxes(source, modal, shares)
    return {**given, **ours}


def _attributes(
    source: ParsedAnnotation, ours: dict[str, Any], tally: Tally
) -> dict[str, dict[str, Any]]:
    """The input's ``attributes`` with ours in them; nothing where the input's are no object.

    Where annotation tools look for what they know of occlusion: CVAT, through Datumaro's reader of
    COCO, takes ``occluded`` from here.
    """
    given = source.raw.get("attributes")
    if given is not None and not isinstance(given, dict):
        tally.attributes_left += 1
        return {}
    given = {key: value for key, value in (given or {}).items() if key != _IN_CYCLE}
    tally.attributes_replaced += any(given.get(key, value) != value for key, value in ours.items())
    return {"attributes": {**given, **ours}}


def _ids(annotation: ParsedAnnotation) -> dict[str, Any]:
    """Ids and crowd flag as they were read: where the input writes 1 as "1" or 1.0, the output does
    not.
    """
    read = {
        "id": annotation.id,
        "image_id": annotation.image_id,
        "category_id": annotation.category_id,
    }
    if "iscrowd" in annotation.raw:
        read["iscrowd"] = int(annotation.iscrowd)
    return read


def _is_speck(modal: WindowMask) -> bool:
    # The window is tight. Coordinates below 1 fill at most the first pixel.
    return modal.array.size <= 1


def _kept_boxes(source: ParsedAnnotation, modal: WindowMask, shares: bool) -> dict[str, Any]:
    """Box and area of an instance of which no mask tells anything better.

    Args:
        modal: its mask, of one pixel at most.
        shares: whether its coordinates seem to be shares of the image size.
    """
    if not shares:
        is_without_mask = source.amodal is None or is_empty(source.amodal)
        if not (modal.is_empty and is_without_mask):
            return {}
    if source.modal_bbox is None or max(source.modal_bbox[2:]) <= 1:
        return {}
    kept = {"bbox": source.raw.get("bbox", source.modal_bbox), "modal_bbox": source.modal_bbox}
    if is_number(source.raw.get("area")):
        kept["area"] = source.raw["area"]
    return kept


def _unclipped(result: Deocclusion, row: int) -> dict[str, Any]:
    """The whole object's box, where objects may leave the image and this one is seen."""
    if result.unclipped_boxes is None or result.amodal_masks[row].is_empty:
        return {}
    x0, y0, x1, y1 = result.unclipped_boxes[row]
    return {"amodal_bbox_unclipped": [x0, y0, x1 - x0, y1 - y0]}


def _certainty(scene: Scene, result: Deocclusion, row: int, occluders: list[int]) -> dict[str, Any]:
    """What of ``_NOT_ALWAYS`` there is to say about an instance."""
    graph = result.graph
    said: dict[str, Any] = {}
    confidences = [graph.confidence(k, row) for k in occluders]
    if confidences and None not in confidences:
        said["occluder_confidences"] = [round(c, 4) for c in confidences]
    partners = graph.mutual_partners(row)
    if partners:
        said["mutual_occlusion_ids"] = [scene.instance_ids[k] for k in partners]
    if result.probabilities is not None and result.probabilities[row] is not None:
        said["hidden_probability"] = result.probabilities[row].to_json()
    if result.samples is not None and result.samples[row]:
        size = (scene.height, scene.width)
        said["samples"] = [sample.to_json(*size) for sample in result.samples[row]]
    return said
