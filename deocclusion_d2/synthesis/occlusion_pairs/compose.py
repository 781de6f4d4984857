"""A pair as picture and annotations: the occluder is pasted over the photo of what it hides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ...structures import WindowMask
from ..visibility import MIN_VISIBLE_PIXELS, MIN_VISIBLE_SHARE
from .bank import Bank
from .draw import Pair, resampling

# Annotation ids are image id * MAX_OBJECTS + rank + 1: they depend on the image alone.
MAX_OBJECTS = 10_000


@dataclass(frozen=True)
class Composition:
    """The masks of an image with a pasted object.

    Attributes:
        host: dataset dict of the photo.
        pair: what was pasted where.
        occluder, occludee: amodal masks; the occluder's is visible as a whole.
        visible: what is left of the occludee.
        others: row in the host's annotations -> what is left of it. Objects of which too little is
            left are not there: their pixels belong to the background.
    """

    host: Mapping
    pair: Pair
    occluder: WindowMask
    occludee: WindowMask
    visible: WindowMask
    others: Mapping[int, WindowMask]

    @classmethod
    def of(cls, bank: Bank, pair: Pair) -> Composition:
        host = bank.records[pair.occludee.record]
        occluder, occludee = pair.occluder_mask(bank), bank.mask(pair.occludee)
        others = {}
        for row, annotation in enumerate(host["annotations"]):
            if row == pair.occludee.annotation:
                continue
            mask = WindowMask.from_rle(annotation["modal_segmentation"])
            left = mask - occluder
            if annotation.get("iscrowd", 0):
                enough = not left.is_empty
            else:
                enough = left.area >= max(MIN_VISIBLE_PIXELS, MIN_VISIBLE_SHARE * mask.area)
            # What the paste does not reach stays, however small it is.
            if enough or (left.area == mask.area and left.area):
                others[row] = left
        return cls(host, pair, occluder, occludee, occludee - occluder, others)

    @property
    def hidden_share(self) -> float:
        """Share of the occludee's area that is hidden."""
        return 1 - self.visible.area / self.occludee.area

    def annotations(self, bank: Bank, image_id: int) -> list[dict[str, Any]]:
        """COCO annotations in the keys of a conversion (``pseudo_amodal``): occluder, occludee,
        then the others in the order of the host.

        Further keys: ``role`` ("occluder", "occludee", "other"), ``source_id`` and
        ``source_image_id`` (the annotation it was, and that one's image), ``amodal_exact`` (whether
        the amodal mask is the whole object; of others it is what was visible in the host, unless
        that has labels of its own).
        """
        pair, height, width = self.pair, self.host["height"], self.host["width"]
        other_photo = bank.records[pair.occluder.record]
        front = bank.annotation(pair.occluder)
        rows = [
            ("occluder", front, other_photo, self.occluder, self.occluder, True),
            (
                "occludee",
                bank.annotation(pair.occludee),
                self.host,
                self.occludee,
                self.visible,
                True,
            ),
        ]
        for row, left in self.others.items():
            annotation = self.host["annotations"][row]
            known = annotation.get("amodal_segmentation")
            whole = WindowMask.from_rle(known or annotation["modal_segmentation"])
            rows.append(("other", annotation, self.host, whole, left, known is not None))
        first = image_id * MAX_OBJECTS + 1
        made = []
        for rank, (role, source, photo, amodal, modal, exact) in enumerate(rows):
            is_hidden = rank > 0 and amodal.intersection_area(self.occluder) > 0
            is_crowd = int(source.get("iscrowd", 0))
            entry: dict[str, Any] = {
                "id": first + rank,
                "image_id": image_id,
                "category_id": source["dataset_category_id"],
                "iscrowd": is_crowd,
            }
            if is_crowd:
                # A crowd region has one mask, as in COCO.
                amodal = modal
            entry |= {
                "segmentation": amodal.to_rle(height, width),
                "bbox": [float(v) for v in amodal.xywh],
                "area": float(amodal.area),
            }
            if not is_crowd:
                entry |= {
                    "modal_segmentation": modal.to_rle(height, width),
                    "modal_bbox": [float(v) for v in modal.xywh],
                    "occluder_ids": [first] if is_hidden else [],
                    "occlusion_rate": round(1 - modal.area / amodal.area, 6),
                }
            entry |= {
                "role": role,
                "source_id": source["id"],
                "source_image_id": photo["image_id"],
                "amodal_exact": exact,
            }
            made.append(entry)
        return made


def paste(
    host: np.ndarray,
    photo: np.ndarray,
    source: WindowMask,
    pair: Pair,
    mask: WindowMask,
    feather: bool,
) -> np.ndarray:
    """The photo of a host with the occluder's colours in it; all other pixels are the host's.

    Args:
        host: (H, W, 3) uint8; left as it is.
        photo: (H', W', 3) uint8, the occluder's.
        source: the occluder's mask in its photo.
        pair: where it goes.
        mask: the occluder's mask in the host.
        feather: whether the occluder's outermost pixels are mixed with the host's colours, by how
            many of the 3 x 3 pixels around are the occluder's.

    Returns:
        (H, W, 3) uint8.
    """
    x0, y0, x1, y1 = source.box
    window = photo[y0:y1, x0:x1]
    if pair.flipped:
        window = window[:, ::-1]
    if window.shape[:2] != pair.size:
        window = cv2.resize(
            np.ascontiguousarray(window),
            pair.size[::-1],
            interpolation=resampling(window.shape[:2], pair.size),
        )
    # A resized mask may end inside of its window.
    x0, y0, x1, y1 = mask.box
    x, y = pair.corner
    colours = window[y0 - y : y1 - y, x0 - x : x1 - x]
    result = host.copy()
    target = result[y0:y1, x0:x1]
    if feather:
        around = mask.crop((x0 - 1, y0 - 1, x1 + 1, y1 + 1)).astype(np.float32)
        share = cv2.blur(around, (3, 3))[1:-1, 1:-1, None]
        colours = np.rint(share * colours + (1 - share) * target).astype(np.uint8)
    target[mask.array] = colours[mask.array]
    return result
