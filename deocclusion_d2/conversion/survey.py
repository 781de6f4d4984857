"""What the modal masks of a file are like, counted before any work: what check and conversion say.

A file is read as conversion reads it, part by part, by any number of workers; of an instance no
more stays in memory than its area. What is said of the counts is in ``survey_report.py``.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import Counter
from dataclasses import dataclass, field, fields
from itertools import chain

import numpy as np
from tqdm import tqdm

from ..data.datasets.formats import AnnotationFormat, ImageInfo, ParsedAnnotation, locate
from ..data.datasets.segmentation import written_as
from ..structures import GapCensus, WindowMask, neighbour_pairs
from ..structures.window_mask import Box, meeting_pairs
from ..workers import map_in_order, worker_count
from .annotations import ShardReader, SourceImage, count_given
from .document_index import KEPT
from .shards import ShardPlan
from .tally import Tally

# Instances that a worker looks at at a time.
_INSTANCES_AT_ONCE = 256
# Pixels below which a mask is hardly more than noise in a network's patch.
TINY_AREA = 16
# Sides in pixels from which on a full box is no chance, and boxes can be compared.
_LEAST_RECTANGLE, _LEAST_BOX = 4, 4
# IoU of given box and box of the mask below which they are not of one place.
_SAME_PLACE = 0.5
# Of an example: the widest gap, and the least and most sides, in pixels.
_EXAMPLE_GAP = 8
_MOSTLY_SHARED = 3  # tenths
_EXAMPLE_SIDE = (40, 120)


@dataclass
class Survey:
    """Counts of a part of a file, or of all of it.

    Attributes:
        looked_at: images with annotations that were read.
        tally: what reading counts: images, instances that take part, crowds, overlaps ...
        written: masks of instances by ``segmentation.WAYS``.
        categories: instances by category id.
        unknown_categories: annotations that were skipped, by a category id that the file lacks.
        sizes: images with instances by (height, width) in pixels.
        per_image: images by the number of instances with a visible pixel.
        areas: of each instance with a visible pixel, in pixels.
        touching_instances: instances that touch or overlap another one.
        cut: instances that reach the border of the image.
        rectangles: instances whose mask is all of its box.
        duplicates: instances whose mask is that of an earlier one, pixel by pixel.
        duplicate_pixels: of these.
        tiny: instances of fewer than ``TINY_AREA`` pixels, but one.
        displaced: instances whose given box is not where their mask is.
        census: how masks of an image lie to each other: how many touch, gaps, overlaps.
        first: place of the first of those of a name above.
        example: a place where two masks meet, for the picture.
    """

    looked_at: int = 0
    tally: Tally = field(default_factory=Tally)
    written: Counter[str] = field(default_factory=Counter)
    categories: Counter[int] = field(default_factory=Counter)
    unknown_categories: Counter[int] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    per_image: Counter[int] = field(default_factory=Counter)
    areas: array = field(default_factory=lambda: array("q"))
    touching_instances: int = 0
    cut: int = 0
    rectangles: int = 0
    duplicates: int = 0
    duplicate_pixels: int = 0
    tiny: int = 0
    displaced: int = 0
    census: GapCensus = field(default_factory=GapCensus.empty)
    first: dict[str, str] = field(default_factory=dict)
    example: Example | None = None

    @property
    def visible(self) -> int:
        """Instances with a visible pixel."""
        return len(self.areas)

    def add(self, other: Survey) -> None:
        """Add the counts of a part of the file that comes after this one."""
        for name in (f.name for f in fields(self)):
            mine, its = getattr(self, name), getattr(other, name)
            if isinstance(mine, Tally):
                mine.add(its)
            elif isinstance(mine, Counter):
                mine.update(its)
            elif isinstance(mine, array):
                mine.extend(its)
            elif isinstance(mine, (int, GapCensus)):
                setattr(self, name, mine + its)
        self.first = {**other.first, **self.first}
        examples = [e for e in (self.example, other.example) if e is not None]
        self.example = max(examples, key=lambda e: e.contact, default=None)

    def note(self, name: str, place: str) -> None:
        """Count one of what an attribute of this name counts."""
        setattr(self, name, getattr(self, name) + 1)
        self.first.setdefault(name, place)


@dataclass(frozen=True)
class Example:
    """A place where two masks meet.

    Attributes:
        image: its image.
        box: the part of the image that is shown, (x0, y0, x1, y1) in pixels.
        ids: annotation ids of the two.
        masks: the two, as they are given, inside of the box.
        contact: pixels of the second beside the first, or as near to it as the gap allows.
    """

    image: ImageInfo
    box: Box
    ids: tuple[int | str, int | str]
    masks: tuple[WindowMask, WindowMask]
    contact: int


@dataclass(frozen=True)
class _Look:
    """Surveys parts of a file, in any process.

    Attributes:
        with_example: look for an example.
    """

    reader: ShardReader
    with_example: bool

    def __call__(self, items: np.ndarray) -> Survey:
        survey = Survey()
        read = self.reader.read(items)
        survey.looked_at = len(read.images)
        survey.tally.add(read.tally)
        for image in read.images:
            self._add(survey, image)
        return survey

    def enter_worker(self, number: int) -> None:
        pass

    def _add(self, survey: Survey, image: SourceImage) -> None:
        annotation_format = self.reader.index.format
        count_given(image, annotation_format, survey.tally)
        self._note_unknown_categories(survey, image)
        scene = image.scene
        if not len(scene):
            return
        survey.sizes[scene.height, scene.width] += 1
        visible = 0
        for source, mask in zip(image.instances, scene.modal_masks, strict=True):
            survey.written[written_as(_as_written(source, annotation_format))] += 1
            survey.categories[source.category_id] += 1
            if not mask.is_empty:
                visible += 1
                _add_mask(survey, mask, source, image.info)
        survey.per_image[visible] += 1
        self._add_pairs(survey, image)

    def _note_unknown_categories(self, survey: Survey, image: SourceImage) -> None:
        for part in chain.from_iterable(image.parts.values()):
            number = part.get("category_id") if isinstance(part, dict) else None
            if type(number) is int and number not in self.reader.category_ids:
                survey.unknown_categories[number] += 1

    def _add_pairs(self, survey: Survey, image: SourceImage) -> None:
        scene, masks = image.scene, image.scene.modal_masks
        _, ownership = scene.owned()
        if ownership is not None:
            survey.tally.add_overlaps(ownership.summary())
            equal = {max(o[:2]) for o in ownership.overlaps if masks[o.owner] == masks[o.other]}
            for row in sorted(equal):
                survey.note("duplicates", locate(image.info, scene.instance_ids[row]))
                survey.duplicate_pixels += masks[row].area
        survey.touching_instances += len(set(chain.from_iterable(neighbour_pairs(masks))))
        survey.census += GapCensus.of_scene(masks, scene.scores is not None)
        if self.with_example:
            found = _example(image)
            if found and (survey.example is None or found.contact > survey.example.contact):
                survey.example = found


def _example(image: SourceImage) -> Example | None:
    """Where the largest two neighbours of an image meet."""
    masks = image.scene.modal_masks
    boxes = np.array([mask.box for mask in masks]).reshape(-1, 4)
    areas = [mask.area for mask in masks]
    near = meeting_pairs(boxes, _EXAMPLE_GAP + 1).tolist()
    for i, j in sorted(near, key=lambda pair: -min(areas[pair[0]], areas[pair[1]])):
        census = GapCensus.of_scene([masks[i], masks[j]])
        # What lies in another mask shows no seam.
        if not census.near_pairs(_EXAMPLE_GAP) or census.overlaps[_MOSTLY_SHARED:].any():
            continue
        gap = 0 if census.touching else int(census.pairs.argmax())
        contact = (masks[i].dilate(2 * gap + 3) & masks[j]) - masks[i]
        box = _square_around(contact, image.info)
        parts = tuple(m & WindowMask.filled(box) for m in (masks[i], masks[j]))
        ids = tuple(image.scene.instance_ids[row] for row in (i, j))
        return Example(image.info, box, ids, parts, contact.area)
    return None


def _square_around(contact: WindowMask, image: ImageInfo) -> Box:
    """A square, as far as the image goes, around the middle of where two masks meet."""
    rows, columns = np.nonzero(contact.array)
    nearest = np.argmin(np.hypot(rows - np.median(rows), columns - np.median(columns)))
    x, y = contact.x0 + int(columns[nearest]), contact.y0 + int(rows[nearest])
    least, most = _EXAMPLE_SIDE
    side = min(max(2 * max(contact.array.shape), least), most, image.width, image.height)
    left = min(max(x - side // 2, 0), image.width - side)
    top = min(max(y - side // 2, 0), image.height - side)
    return left, top, left + side, top + side


def _as_written(source: ParsedAnnotation, annotation_format: AnnotationFormat) -> object:
    """The mask that an annotation writes, where its modal one only follows from it."""
    given = annotation_format.modal_as_given(source)
    return source.raw.get("segmentation", given) if given is source.modal else given


def _add_mask(survey: Survey, mask: WindowMask, source: ParsedAnnotation, image: ImageInfo) -> None:
    """Count an instance with a visible pixel, and what is odd about its mask."""
    area = mask.area
    survey.areas.append(area)
    x0, y0, x1, y1 = mask.box
    survey.cut += x0 == 0 or y0 == 0 or x1 == image.width or y1 == image.height
    place = locate(image, source.id)
    if area == mask.array.size and min(mask.array.shape) >= _LEAST_RECTANGLE:
        survey.note("rectangles", place)
    if 1 < area < TINY_AREA:
        survey.note("tiny", place)
    if source.modal_bbox is not None and _is_elsewhere(source.modal_bbox, mask):
        survey.note("displaced", place)


def _is_elsewhere(xywh: list[float], mask: WindowMask) -> bool:
    """Whether a box and a mask, both large enough to tell, are not of one place."""
    x, y, w, h = xywh
    if min(w, h, *mask.array.shape) < _LEAST_BOX:
        return False
    x0, y0, x1, y1 = mask.box
    across = max(min(x + w, x1) - max(x, x0), 0.0)
    along = max(min(y + h, y1) - max(y, y0), 0.0)
    union = w * h + mask.array.size - across * along
    return across * along < _SAME_PLACE * union


def survey_items(
    reader: ShardReader,
    images: int | None = None,
    *,
    num_workers: int | None = None,
    with_example: bool = False,
    quiet: bool = False,
) -> Survey:
    """Survey a file.

    Args:
        reader: of the file.
        images: so many of its images with annotations, at equal distances in the file; None for
            all of them.
        num_workers: see ``workers.worker_count``; they change no result.
        with_example: look for an example, for the picture.
        quiet: show no progress.

    Returns:
        What was counted; that of all workers, in the order of the file.

    Raises:
        UserError: an annotation cannot be used, and the reader does not skip it.
    """
    index = reader.index
    image_of_item = index.image_of_item
    if images is not None:
        chosen = sample(np.unique(image_of_item[image_of_item >= 0]), images)
        image_of_item = np.where(np.isin(image_of_item, chosen), image_of_item, KEPT)
    plan = ShardPlan.make(
        image_of_item, index.instances_of_item, index.num_images, _INSTANCES_AT_ONCE
    )
    workers = worker_count(num_workers, parts=len(plan))
    look = _Look(reader, with_example)
    total = Survey()
    with (
        tqdm(total=int(plan.instances.sum()), desc="reading", unit="inst", disable=quiet) as bar,
        contextlib.closing(map_in_order(look, plan.items_by_shard(), workers)) as parts,
    ):
        for part, instances in zip(parts, plan.instances.tolist(), strict=True):
            total.add(part)
            bar.update(instances)
    return total


def sample(rows: np.ndarray, count: int) -> np.ndarray:
    """``count`` of (N,) values, at equal distances, from the first to the last; or all of them."""
    if count >= len(rows):
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]
