"""All instances of a data set in a few flat arrays.

Training draws pairs of instances from the whole data set. Python dicts would cost a kilobyte an
instance in every worker; the table costs the bytes of the compressed masks, and forked workers
share it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pycocotools import mask as mask_util

from ..structures.square_crop import adaptive_side
from ..structures.window_mask import WindowMask


class InstanceTable:
    """The usable instances of a data set: N modal masks with category and image.

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
    ) -> None:
        """
        Args:
            records: dataset dicts with ``modal_segmentation`` (compressed RLE) per annotation.
            min_square: smallest usable square side in pixels.
            enlarge: as in ``SquareCrop.around``.
        """
        rles: list[dict] = []
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
        self._sizes = np.array([rles[i]["size"] for i in kept], dtype=np.int32).reshape(-1, 2)
        counts = [_as_bytes(rles[i]["counts"]) for i in kept]
        self._offsets = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum([len(c) for c in counts], out=self._offsets[1:])
        self._counts = np.frombuffer(b"".join(counts), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.category_ids)

    def modal_mask(self, index: int) -> WindowMask:
        """The modal mask of one instance, in image coordinates."""
        counts = self._counts[self._offsets[index] : self._offsets[index + 1]].tobytes()
        height, width = (int(v) for v in self._sizes[index])
        return WindowMask.from_rle({"size": [height, width], "counts": counts})

    def file_name(self, index: int) -> str:
        """The image file of one instance."""
        return self.file_names[self.image_index[index]]


def _as_bytes(counts: bytes | str) -> bytes:
    return counts.encode("ascii") if isinstance(counts, str) else counts
