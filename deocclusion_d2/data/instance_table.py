"""All instances of a data set in a few flat arrays.

Training draws instances, and pairs of them, from the whole data set. Python dicts would cost a
kilobyte an instance in every worker; the table costs the bytes of the compressed masks, and forked
workers share it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from pycocotools import mask as mask_util

from ..errors import UserError
from ..structures.neighbours import neighbour_pairs
from ..structures.square_crop import adaptive_side
from ..structures.window_mask import WindowMask
from .compressed_masks import CompressedMasks


class InstanceTable:
    """The usable instances of a data set: N modal masks, maybe amodal ones, category and image.

    Attributes:
        category_ids: (N,) int64, ids of the data set.
        image_index: (N,) int32, row of ``file_names``.
        file_names: image files; they need not exist unless colours are used.
        skipped: number of instances left out: crowds, empty masks and squares under the minimum.
    """

    def __init__(
        self,
        records: Iterable[dict],
        *,
        min_square: float = 5.0,
        enlarge: float = 3.0,
        with_amodal: bool = False,
    ) -> None:
        """
        Args:
            records: dataset dicts with ``modal_segmentation`` (compressed RLE) per annotation.
            min_square: smallest usable square side in pixels.
            enlarge: as in ``SquareCrop.around``.
            with_amodal: keep ``amodal_segmentation`` too, which every annotation must have then.

        Raises:
            UserError: an annotation has no amodal mask, and they are asked for.
        """
        rles: list[dict] = []
        amodal_rles: list[dict] = []
        categories: list[int] = []
        image_index: list[int] = []
        self.file_names: list[str] = []
        self.skipped = 0
        for record in records:
            self.file_names.append(record["file_name"])
            for annotation in record["annotations"]:
                if annotation.get("iscrowd", 0):
                    self.skipped += 1
                    continue
                rles.append(annotation["modal_segmentation"])
                if with_amodal:
                    amodal_rles.append(_amodal_rle(record, annotation))
                categories.append(annotation["dataset_category_id"])
                image_index.append(len(self.file_names) - 1)

        boxes = np.asarray(mask_util.toBbox(rles) if rles else np.zeros((0, 4))).reshape(-1, 4)
        keep = np.array(
            [w > 0 and h > 0 and adaptive_side((0, 0, w, h), enlarge) >= min_square
             for _, _, w, h in boxes],
            dtype=bool,
        )  # fmt: skip
        self.skipped += int((~keep).sum())
        kept = np.flatnonzero(keep)
        self.category_ids = np.array(categories, dtype=np.int64)[kept]
        self.image_index = np.array(image_index, dtype=np.int32)[kept]
        self._modal_masks = CompressedMasks([rles[i] for i in kept])
        self._amodal_masks = (
            CompressedMasks([amodal_rles[i] for i in kept]) if with_amodal else None
        )

    def __len__(self) -> int:
        return len(self.category_ids)

    def modal_mask(self, index: int) -> WindowMask:
        """The modal mask of one instance, in image coordinates."""
        return self._modal_masks[index]

    def amodal_mask(self, index: int) -> WindowMask:
        """The amodal mask of one instance, in image coordinates.

        Raises:
            ValueError: the table was made without them.
        """
        if self._amodal_masks is None:
            raise ValueError("the table holds no amodal masks: make it with with_amodal=True")
        return self._amodal_masks[index]

    def isolated(self) -> np.ndarray:
        """Which instances touch no other usable instance of their image: (N,) bool.

        Nothing in the data set hides these, so their modal masks are whole shapes.
        """
        isolated = np.ones(len(self), dtype=bool)
        # The instances of an image stand together.
        starts = np.flatnonzero(np.diff(self.image_index, prepend=-1))
        for start, stop in pairwise([*starts, len(self)]):
            masks = [self.modal_mask(i) for i in range(start, stop)]
            for pair in neighbour_pairs(masks):
                isolated[[start + i for i in pair]] = False
        return isolated

    def beside(self, index: int) -> range:
        """The usable instances of an instance's image, itself among them."""
        image = self.image_index[index]
        start, stop = np.searchsorted(self.image_index, [image, image + 1])
        return range(int(start), int(stop))

    def file_name(self, index: int) -> str:
        """The image file of one instance."""
        return self.file_names[self.image_index[index]]


def _amodal_rle(record: dict, annotation: dict) -> dict:
    if "amodal_segmentation" not in annotation:
        raise UserError(
            f"image {record['image_id']!r} ({record['file_name']}), annotation "
            f"{annotation['id']!r}: no amodal mask to train on; name data with amodal masks in "
            "DATASETS.TRAIN"
        )
    return annotation["amodal_segmentation"]
