"""From an instance to a training sample of Amodal-VAE.

A whole mask, and what an eraser leaves of it; or, in the last stage, an object that others really
hide: of it only the visible pixels are known, and those that are not hidden.
"""

from __future__ import annotations

import logging

import cv2
import numpy as np
from detectron2.config import configurable

from ...data.draws import InstanceDrawMapper
from ...data.instance_table import InstanceTable
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_instances
from ...data.occluders import Occluders, OrderOf
from ...data.samplers import ErasingSettings, draw_crop
from ...data.samplers.erasing import draw_other, place_eraser
from ...errors import UserError
from ...structures.window_mask import Box, WindowMask, tight_box, union
from .losses import UNKNOWN
from .transformer import box_between

# Sides of the frame in pixels, as multiples of those of the masks.
_FRAME_PIXELS = 2
# Sides of a visible part in pixels of the patch; of less no shape is to be seen.
_LEAST_SIDE = 3


def build_train_loader(cfg, order: OrderOf | None = None) -> DrawTrainLoader:
    """Batches for Amodal-VAE: partial and whole masks, from modal ones.

    Args:
        order: who hides whom in the training scenes; None: nobody knows.

    Raises:
        UserError: the data sets hold no usable instance, or none that is whole.
    """
    options = cfg.MODEL.AMODAL_VAE
    if options.STAGE != "full" and not cfg.MODEL.WEIGHTS:
        logging.getLogger(__name__).warning(
            "MODEL.AMODAL_VAE.STAGE %r goes on from the stage before, but MODEL.WEIGHTS is empty: "
            "what that has learnt is random",
            options.STAGE,
        )
    instances = train_instances(cfg)
    occluders = Occluders(instances, order)
    return build_draw_loader(cfg, AmodalVAEMapper(cfg, instances, run_seed(cfg), occluders))


def wants_order(cfg) -> bool:
    """Whether the config wants to know which neighbours hide an object."""
    return cfg.MODEL.AMODAL_VAE.ORDERED


