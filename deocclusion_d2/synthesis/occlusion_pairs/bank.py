"""Complete objects of a data set: those that nothing hides, as far as masks and boxes tell.

The Synthetic Occlusion Dataset (Ke et al., *Deep Occlusion-Aware Instance Segmentation with
Overlapping BiLayers*, CVPR 2021, supplement, Sec. 1) filters COCO by the overlap of boxes and the
area of masks, and then by hand. The rules here stand in for the hand; a list of ids may be added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ...errors import UserError
from ...structures import WindowMask
from ...structures.window_mask import intersect_boxes, meeting_pairs
from ...workers import map_in_order, worker_count

_CHUNK = 16  # images that a worker looks at at a time

# Why objects are left out, in the order in which the rules are asked.
REASONS = (
    "crowd region",
    "rejected by id",
    "too small",
    "hidden by its labels",
    "box meets another's",
    "at the image's border",
    "several parts",
    "fills too little of its box",
    "near another mask",
    "class too small",
)


@dataclass(frozen=True)
class BankSettings:
    """When an object counts as complete.

    Attributes:
        box_overlap: largest share of an object's box that the box of another one of its image may
            cover, 0 to 1 (paper: 0.05).
        min_area: least area of its mask in pixels (paper: 32 x 32).
        border: least distance of its box from the border of the image, in pixels.
        main_part: least share of its area that its largest connected part holds.
        fill: least share of its box that it fills.
        apart: pixels of other masks that are so near, or nearer, are not allowed, in pixels.
        min_objects: classes with fewer complete objects are left out: uniform classes would use
            one object thousands of times. So are those with all of them in one photo: none could be
            pasted over another.
    """

    box_overlap: float = 0.05
    min_area: int = 1024
    border: int = 2
    main_part: float = 0.95
    fill: float = 0.2
    apart: int = 2
    min_objects: int = 5

    def __post_init__(self) -> None:
        for name in ("box_overlap", "main_part", "fill"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must lie in 0 ... 1, got {getattr(self, name)}")
        for name, least in (("min_area", 1), ("border", 0), ("apart", 0), ("min_objects", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True)
class CompleteObject:
    """An object of the bank.

    Attributes:
        record: row of its image in the data set.
        annotation: row of it among the image's annotations.
        category_id: of the data set.
        area: of its mask, in pixels.
    """

    record: int
    annotation: int
    category_id: int
    area: int


@dataclass(frozen=True)
class Bank:
    """The complete objects of a data set.

    Attributes:
        records: its dataset dicts.
        by_class: category id -> objects, in the order of the data set; sorted by id.
        left_out: reason -> number of annotations.
    """

    records: Sequence[Mapping]
    by_class: Mapping[int, Sequence[CompleteObject]]
    left_out: Mapping[str, int]

    @classmethod
    def build(
        cls,
        records: Sequence[Mapping],
        settings: BankSettings,
        reject: Collection[int | str] = (),
        num_workers: int | None = 0,
    ) -> Bank:
        """Look through a data set.

        Args:
            records: dataset dicts; where they hold amodal masks, objects that these show to be
                hidden are left out.
            reject: annotation ids that are left out whatever the rules say.
            num_workers: processes; the result does not depend on them.

        Raises:
            UserError: an id of ``reject`` is not in the data set, or no class is left.
        """
        reject = frozenset(reject)
        unknown = reject - {a["id"] for r in records for a in r["annotations"]}
        if unknown:
            raise UserError(
                f"{len(unknown)} of {len(reject)} ids to reject are none of the data set's "
                f"annotations, such as {min(unknown, key=str)!r}"
            )
        starts = range(0, len(records), _CHUNK)
        parts = [range(start, min(start + _CHUNK, len(records))) for start in starts]
        work = _Look(records, settings, reject)
        by_class: dict[int, list[CompleteObject]] = {}
        left_out: Counter[str] = Counter()
        workers = worker_count(num_workers, parts=len(parts))
        for objects, reasons in map_in_order(work, parts, workers):
            left_out += reasons
            for found in objects:
                by_class.setdefault(found.category_id, []).append(found)
        small = [
            key
            for key, of in by_class.items()
            if len(of) < settings.min_objects or len({o.record for o in of}) < 2
        ]
        for key in small:
            left_out["class too small"] += len(by_class.pop(key))
        if not by_class:
            told = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
            raise UserError(
                f"no class has {settings.min_objects} complete objects in two photos (left out: "
                f"{told or 'nothing, for there is no annotation'})"
            )
        ordered = {reason: left_out[reason] for reason in REASONS if left_out[reason]}
        return cls(records, dict(sorted(by_class.items())), ordered)

    def __len__(self) -> int:
        return sum(map(len, self.by_class.values()))

    def mask(self, found: CompleteObject) -> WindowMask:
        """The mask of an object, in the coordinates of its image."""
        return _mask(self.annotation(found))

    def annotation(self, found: CompleteObject) -> Mapping:
        """The annotation of an object."""
        return self.records[found.record]["annotations"][found.annotation]

    def describe(self, found: CompleteObject) -> str:
        """An object, as messages name it."""
        record = self.records[found.record]
        return f"annotation {self.annotation(found)['id']!r} of {record['file_name']}"


@dataclass(frozen=True)
class _Look:
    """What a worker does: the complete objects of some images, and why others are none."""

    records: Sequence[Mapping]
    settings: BankSettings
    reject: Collection[int | str]

    def __call__(self, rows: range) -> tuple[list[CompleteObject], Counter[str]]:
        objects: list[CompleteObject] = []
        reasons: Counter[str] = Counter()
        for row in rows:
            for number, reason, area in complete_objects(
                self.records[row], self.settings, self.reject
            ):
                if reason:
                    reasons[reason] += 1
                else:
                    category = self.records[row]["annotations"][number]["dataset_category_id"]
                    objects.append(CompleteObject(row, number, category, area))
        return objects, reasons

    def enter_worker(self, number: int) -> None:
        """Nothing to prepare."""


def complete_objects(
    record: Mapping, settings: BankSettings, reject: Collection[int | str] = ()
) -> Iterator[tuple[int, str, int]]:
    """Judge the annotations of an image.

    Yields:
        Row of each annotation, why it is left out ("" for a complete object), and its area.
    """
    annotations = record["annotations"]
    masks = [_mask(a) for a in annotations]
    is_crowd = [bool(a.get("iscrowd", 0)) for a in annotations]
    boxes = np.array([mask.box for mask in masks], dtype=np.int64).reshape(-1, 4)
    near: dict[int, list[int]] = {}
    for i, j in meeting_pairs(boxes, settings.apart + 1).tolist():
        near.setdefault(i, []).append(j)
        near.setdefault(j, []).append(i)
    for row, (annotation, mask) in enumerate(zip(annotations, masks, strict=True)):
        others = [j for j in near.get(row, ()) if not masks[j].is_empty]
        yield (
            row,
            _reason(
                record,
                annotation,
                mask,
                settings,
                reject,
                [(masks[j], is_crowd[j]) for j in others],
            ),
            mask.area,
        )


def _reason(
    record: Mapping,
    annotation: Mapping,
    mask: WindowMask,
    settings: BankSettings,
    reject: Collection[int | str],
    near: Sequence[tuple[WindowMask, bool]],
) -> str:
    """Why an annotation is no complete object; "" for one that is.

    Args:
        near: the masks whose boxes come near, and whether each is a crowd's.
    """
    if annotation.get("iscrowd", 0):
        return "crowd region"
    if annotation["id"] in reject:
        return "rejected by id"
    area = mask.area
    if area < settings.min_area:
        return "too small"
    amodal = annotation.get("amodal_segmentation")
    if amodal is not None and WindowMask.from_rle(amodal).area > area:
        return "hidden by its labels"
    x0, y0, x1, y1 = mask.box
    box_area = (x1 - x0) * (y1 - y0)
    # A crowd's box says nothing; its mask is asked below.
    for other, is_crowd in near:
        common = intersect_boxes(mask.box, other.box)
        if common is None or is_crowd:
            continue
        shared = (common[2] - common[0]) * (common[3] - common[1])
        if shared > settings.box_overlap * box_area:
            return "box meets another's"
    edge = settings.border
    if min(x0, y0) < edge or x1 > record["width"] - edge or y1 > record["height"] - edge:
        return "at the image's border"
    _, _, parts, _ = cv2.connectedComponentsWithStats(mask.array.view(np.uint8), connectivity=8)
    if parts[1:, cv2.CC_STAT_AREA].max() < settings.main_part * area:
        return "several parts"
    if area < settings.fill * box_area:
        return "fills too little of its box"
    if any(_is_near(mask, other, settings.apart) for other, _ in near):
        return "near another mask"
    return ""


def _is_near(mask: WindowMask, other: WindowMask, apart: int) -> bool:
    """Whether a pixel of one is within ``apart`` px of the other; 0: whether they overlap."""
    grown = mask.dilate(2 * apart + 1) if apart else mask
    return grown.intersection_area(other) > 0


def _mask(annotation: Mapping) -> WindowMask:
    return WindowMask.from_rle(annotation["modal_segmentation"])
