"""The hidden objects of a data set that pictures of several methods show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..data.scenes import scene_from_record
from ..structures import Scene, SceneTruth, WindowMask

# Hidden share of the objects that are shown.
LEAST_HIDDEN, MOST_HIDDEN = 0.25, 0.75


@dataclass(frozen=True, eq=False)
class HiddenObject:
    """An object of a scene, and what is known about it.

    Attributes:
        row: its own in the scene.
    """

    scene: Scene
    truth: SceneTruth
    row: int

    @property
    def modal_mask(self) -> WindowMask:
        return self.scene.modal_masks[self.row]

    @property
    def amodal_mask(self) -> WindowMask:
        """The true one."""
        return self.truth.amodal_masks[self.row]

    @property
    def photo(self) -> np.ndarray | None:
        """The image as it would be if nothing hid the object; None where nobody knows."""
        known = self.truth.unhidden
        return None if known is None else known(self.row, self.scene.image)


def choose_hidden_objects(records: Sequence[dict], count: int) -> list[HiddenObject]:
    """Objects of as many images, chosen by the truth alone.

    Of each image it is the largest object of the commonest category that is hidden by a quarter to
    three quarters; of the images those with the largest, the largest first.

    Args:
        records: dataset dicts, whose images are read.
        count: at most.
    """
    categories = Counter(a["dataset_category_id"] for r in records for a in r["annotations"])
    if not categories:
        return []
    commonest = max(categories, key=lambda category: (categories[category], -category))
    sizes: list[tuple[int, int, int]] = []
    for number, record in enumerate(records):
        scene, truth = scene_from_record(record)
        objects = [
            (truth.amodal_masks[row].area, row)
            for row, mask in enumerate(scene.modal_masks)
            if truth.amodal_masks is not None
            and truth.knows_whole(row)
            and scene.category_ids[row] == commonest
            and LEAST_HIDDEN < 1 - mask.area / max(truth.amodal_masks[row].area, 1) <= MOST_HIDDEN
        ]
        if objects:
            area, row = max(objects, key=lambda o: o[0])
            sizes.append((area, number, row))
    sizes.sort(key=lambda found: -found[0])
    return [
        HiddenObject(*scene_from_record(records[number], load_image=True), row)
        for _, number, row in sizes[:count]
    ]


def best_mask(masks: Sequence[WindowMask], true: WindowMask) -> WindowMask | None:
    """The mask of the highest IoU with a true one; None where all miss it."""

    best = max(masks, key=true.iou, default=None)
    return best if best is not None and best.iou(true) > 0 else None
