"""All instances of a data set in a few flat arrays.

Training draws instances, and pairs of them, from the whole data set. Python dicts would cost a
kilobyte an instance in every worker; the table costs the bytes of the compressed masks, and forked
workers share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import UserError
from ..structures.run_lengths import area_of, box_of
from ..structures.square_crop import adaptive_side
from ..structures.window_mask import WindowMask
from .compressed_masks import CompressedMasks
from .full_objects import FullObject, full_object_of
from .places import place_of

# The column of the true colours.
FULL_OBJECT = "full_object"


class InstanceTable:
    """The usable instances of a data set: N modal masks, maybe further ones, category and image.

    Attributes:
        category_ids: (N,) int64, ids of the data set.
        image_index: (N,) int32, row of ``file_names``.
        file_names: image files; they need not exist unless colours are used.
        image_sizes: (height, width) of each, in pixels, as the annotations say.
        full_objects: where the true colours of each are; empty unless they are kept.
        crowds, empty, small, unknown: numbers of instances left out: crowd regions, those without a
            visible pixel, squares under the minimum, and, where amodal masks are kept, those whose
            labels do not know the whole object (``amodal_exact``), and where colours are kept,
            those whose hidden ones nobody knows.
    """

    def __init__(
        self,
        records: Iterable[dict],
        *,
        min_square: float = 5.0,
        enlarge: float = 3.0,
        columns: Sequence[str] = (),
    ) -> None:
        """
        Args:
            records: dataset dicts with ``modal_segmentation`` (compressed RLE) per annotation.
            min_square: smallest usable square side in pixels.
            enlarge: as in ``SquareCrop.around``.
            columns: masks that are kept beside the modal ones, such as "amodal": every annotation
                must have its ``{column}_segmentation`` then; and "full_object", colours of whole
                objects.

        Raises:
            UserError: an annotation has no mask of a column, or a damaged one.
        """
        names = ("modal", *(c for c in columns if c not in ("modal", FULL_OBJECT)))
        self.full_objects: list[FullObject] = []
        rles: dict[str, list[dict]] = {name: [] for name in names}
        categories: list[int] = []
        image_index: list[int] = []
        self.file_names: list[str] = []
        self.image_sizes: list[tuple[int, int]] = []
        self.crowds = self.empty = self.small = self.unknown = 0
        for record in records:
            self.file_names.append(record["file_name"])
            self.image_sizes.append((record["height"], record["width"]))
            self.empty += record.get("without_visible_pixel", 0)
            for annotation in record["annotations"]:
                if annotation.get("iscrowd", 0):
                    self.crowds += 1
                    continue
                if "amodal" in names and annotation.get("amodal_exact") is False:
                    self.unknown += 1
                    continue
                masks = [_checked(record, annotation, name) for name in names]
                _, _, w, h = box_of(masks[0])
                if not w:
                    self.empty += 1
                    continue
                if adaptive_side((0, 0, w, h), enlarge) < min_square:
                    self.small += 1
                    continue
                if FULL_OBJECT in columns:
                    colours = full_object_of(record, annotation)
                    if colours is None:
                        self.unknown += 1
                        continue
                    self.full_objects.append(colours)
                for name, mask in zip(names, masks, strict=True):
                    rles[name].append(mask)
                categories.append(annotation["dataset_category_id"])
                image_index.append(len(self.file_names) - 1)

        self.category_ids = np.array(categories, dtype=np.int64)
        self.image_index = np.array(image_index, dtype=np.int32)
        self._masks = {name: CompressedMasks(column) for name, column in rles.items()}

    def __len__(self) -> int:
        return len(self.category_ids)

    def mask(self, index: int, column: str) -> WindowMask:
        """A mask of one instance, in image coordinates.

        Raises:
            ValueError: the table was made without this column.
        """
        if column not in self._masks:
            raise ValueError(
                f"the table holds no {column} masks: make it with columns=[{column!r}]"
            )
        return self._masks[column][index]

    def modal_mask(self, index: int) -> WindowMask:
        """The modal mask of one instance, in image coordinates."""
        return self.mask(index, "modal")

    def amodal_mask(self, index: int) -> WindowMask:
        """The amodal mask of one instance; see ``mask``."""
        return self.mask(index, "amodal")

    def beside(self, index: int) -> range:
        """The usable instances of an instance's image, itself among them."""
        image = self.image_index[index]
        start, stop = np.searchsorted(self.image_index, [image, image + 1])
        return range(int(start), int(stop))

    def file_name(self, index: int) -> str:
        """The image file of one instance."""
        return self.file_names[self.image_index[index]]

    def image_size(self, index: int) -> tuple[int, int]:
        """(H, W) of the image of one instance."""
        return self.image_sizes[self.image_index[index]]


def _checked(record: dict, annotation: dict, column: str) -> dict:
    """The RLE of a column. A damaged one would be met in the middle of a training."""
    key = f"{column}_segmentation"
    if key not in annotation:
        raise UserError(
            f"{place_of(record, annotation)}: no {column} mask to train on; name data with "
            f"{column} masks in DATASETS.TRAIN"
        )
    try:
        area_of(annotation[key])
    except UserError as error:
        raise UserError(f"{place_of(record, annotation)}: '{key}': {error}") from None
    return annotation[key]