class AmodalVAEMapper(InstanceDrawMapper):
    """Draws an instance that nothing hides, with a part of it erased by another one.

    Instances that others may hide can be learnt from as far as they are known: see
    ``MODEL.AMODAL_VAE.HIDDEN_SHARE``.
    """

    settings_class = ErasingSettings

    @configurable
    def __init__(
        self,
        *,
        instances: InstanceTable,
        occluders: Occluders,
        settings: ErasingSettings,
        seed: int,
        size: int = 28,
        latent: int = 64,
        frame: float = 3.0,
        unhidden_share: float = 0.2,
        hidden_share: float = 0.0,
    ) -> None:
        """
        Args:
            instances, settings, seed: see ``InstanceDrawMapper``.
            occluders: of the instances.
            size: M, side of the masks in pixels.
            latent: L, numbers of the code.
            frame: sides of the frame, as multiples of those of the modal box.
            unhidden_share: probability that nothing is erased.
            hidden_share: of samples that show an instance that others may hide, where there is one.

        Raises:
            UserError: no instance is whole.
        """
        super().__init__(instances=instances, settings=settings, seed=seed)
        self.size, self.latent, self.frame = size, latent, frame
        self.unhidden_share = unhidden_share
        self.occluders = occluders
        self._hidden = occluders.hidden
        self.hidden_share = hidden_share if len(self._hidden) else 0.0
        self._take_whole(
            occluders,
            "DATASETS.TRAIN: every instance touches another one or has one in front of it, so that "
            "none is known to be whole; add data with objects that stand alone, such as "
            "generic_shapes_train_modal",
        )

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int, occluders: Occluders) -> dict:
        options = cfg.MODEL.AMODAL_VAE
        for key in ("HIDDEN_SHARE", "UNHIDDEN_SHARE"):
            if not 0 <= options[key] <= 1:
                raise UserError(
                    f"MODEL.AMODAL_VAE.{key} = {options[key]}: use a number from 0 to 1"
                )
        return {
            **super().from_config(cfg, instances, seed),
            "size": options.SIZE,
            "latent": options.LATENT,
            "frame": options.FRAME,
            "unhidden_share": options.UNHIDDEN_SHARE,
            "occluders": occluders,
            # Only in the last stage boxes are placed in frames, where pixels can be unknown.
            "hidden_share": options.HIDDEN_SHARE if options.STAGE == "joint" else 0.0,
        }

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one sample as ``AmodalVAE`` takes it; T is twice M."""
        # Without a share nothing is drawn for it.
        if self.hidden_share and rng.random() < self.hidden_share:
            sample = self._hidden_sample(int(rng.choice(self._hidden)), rng)
        else:
            sample = self._erased_sample(index, rng)
        return {**sample, "noise": rng.standard_normal(self.latent, dtype=np.float32)}

    def _erased_sample(self, index: int, rng: np.random.Generator) -> dict:
        """A sample of a whole object."""
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
            "partial": in_levels(soft_crop(partial, box, self.size)),
            "aspect": aspect_of(box),
            "full": (whole >= 0.5).astype(np.uint8),
            "full_aspect": aspect_of(full_box),
            "box": box_between(box, full_box),
            "framed": in_frame(full, box, self.frame, _FRAME_PIXELS * self.size).view(np.uint8),
            "frame": np.float32(self.frame),
            "is_whole": np.uint8(1),
        }

    def _hidden_sample(self, row: int, rng: np.random.Generator) -> dict:
        """A sample of an object that others really hide, as far as it is known."""
        modal = self.instances.modal_mask(row)
        partial = in_levels(soft_crop(modal.array, (0, 0, *modal.array.shape[::-1]), self.size))
        size = _FRAME_PIXELS * self.size
        box = modal.box
        around = frame_box(box, self.frame)
        shifted = tuple(v - around[k % 2] for k, v in enumerate(box))

        def framed(mask: WindowMask) -> np.ndarray:
            return in_frame(mask.crop(around), shifted, self.frame, size)

        height, width = self.instances.image_size(row)
        in_image = np.zeros((around[3] - around[1], around[2] - around[0]), bool)
        in_image[
            max(-around[1], 0) : height - around[1], max(-around[0], 0) : width - around[0]
        ] = True
        target = np.zeros((size, size), np.uint8)
        target[framed(union(self.instances.modal_mask(k) for k in self.occluders.of(row)))] = (
            UNKNOWN
        )
        target[~in_frame(in_image, shifted, self.frame, size)] = UNKNOWN
        target[framed(modal)] = 1
        if rng.random() < self.settings.flip_prob:
            partial, target = partial[:, ::-1].copy(), target[:, ::-1].copy()
        nothing = aspect_of(box) * 0
        return {
            "partial": partial,
            "aspect": aspect_of(box),
            "full": np.zeros((self.size, self.size), np.uint8),
            "full_aspect": nothing,
            "box": np.zeros(4, np.float32),
            "framed": target,
            "frame": np.float32(self.frame),
            "is_whole": np.uint8(0),
        }


def aspect_of(box: Box) -> np.ndarray:
    """The log of a box's width over its height: (1,) float32."""
    return np.log([(box[2] - box[0]) / (box[3] - box[1])]).astype(np.float32)


def in_levels(soft: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1] as uint8, 255 times as large."""
    return np.rint(soft * 255).astype(np.uint8)


def frame_box(box: Box, frame: float) -> Box:
    """Whole pixels that hold the frame around a box.

    Args:
        frame: sides of the frame, as multiples of those of the box.
    """
    x, y = (frame - 1) / 2 * (box[2] - box[0]), (frame - 1) / 2 * (box[3] - box[1])
    return (
        int(np.floor(box[0] - x)),
        int(np.floor(box[1] - y)),
        int(np.ceil(box[2] + x)),
        int(np.ceil(box[3] + y)),
    )


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
