"""The true colours of whole objects, where somebody knows them.

A renderer knows them (``full_object`` of an annotation); and where a complete object was pasted
over another one, the photo before shows what the paste hides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError
from ..structures import WindowMask
from ..structures.window_mask import Box, intersect_boxes
from .images import read_layer, read_rgb
from .places import place_of


@dataclass(frozen=True)
class FullObject:
    """Where the colours of a whole object are.

    Attributes:
        file_name: of its own picture, or of a photo that shows it whole.
        box: (x0, y0, x1, y1), the pixels of the image that its own picture holds; None for a photo
            of the image's size.
        image_size: (H, W) of the image.
        whole: COCO RLE of its amodal mask, which its own picture must be opaque in; None for a
            photo.
        where: how messages name it.
    """

    file_name: str
    box: Box | None
    image_size: tuple[int, int]
    whole: Mapping[str, Any] | None = None
    where: str = ""

    def colours(self, box: Box) -> np.ndarray:
        """The colours in a box of the image, zero where nothing is known.

        Returns:
            (y1 - y0, x1 - x0, 3) uint8 RGB; of an object's own picture what lies inside of its
            amodal mask.

        Raises:
            UserError: the file cannot be read, has another size, or is of another mask.
        """
        if self.box is None:
            picture, (x0, y0) = self._photo(), (0, 0)
        else:
            x0, y0 = self.box[:2]
            layer = self._layer()
            picture = layer[:, :, :3] * (layer[:, :, 3:] > 0)
        height, width = picture.shape[:2]
        found = np.zeros((box[3] - box[1], box[2] - box[0], 3), np.uint8)
        common = intersect_boxes(box, (x0, y0, x0 + width, y0 + height))
        if common is not None:
            left, top, right, bottom = common
            found[top - box[1] : bottom - box[1], left - box[0] : right - box[0]] = picture[
                top - y0 : bottom - y0, left - x0 : right - x0
            ]
        return found

    def photo(self, image: np.ndarray) -> np.ndarray:
        """The image as it would be if nothing hid the object; see ``colours`` for errors.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        if self.box is None:
            return self._photo()
        x0, y0, x1, y1 = self.box
        layer = self._layer()
        photo = image.copy()
        window = photo[y0:y1, x0:x1]
        whole = layer[:, :, 3] > 0
        window[whole] = layer[:, :, :3][whole]
        return photo

    def _photo(self) -> np.ndarray:
        try:
            return read_rgb(self.file_name, self.image_size)
        except UserError as error:
            raise UserError(f"{self.where}: {error}") from None

    def _layer(self) -> np.ndarray:
        """Its own picture, (h, w, 4) uint8 RGBA."""
        x0, y0, x1, y1 = self.box
        try:
            layer = read_layer(self.file_name, (y1 - y0, x1 - x0))
        except UserError as error:
            raise UserError(f"{self.where}: {error}") from None
        if self.whole is not None:
            shown = WindowMask.from_array(layer[:, :, 3] > 0, x0, y0)
            if shown != WindowMask.from_rle(self.whole):
                raise UserError(
                    f"{self.where}: {self.file_name} is not transparent where the amodal mask "
                    "ends, or the other way round: make both of the same object"
                )
        return layer


@dataclass(frozen=True)
class Unhidden:
    """See ``SceneTruth.unhidden``.

    Attributes:
        objects: of every instance; None where nobody knows.
    """

    objects: list[FullObject | None]

    def knows(self, row: int) -> bool:
        return self.objects[row] is not None

    def __call__(self, row: int, image: np.ndarray) -> np.ndarray | None:
        found = self.objects[row]
        return None if found is None else found.photo(image)


def knows_hidden_colours(record: Mapping[str, Any]) -> bool:
    """Whether somebody knows colours in an image that nothing shows."""
    return bool(record.get("source_image")) or any(
        "full_object" in annotation for annotation in record["annotations"]
    )


def full_object_of(record: Mapping[str, Any], annotation: Mapping[str, Any]) -> FullObject | None:
    """The true colours of an annotation's object; None where nobody knows them.

    Args:
        record, annotation: a dataset dict of this package, and one of its annotations.
    """
    size, where = (record["height"], record["width"]), place_of(record, annotation)
    if "full_object" in annotation:
        x, y, w, h = (int(value) for value in annotation["full_object_box"])
        box, mask = (x, y, x + w, y + h), annotation.get("amodal_segmentation")
        return FullObject(annotation["full_object"], box, size, mask, where)
    if "amodal_segmentation" not in annotation or annotation.get("amodal_exact") is False:
        return None
    if _is_visible(annotation):
        return FullObject(record["file_name"], None, size, where=where)
    if record.get("source_image"):
        return FullObject(record["source_image"], None, size, where=where)
    return None


def _is_visible(annotation: Mapping[str, Any]) -> bool:
    """Whether nothing hides an object."""
    visible = annotation.get("true_modal_segmentation", annotation["modal_segmentation"])
    whole = annotation["amodal_segmentation"]
    return visible == whole or WindowMask.from_rle(visible) == WindowMask.from_rle(whole)
