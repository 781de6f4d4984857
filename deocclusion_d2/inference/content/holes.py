"""What content completion has to fill, and what it may look at (Sec. 3.4, eq. 5).

Shape shorthand: H, W: image height and width in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from ...structures import SquareCrop, WindowMask
from ...structures.window_mask import Box, crop_window, intersect_boxes
from .sources import inner_pixels

# Least distance in pixels between a hole of the background and the border of its square.
_MARGIN = 8
# Holes of the background share a square while its side is at most this many pixels, or ...
_SHARED_SIDE = 128
# ... this many times the side that the smaller hole would get by itself: it loses resolution.
_SHARED_RATIO = 2
_GROWTH = 1.25


class Sources(NamedTuple):
    """Pixels of a box from which a hole's colours may be taken, each (h, w) bool.

    Attributes:
        seen: all that may be looked at.
        visible: those of them that the object itself (or the background) shows.
    """

    seen: np.ndarray
    visible: np.ndarray


class Crops(NamedTuple):
    """A hole inside its square, each (side, side) bool.

    Attributes:
        seen: pixels that may be looked at.
        visible: pixels that the object itself (or the background) shows.
        missing: pixels to be filled.
        inside: pixels of the image.
    """

    seen: np.ndarray
    visible: np.ndarray
    missing: np.ndarray
    inside: np.ndarray


@dataclass(frozen=True, eq=False)
class Hole:
    """Hidden pixels of one object or of the background.

    Attributes:
        image: (H, W, 3) uint8 RGB, the whole photo.
        missing: pixels to be filled, inside the image.
        visible: pixels of the same object (or of no object, for the background).
        taken: pixels of all objects. Those that are not ``visible`` are never looked at.
        square: what the network sees; it holds all of ``missing``.
        category_id: the object's; 1 for the background.
    """

    image: np.ndarray
    missing: WindowMask
    visible: WindowMask
    taken: WindowMask
    square: SquareCrop
    category_id: int = 1

    def crops(self, inset: int = 0) -> Crops:
        """The masks inside the square. For ``inset`` see ``sources``."""
        box = self.square.box
        inside = ~self.square.sample_outside(self.image.shape[:2], self.square.side)
        seen, visible = self.sources(box, inset)
        return Crops(seen, visible, self.missing.crop(box), inside)

    def sources(self, box: Box, inset: int = 0) -> Sources:
        """What the pixels of a box may be filled from.

        Args:
            box: in pixels of the image, also beyond its border.
            inset: pixels within this many of a border are left out, where enough others remain:
                there the colours of neighbours mix. See ``inner_pixels``.
        """
        height, width = self.image.shape[:2]
        # As far around as what is left out depends on.
        reach = 2 * inset + 1
        x0, y0, x1, y1 = box
        frame = (0, 0, width, height)
        around = intersect_boxes((x0 - reach, y0 - reach, x1 + reach, y1 + reach), frame)
        seen = np.zeros((y1 - y0, x1 - x0), dtype=bool)
        visible = seen.copy()
        if around is None:
            return Sources(seen, visible)
        missing = self.missing.crop(around)
        own = self.visible.crop(around) & ~missing
        free = ~self.taken.crop(around) & ~missing & ~own
        own, free = inner_pixels(own, inset), inner_pixels(free, inset)
        for target, source in ((seen, own | free), (visible, own)):
            target[:] = crop_window(source, around[0], around[1], box)
        return Sources(seen, visible)


def object_hole(
    image: np.ndarray,
    modal: WindowMask,
    missing: WindowMask,
    taken: WindowMask,
    category_id: int,
    enlarge: float = 3.0,
) -> Hole:
    """The hole of one object (eq. 5): what its ancestors hide of its amodal mask.

    Args:
        image: (H, W, 3) uint8 RGB.
        modal: its visible pixels.
        missing: amodal mask without modal mask; not empty.
        taken: the union of all objects' modal masks.
        enlarge: of the square around the amodal box; see ``SquareCrop.around``.
    """
    a, b = modal.box, missing.box
    amodal_box = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
    return Hole(image, missing, modal, taken, square_of(amodal_box, enlarge), category_id)


def background_holes(
    image: np.ndarray, taken: WindowMask, enlarge: float = 3.0, context: float = 0.3
) -> list[Hole]:
    """The holes that the objects leave in the background: its connected parts.

    Every part gets a square of the image with enough background around it. Parts inside the square
    of another share it, unless that would cost them much resolution.

    Args:
        image: (H, W, 3) uint8 RGB.
        taken: the union of all objects' modal and amodal masks.
        enlarge: of the square around a part's box; see ``SquareCrop.around``.
        context: a square grows until this share of its pixels in the image is background, or the
            whole image is inside.
    """
    height, width = image.shape[:2]
    filled = taken.to_array(height, width)
    background = WindowMask.from_array(~filled)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(filled.view(np.uint8), connectivity=8)
    boxes = {
        part: (int(x), int(y), int(x + w), int(y + h))
        for part, (x, y, w, h) in enumerate(stats[:, :4])
        if part
    }
    sums = cv2.integral((~filled).view(np.uint8))
    squares = {part: _background_square(box, sums, enlarge, context) for part, box in boxes.items()}
    holes = []
    waiting = sorted(squares, key=lambda part: (-squares[part].side, part))
    while waiting:
        square = squares[waiting[0]]
        members = [
            part
            for part in waiting
            if contains(square.box, boxes[part])
            and square.side <= max(_SHARED_SIDE, _SHARED_RATIO * squares[part].side)
        ]
        left, top, right, bottom = square.box
        left, top = max(left, 0), max(top, 0)
        part_labels = labels[top:bottom, left:right]
        missing = WindowMask.from_array(np.isin(part_labels, members), left, top)
        holes.append(Hole(image, missing, background, taken, square))
        waiting = [part for part in waiting if part not in members]
    return holes


def square_of(box: Box, enlarge: float) -> SquareCrop:
    """``SquareCrop.around``; where rounding would cut a pixel of the box off, it is kept."""
    square = SquareCrop.around(box, enlarge)
    while not contains(square.box, box):
        square = SquareCrop(square.x0 - 1, square.y0 - 1, square.side + 2)
    return square


def contains(outer: Box, inner: Box) -> bool:
    """Whether a box lies inside another."""
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and outer[2] >= inner[2]
        and outer[3] >= inner[3]
    )


def _background_square(box: Box, sums: np.ndarray, enlarge: float, context: float) -> SquareCrop:
    """``sums`` is the integral image of the background pixels, (H + 1, W + 1)."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    x, y = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
    longer = max(box[2] - box[0], box[3] - box[1])
    side = max(square_of(box, enlarge).side, longer + 2 * _MARGIN)
    while True:
        square = SquareCrop(_start(x, side, width), _start(y, side, height), side)
        left, top = max(square.x0, 0), max(square.y0, 0)
        right, bottom = min(square.x0 + side, width), min(square.y0 + side, height)
        free = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        area = (bottom - top) * (right - left)
        if free >= context * area or area == height * width:
            return square
        side = min(int(side * _GROWTH) + 1, max(height, width, side + 1))


def _start(centre: int, side: int, length: int) -> int:
    """First pixel of a side around a centre, moved into the image as far as it fits."""
    if side >= length:
        return (length - side) // 2
    return min(max(centre - side // 2, 0), length - side)
