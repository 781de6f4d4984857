"""Content completion (Sec. 3.4, eq. 5): colours for what is hidden, at the photo's resolution.

Shape shorthand: S: side of a patch in pixels; h, w: window of a hole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ...modeling.category_ids import KnownCategories
from .holes import Hole
from .seam import correct_seam

# How far the seam correction reaches into a hole: pixels, or a share of the square's side.
_SEAM_PIXELS = 16.0
_SEAM_SHARE = 1 / 8

if TYPE_CHECKING:
    from ..network_runner import NetworkRunner


class ContentFiller(ABC):
    """Fills holes of photos: the third step, after ordering and completion.

    Attributes:
        uses_rgb, uses_category, categories: see ``inference/steps.py``.
        runners: what runs the networks, if there are any.
        enlarge: of the squares around holes; see ``SquareCrop.around``.
        context: least share of background in the square of a hole of the background; see
            ``background_holes``.
    """

    uses_rgb = True
    uses_category = False
    categories = KnownCategories()
    runners: Sequence[NetworkRunner] = ()
    enlarge: float = 3.0
    context: float = 0.3

    @abstractmethod
    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        """Colours for holes; those of a hole do not depend on the others.

        Returns:
            For each hole (h, w, 3) uint8 RGB, the window ``hole.missing.box``. Only the missing
            pixels of it mean anything.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What decides the colours besides weights and input: names and numbers, for JSON."""


def content_sample(hole: Hole, size: int, inset: int = 0) -> dict[str, np.ndarray]:
    """A hole as networks see it.

    Pixels that may not be looked at are erased before the patch is resized, and the colour of a
    patch pixel is the mean of the others that it covers: nothing of them shines through.

    Args:
        size: S.
        inset: only pixels this far inside masks may be looked at; see ``Hole.sources``.

    Returns:
        ``image`` (S, S, 3) uint8 RGB, 0 where it is not valid; ``modal_mask``, ``hole`` and
        ``outside`` (S, S) uint8 0/1: pixels of the object, pixels to be filled (or not to be looked
        at), and pixels beyond the image; ``category_id`` int64.
    """
    crops = hole.crops(inset)
    photo = hole.square.crop_image(hole.image).astype(np.float32)
    shares = np.dstack([crops.seen, crops.visible, crops.inside]).astype(np.float32)
    photo *= shares[..., :1]
    seen, visible, inside = np.moveaxis(_resize(shares, size), -1, 0)
    valid = seen >= 0.5
    image = np.zeros((size, size, 3), dtype=np.uint8)
    colours = _resize(photo, size)[valid] / seen[valid][:, None]
    image[valid] = np.clip(np.round(colours), 0, 255)
    return {
        "image": image,
        "modal_mask": (valid & (2 * visible >= seen)).view(np.uint8),
        "hole": (~valid & (inside >= 0.5)).view(np.uint8),
        "outside": (~valid & (inside < 0.5)).view(np.uint8),
        "category_id": np.asarray(hole.category_id, dtype=np.int64),
    }


def at_full_resolution(
    hole: Hole, patch: np.ndarray, soft_seam: bool, inset: int = 0
) -> np.ndarray:
    """What fills a hole: a patch of its square, as the window of the missing pixels.

    Args:
        patch: (S, S, 3).
        soft_seam: correct the colours next to visible pixels; see ``correct_seam``.
        inset: by visible pixels this far inside the mask; see ``Hole.sources``.

    Returns:
        (h, w, 3) uint8.
    """
    square, (height, width) = hole.square, hole.image.shape[:2]
    filled = _resize(np.asarray(patch, dtype=np.float32), square.side)
    reach = seam_reach(square.side)
    # The missing pixels, and as much around them as the seam is corrected by.
    around = int(reach)
    x0, y0, x1, y1 = hole.missing.box
    left, top = max(x0 - around, square.x0, 0), max(y0 - around, square.y0, 0)
    right = min(x1 + around, square.x0 + square.side, width)
    bottom = min(y1 + around, square.y0 + square.side, height)
    filled = filled[top - square.y0 : bottom - square.y0, left - square.x0 : right - square.x0]
    if soft_seam:
        box = (left, top, right, bottom)
        missing = hole.missing.crop(box)
        visible = hole.sources(box, inset).visible
        filled = correct_seam(filled, hole.image[top:bottom, left:right], visible, missing, reach)
    filled = filled[y0 - top : y1 - top, x0 - left : x1 - left]
    return np.clip(np.round(filled), 0, 255).astype(np.uint8)


def seam_reach(side: int) -> float:
    """How far the seam of a hole is corrected, in pixels.

    Args:
        side: of what is filled in.
    """
    return max(_SEAM_PIXELS, _SEAM_SHARE * side)


def _resize(array: np.ndarray, size: int) -> np.ndarray:
    """Resize a square (n, n, C) float32: means of areas to shrink, bilinear to enlarge."""
    how = cv2.INTER_AREA if size < array.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(array, (size, size), interpolation=how)
