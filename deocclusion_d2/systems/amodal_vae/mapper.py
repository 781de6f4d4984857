"""From an instance to a training sample of Amodal-VAE: a whole mask, and what an eraser leaves."""

from __future__ import annotations

import cv2
import numpy as np
from detectron2.config import configurable

from ...data.draws import InstanceDrawMapper
from ...data.instance_table import InstanceTable
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_instances
from ...data.samplers import ErasingSettings, draw_crop
from ...data.samplers.erasing import draw_other, place_eraser
from ...structures.window_mask import Box, tight_box
from .transformer import box_between

# Sides of the frame in pixels, as multiples of those of the masks.
_FRAME_PIXELS = 2
# Sides of a visible part in pixels of the patch; of less no shape is to be seen.
_LEAST_SIDE = 3


def build_train_loader(cfg) -> DrawTrainLoader:
    """Batches for Amodal-VAE: partial and whole masks, from modal ones.

    Raises:
        UserError: the data sets hold no usable instance, or none that is whole.
    """
    return build_draw_loader(cfg, AmodalVAEMapper(cfg, train_instances(cfg), run_seed(cfg)))


class AmodalVAEMapper(InstanceDrawMapper):
    """Draws an instance with a part of it erased by another one.

    Whole masks are those of instances that touch no other.
    """

    settings_class = ErasingSettings

    @configurable
    def __init__(
        self,
        *,
        instances: InstanceTable,
        settings: ErasingSettings,
        seed: int,
        size: int = 28,
        frame: float = 3.0,
        unhidden_share: float = 0.2,
    ) -> None:
        """
        Args:
            instances, settings, seed: see ``InstanceDrawMapper``.
            size: M, side of the masks in pixels.
            frame: sides of the frame, as multiples of those of the modal box.
            unhidden_share: probability that nothing is erased.

        Raises:
            UserError: no instance is whole.
        """
        super().__init__(instances=instances, settings=settings, seed=seed)
        self.size, self.frame, self.unhidden_share = size, frame, unhidden_share
        self._take_isolated(
            "DATASETS.TRAIN: every instance touches another one, so that none is known to be "
            "whole; add data with objects that stand alone, such as generic_shapes_train_modal"
        )

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        options = cfg.MODEL.AMODAL_VAE
        return {
            **super().from_config(cfg, instances, seed),
            "size": options.SIZE,
            "frame": options.FRAME,
            "unhidden_share": options.UNHIDDEN_SHARE,
        }

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one sample as ``AmodalVAE`` takes it; T is twice M."""
        crop, flip = draw_crop(self.instances.modal_mask(index).box, self.settings, rng)
        patch = self.settings.patch_size
        full = crop.sample(self.instances.modal_mask(index), patch, flip)
        partial = full
        if rng.random() >= self.unhidden_share:
            other = self.instances.modal_mask(int(rng.integers(len(self.instances))))
            other_patch = draw_other(other, patch, self.settings, rng)
            partial = full & ~place_eraser(full, other_patch, self.settings, rng)
        full_box, box = tight_box(full), tight_box(partial)
        if full_box is None:
            # It vanished in the resize: what is learnt from it is harmless.
            full = partial = np.ones_like(full)
            full_box = box = (0, 0, patch, patch)
        elif box is None or min(box[2] - box[0], box[3] - box[1]) < _LEAST_SIDE:
            partial, box = full, full_box
        whole = soft_crop(full, full_box, self.size)
        return {
            "partial": np.rint(soft_crop(partial, box, self.size) * 255).astype(np.uint8),
            "full": (whole >= 0.5).astype(np.uint8),
            "box": box_between(box, full_box),
            "framed": in_frame(full, box, self.frame, _FRAME_PIXELS * self.size).view(np.uint8),
        }


def soft_crop(mask: np.ndarray, box: Box, size: int) -> np.ndarray:
    """How much of every pixel of a resized box a mask holds: (size, size) float32 in [0, 1].

    Args:
        mask: (h, w) bool.
        box: (x0, y0, x1, y1) in its pixels, inside of it.
    """
    window = mask[box[1] : box[3], box[0] : box[2]].astype(np.float32)
    # Means of areas along sides that shrink, bilinear along others.
    for axis in (0, 1):
        sides = [window.shape[1], window.shape[0]]
        shrinks = window.shape[axis] > size
        sides[1 - axis] = size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        window = cv2.resize(window, sides, interpolation=how)
    return np.clip(window, 0, 1)


def in_frame(mask: np.ndarray, box: Box, frame: float, size: int) -> np.ndarray:
    """A mask in the frame around a box, (size, size) bool: the mask's pixels at pixels' centres.

    Args:
        mask: (h, w) bool; outside of it there is nothing.
        box: (x0, y0, x1, y1).
        frame: sides of the frame, as multiples of those of the box.
    """
    steps = ((np.arange(size) + 0.5) / size - 0.5) * frame
    indices = []
    for low, high, length in ((box[1], box[3], mask.shape[0]), (box[0], box[2], mask.shape[1])):
        place = np.floor((low + high) / 2 + steps * (high - low)).astype(np.int64)
        indices.append((np.clip(place, 0, length - 1), (place >= 0) & (place < length)))
    (rows, rows_in), (columns, columns_in) = indices
    return mask[np.ix_(rows, columns)] & rows_in[:, None] & columns_in
