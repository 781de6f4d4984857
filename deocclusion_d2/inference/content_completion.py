"""Content completion (Sec. 3.4, eq. 5): colours for what is hidden, at the photo's resolution.

Shape shorthand: S: side of a patch in pixels; h, w: window of a hole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from ..errors import UserError
from ..structures import WindowMask
from .content_holes import Hole
from .network_runner import NetworkRunner, Sample
from .opencv_inpainting import INPAINT_RADIUS, telea
from .seam import correct_seam
from .weights import load_model

# How far the seam correction reaches into a hole: pixels, or a share of the square's side.
_SEAM_PIXELS = 16.0
_SEAM_SHARE = 1 / 8
# Largest patch, in pixels, that OpenCV fills: its time grows faster than the area.
_TELEA_SIDE = 768


class ContentFiller(ABC):
    """Fills holes of photos.

    Attributes:
        enlarge: of the squares around holes; see ``SquareCrop.around``.
        context: least share of background in the square of a hole of the background; see
            ``background_holes``.
    """

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


class ContentCompletion(ContentFiller):
    """Fills holes with a trained PCNet-C.

    Args:
        runner: runs PCNet-C (anything with ``NetworkRunner.outputs``).
        patch_size: S in pixels.
        enlarge, context: see ``ContentFiller``.
        soft_seam: correct the filled colours next to visible ones; see ``correct_seam``.
    """

    def __init__(
        self,
        runner: NetworkRunner,
        *,
        patch_size: int = 256,
        enlarge: float = 3.0,
        context: float = 0.3,
        soft_seam: bool = True,
    ) -> None:
        self.runner = runner
        self.patch_size = patch_size
        self.enlarge = enlarge
        self.context = context
        self.soft_seam = soft_seam

    @classmethod
    def from_config(cls, cfg, model: torch.nn.Module | None = None) -> ContentCompletion:
        """Build it from a config of PCNet-C.

        Args:
            model: a trained PCNet-C; without it one is built and ``cfg.MODEL.WEIGHTS`` loaded.

        Raises:
            UserError: missing weights, or a config of another network.
        """
        if cfg.MODEL.META_ARCHITECTURE != "PCNetC":
            raise UserError(
                "content is completed by PCNetC, but MODEL.META_ARCHITECTURE is "
                f"{cfg.MODEL.META_ARCHITECTURE!r}; use a config of PCNetC"
            )
        runner = NetworkRunner(
            load_model(cfg) if model is None else model,
            batch_size=cfg.DEOCCLUSION.PATCHES_PER_BATCH,
            precision=cfg.DEOCCLUSION.PRECISION,
        )
        options = cfg.INPUT.PARTIAL_COMPLETION
        return cls(
            runner,
            patch_size=options.PATCH_SIZE,
            enlarge=options.ENLARGE_BOX,
            context=cfg.DEOCCLUSION.CONTENT_CONTEXT,
        )

    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        samples = (content_sample(hole, self.patch_size) for hole in holes)
        patches = self.runner.outputs(samples, "rgb")
        return [
            _at_full_resolution(hole, patch, self.soft_seam)
            for hole, patch in zip(holes, patches, strict=True)
        ]

    def describe(self) -> dict[str, Any]:
        return {
            "content": "pcnet_c",
            "content_patch_size": self.patch_size,
            "content_enlarge_box": self.enlarge,
            "content_context": self.context,
            "content_soft_seam": self.soft_seam,
        }


class TeleaFiller(ContentFiller):
    """Fills holes without a network, by OpenCV's inpainting after Telea.

    An object is continued from its own visible pixels, the background from its own.
    """

    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        return [_at_full_resolution(hole, self._patch(hole), soft_seam=True) for hole in holes]

    def describe(self) -> dict[str, Any]:
        return {"content": "opencv_telea", "content_radius": INPAINT_RADIUS}

    def _patch(self, hole: Hole) -> np.ndarray:
        """(S, S, 3) uint8, filled where anything of the hole's window is not visible."""
        side = hole.square.side
        size = min(side, _TELEA_SIDE)
        sample = content_sample(hole, size)
        patch, known = sample["image"], sample["modal_mask"] == 1
        if not known.any():
            # Nothing says what it looks like.
            return np.full_like(patch, 127)
        x0, y0, x1, y1 = hole.missing.box
        wanted = known.copy()
        left, right = (x0 - hole.square.x0) * size // side, -(-(x1 - hole.square.x0) * size // side)
        top, bottom = (y0 - hole.square.y0) * size // side, -(-(y1 - hole.square.y0) * size // side)
        wanted[top:bottom, left:right] = True
        x0, y0, x1, y1 = WindowMask.from_array(wanted).box
        window = np.s_[y0:y1, x0:x1]
        patch[window] = telea(patch[window], ~known[window], known[window])
        return patch


def content_sample(hole: Hole, size: int) -> Sample:
    """A hole as PCNet-C sees it.

    Pixels that may not be looked at are erased before the patch is resized, and the colour of a
    patch pixel is the mean of the others that it covers: nothing of them shines through.

    Args:
        size: S.

    Returns:
        ``image`` (S, S, 3) uint8 RGB, 0 where it is not valid; ``modal_mask``, ``hole`` and
        ``outside`` (S, S) uint8 0/1: pixels of the object, pixels to be filled (or not to be looked
        at), and pixels beyond the image; ``category_id`` int64.
    """
    crops = hole.crops()
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


def _at_full_resolution(hole: Hole, patch: np.ndarray, soft_seam: bool) -> np.ndarray:
    """What fills a hole: a (S, S, 3) patch of its square, as the window of the missing pixels."""
    square, (height, width) = hole.square, hole.image.shape[:2]
    filled = _resize(np.asarray(patch, dtype=np.float32), square.side)
    reach = max(_SEAM_PIXELS, _SEAM_SHARE * square.side)
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
        visible = hole.visible.crop(box) & ~missing
        filled = correct_seam(filled, hole.image[top:bottom, left:right], visible, missing, reach)
    filled = filled[y0 - top : y1 - top, x0 - left : x1 - left]
    return np.clip(np.round(filled), 0, 255).astype(np.uint8)


def _resize(array: np.ndarray, size: int) -> np.ndarray:
    """Resize a square (n, n, C) float32: means of areas to shrink, bilinear to enlarge."""
    how = cv2.INTER_AREA if size < array.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(array, (size, size), interpolation=how)
