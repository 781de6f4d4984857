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
from .content_holes import Hole
from .network_runner import NetworkRunner, Sample
from .seam import correct_seam
from .weights import load_model

# How far the seam correction reaches into a hole: pixels, or a share of the square's side.
_SEAM_PIXELS = 16.0
_SEAM_SHARE = 1 / 8


class ContentFiller(ABC):
    """Fills holes of photos.

    Attributes:
        enlarge: of the squares around holes; see ``SquareCrop.around``.
    """

    enlarge: float = 3.0

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
        enlarge: see ``ContentFiller``.
        soft_seam: correct the filled colours next to visible ones; see ``correct_seam``.
    """

    def __init__(
        self,
        runner: NetworkRunner,
        *,
        patch_size: int = 256,
        enlarge: float = 3.0,
        soft_seam: bool = True,
    ) -> None:
        self.runner = runner
        self.patch_size = patch_size
        self.enlarge = enlarge
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
        return cls(runner, patch_size=options.PATCH_SIZE, enlarge=options.ENLARGE_BOX)

    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        samples = (content_sample(hole, self.patch_size) for hole in holes)
        patches = self.runner.outputs(samples, "rgb")
        return [self._window(hole, patch) for hole, patch in zip(holes, patches, strict=True)]

    def describe(self) -> dict[str, Any]:
        return {
            "content": "pcnet_c",
            "content_patch_size": self.patch_size,
            "content_enlarge_box": self.enlarge,
            "content_soft_seam": self.soft_seam,
        }

    def _window(self, hole: Hole, patch: np.ndarray) -> np.ndarray:
        """A network's patch at full resolution, in the window of the missing pixels."""
        square = hole.square
        filled = _resize(np.asarray(patch, dtype=np.float32), square.side)
        if self.soft_seam:
            crops = hole.crops()
            photo = square.crop_image(hole.image)
            reach = max(_SEAM_PIXELS, _SEAM_SHARE * square.side)
            filled = correct_seam(filled, photo, crops.visible, crops.missing, reach)
        x0, y0, x1, y1 = hole.missing.box
        window = filled[y0 - square.y0 : y1 - square.y0, x0 - square.x0 : x1 - square.x0]
        return np.clip(np.round(window), 0, 255).astype(np.uint8)


class TeleaFiller(ContentFiller):
    """Fills holes without a network, by OpenCV's inpainting after Telea.

    An object is continued from its own visible pixels, the background from its own.

    Args:
        radius: pixels around a point that decide its colour.
    """

    def __init__(self, radius: float = 5.0) -> None:
        self.radius = radius

    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        return [self._fill(hole) for hole in holes]

    def describe(self) -> dict[str, Any]:
        return {"content": "opencv_telea", "content_radius": self.radius}

    def _fill(self, hole: Hole) -> np.ndarray:
        square, crops = hole.square, hole.crops()
        known = crops.visible
        rows = np.flatnonzero((known | crops.missing).any(axis=1))
        columns = np.flatnonzero((known | crops.missing).any(axis=0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        photo, known = square.crop_image(hole.image)[window], known[window]
        if known.any():
            unknown = (~known).view(np.uint8)
            filled = cv2.inpaint(photo, unknown, self.radius, cv2.INPAINT_TELEA)
        else:
            # Nothing says what it looks like.
            filled = np.full_like(photo, 127)
        x0, y0, x1, y1 = hole.missing.box
        left, top = square.x0 + int(columns[0]), square.y0 + int(rows[0])
        return filled[y0 - top : y1 - top, x0 - left : x1 - left]


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


def _resize(array: np.ndarray, size: int) -> np.ndarray:
    """Resize a square (n, n, C) float32: means of areas to shrink, bilinear to enlarge."""
    how = cv2.INTER_AREA if size < array.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(array, (size, size), interpolation=how)
