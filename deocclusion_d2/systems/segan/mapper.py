"""From an instance and its photo to a training sample of SeGAN."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import cv2
import numpy as np
from detectron2.config import configurable

from ...data.draws import InstanceDrawMapper
from ...data.instance_table import FULL_OBJECT, InstanceTable
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_instances
from ...data.samplers import CropSettings, draw_crop
from ...structures import SquareCrop, WindowMask
from .box_crop import BoxCrop
from .config import check_config


@dataclass(frozen=True)
class Views:
    """How SeGAN looks at an instance; see the keys of ``MODEL.SEGAN``."""

    context: str = "image"
    input_size: int = 500
    mask_size: int = 58
    paint_size: int = 256

    @classmethod
    def from_config(cls, cfg) -> Views:
        check_config(cfg)
        options = cfg.MODEL.SEGAN
        return cls(options.CONTEXT, options.INPUT_SIZE, options.MASK_SIZE, options.PAINT_SIZE)

    def photo(self, image: np.ndarray) -> np.ndarray | None:
        """What the segmentor sees of a whole photo, (S, S, 3) uint8; None where it sees squares."""
        if self.context == "crop":
            return None
        height, width = image.shape[:2]
        return BoxCrop((0, 0, width, height)).sample_colours(image, self.input_size)

    def input(
        self,
        image: np.ndarray,
        modal: WindowMask,
        box: BoxCrop,
        square: SquareCrop,
        flip: bool = False,
        seen: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """What the segmentor sees.

        Args:
            image: (H, W, 3) uint8 RGB.
            modal: the visible part.
            box: what is segmented.
            square: what is seen where the context is "crop"; it grows until it holds the box.
            seen: ``photo(image)``, where it is known.

        Returns:
            ``image`` (S, S, 3) uint8, ``modal_mask`` (S, S) uint8 0/1, ``box`` (4,) float32.
        """
        size = self.input_size
        if self.context == "crop":
            square = box.held_by(square)
            x0, y0, x1, y1 = square.box
        else:
            x0, y0, x1, y1 = 0, 0, image.shape[1], image.shape[0]
        scale = np.array([size / (x1 - x0), size / (y1 - y0)] * 2)
        region = (np.array(box.box) - [x0, y0, x0, y0]) * scale
        if self.context == "crop":
            shrinks = square.side > size
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            seen = square.resize_image(image, size, flip, how)
            mask = square.sample(modal, size, flip)
        else:
            whole = BoxCrop((x0, y0, x1, y1))
            seen = self.photo(image) if seen is None else seen
            seen = np.ascontiguousarray(seen[:, ::-1]) if flip else seen
            mask = whole.sample(modal, size, flip)
        if flip:
            region[[0, 2]] = size - region[[2, 0]]
        return {
            "image": seen,
            "modal_mask": mask.view(np.uint8),
            "box": region.astype(np.float32),
        }


def build_train_loader(cfg) -> DrawTrainLoader:
    """Batches for SeGAN: photos, masks, and for its painter the true colours of whole objects.

    The painter learns from objects whose hidden colours somebody knows, and from those that nothing
    hides; the others are left out, and counted in the log.

    Raises:
        UserError: the data sets hold no usable instance, or one without an amodal mask.
    """
    paints = cfg.MODEL.SEGAN.STAGE != "segment"
    columns = ["amodal", FULL_OBJECT] if paints else ["amodal"]
    instances = train_instances(cfg, columns)
    if paints and instances.unknown:
        logging.getLogger(__name__).warning(
            "Left out of what the painter learns from: %d instances, of which nobody knows the "
            "whole, or the colours of what is hidden; %d remain",
            instances.unknown,
            len(instances),
        )
    return build_draw_loader(cfg, SeGANMapper(cfg, instances, run_seed(cfg)))


class SeGANMapper(InstanceDrawMapper):
    """Draws an instance, from a table with amodal masks, and full objects for the painter."""

    @configurable
    def __init__(
        self,
        *,
        instances: InstanceTable,
        settings: CropSettings,
        seed: int,
        views: Views,
        expand: tuple[float, float],
    ) -> None:
        """
        Args:
            instances, settings, seed: see ``InstanceDrawMapper``.
            views: how SeGAN looks at an instance.
            expand: of the box on each side, uniform in this range; see ``BoxCrop.around``.
        """
        super().__init__(instances=instances, settings=settings, seed=seed)
        self.views = views
        self.expand = expand

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            **super().from_config(cfg, instances, seed),
            "views": Views.from_config(cfg),
            "expand": tuple(cfg.MODEL.SEGAN.EXPAND),
        }

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one sample as ``SeGAN`` takes it in training."""
        views, image = self.views, self.image(index)
        modal, amodal = self.instances.modal_mask(index), self.instances.amodal_mask(index)
        expand = tuple(rng.uniform(*self.expand, size=4).tolist())
        box = BoxCrop.around(modal.box, expand, image.shape[:2])
        square, flip = draw_crop(box.box, self.settings, rng)
        sample = views.input(image, modal, box, square, flip)
        for name, mask in (("modal", modal), ("amodal", amodal)):
            sample[f"mask_{name}"] = box.sample(mask, views.mask_size, flip).view(np.uint8)
        if self.instances.full_objects:
            colours = self.instances.full_objects[index].colours(box.box)
            colours = box.on_neutral(colours, amodal)
            size = views.paint_size
            sample |= {
                "crop_image": box.sample_colours(image, size, flip),
                "crop_modal": box.sample(modal, size, flip).view(np.uint8),
                "crop_amodal": box.sample(amodal, size, flip).view(np.uint8),
                "crop_full": box.resize_colours(colours, size, flip),
            }
        return sample
