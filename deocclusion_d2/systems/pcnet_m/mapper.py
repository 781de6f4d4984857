"""From an instance to a training sample of PCNet."""

from __future__ import annotations

import logging

import numpy as np
from detectron2.config import configurable

from ...data.draws import InstanceDrawMapper
from ...data.instance_table import InstanceTable
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_instances
from ...data.occluders import Occluders
from ...data.packed_masks import PackedMasks
from ...data.samplers import (
    ErasingSettings,
    draw_crop,
    draw_other_crop,
    draw_sample,
    enlarge_other,
    grid_size,
    is_enlarged,
)
from ...errors import UserError
from .device_sampler import DeviceSampler

# Devices that the sampler runs on: others lack float64, or give other results.
_DEVICES = ("cpu", "cuda")
# Every recipe holds the numbers of all placements, which the CPU draws as they are needed.
_MOST_PLACEMENTS = 10_000


def build_train_loader(cfg) -> DrawTrainLoader:
    """Batches for PCNet-M: partial completions of modal masks.

    Raises:
        UserError: the data sets hold no usable instance, or a category id of 0; or samples cannot
            be drawn where the config says.
    """
    on_device = draws_on_device(cfg)
    instances, seed = training_instances(cfg), run_seed(cfg)
    if not on_device:
        return build_draw_loader(cfg, PartialCompletionMapper(cfg, instances, seed))
    masks = PackedMasks(instances.modal_mask(row) for row in range(len(instances)))
    logging.getLogger(__name__).info(
        "Samples are drawn on %s, of %d masks in %.1f MiB",
        cfg.MODEL.DEVICE,
        len(masks),
        masks.bits.nbytes / 2**20,
    )
    mapper = RecipeMapper(cfg, instances, seed, boxes=masks.boxes)
    return build_draw_loader(cfg, mapper, DeviceSampler(masks, mapper.settings, cfg.MODEL.DEVICE))


def draws_on_device(cfg) -> bool:
    """Whether samples are drawn on the network's device, as ``DRAW_ON`` and the rest ask.

    Raises:
        UserError: another value than "auto", "cpu" and "device"; or "device" with settings that
            the CPU alone can draw.
    """
    key = "INPUT.PARTIAL_COMPLETION.DRAW_ON"
    options = cfg.INPUT.PARTIAL_COMPLETION
    if options.DRAW_ON not in ("auto", "cpu", "device"):
        raise UserError(f"{key} = {options.DRAW_ON!r}: use 'auto', 'cpu' or 'device'")
    device = cfg.MODEL.DEVICE.partition(":")[0]
    if options.DRAW_ON == "cpu" or (options.DRAW_ON == "auto" and device == "cpu"):
        return False
    # What needs OpenCV or photos after the placement; and a loop that is not entered, or endless.
    on_cpu_alone = {
        "MODEL.DEVICE": (cfg.MODEL.DEVICE, device not in _DEVICES),
        "MODEL.PCNET_M.USE_RGB": (True, cfg.MODEL.PCNET_M.USE_RGB),
        "INPUT.PARTIAL_COMPLETION.SEAMS.PROBABILITY": (
            options.SEAMS.PROBABILITY,
            options.SEAMS.PROBABILITY,
        ),
        "INPUT.PARTIAL_COMPLETION.MAX_PLACEMENTS": (
            options.MAX_PLACEMENTS,
            not 1 <= options.MAX_PLACEMENTS <= _MOST_PLACEMENTS,
        ),
    }
    reasons = [f"{name} = {value}" for name, (value, found) in on_cpu_alone.items() if found]
    if reasons and options.DRAW_ON == "device":
        raise UserError(
            f"{key} = 'device': with {reasons[0]} samples are drawn on the CPU alone; use 'auto'"
        )
    return not reasons


def training_instances(cfg) -> InstanceTable:
    """What PCNet-M learns from; see ``train_instances``."""
    return train_instances(cfg, category_key="MODEL.PCNET_M.USE_CATEGORY")


class PartialCompletionMapper(InstanceDrawMapper):
    """Draws an instance with another one laid over it (Fig. 3a)."""

    settings_class = ErasingSettings

    @configurable
    def __init__(
        self,
        *,
        instances: InstanceTable,
        settings: ErasingSettings,
        seed: int,
        load_image: bool = False,
        isolated_targets: bool = False,
    ) -> None:
        """
        Args:
            instances, settings, seed: see ``InstanceDrawMapper``.
            load_image: also crop the image of the target.
            isolated_targets: only instances that touch no other are targets; all are erasers.

        Raises:
            UserError: no instance is isolated.
        """
        super().__init__(instances=instances, settings=settings, seed=seed)
        self.load_image = load_image
        if isolated_targets:
            self._take_whole(
                Occluders(instances),
                "INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS: every instance of DATASETS.TRAIN "
                "touches another one; set it to False",
            )

    @classmethod
    def from_config(cls, cfg, instances: InstanceTable, seed: int) -> dict:
        return {
            **super().from_config(cfg, instances, seed),
            "load_image": cfg.MODEL.PCNET_M.USE_RGB,
            "isolated_targets": cfg.INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS,
        }

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one sample, S the patch's side:

        ``modal_mask`` (S, S) uint8 0/1, ``eraser`` (S, S) uint8 0/1, ``category_id`` int64,
        ``gap`` (S, S) uint8 0/1 when borders are redrawn, and ``image`` (S, S, 3) uint8 RGB when
        images are loaded.
        """
        other = int(rng.integers(len(self.instances)))
        sample = draw_sample(
            self.instances.modal_mask(index), self.instances.modal_mask(other), self.settings, rng
        )
        out = {
            "modal_mask": sample.modal_mask.view(np.uint8),
            "eraser": sample.eraser.view(np.uint8),
            "category_id": self.instances.category_ids[index],
        }
        if self.settings.seams.probability:
            out["gap"] = sample.gap.view(np.uint8)
        if self.load_image:
            out["image"] = sample.crop.resize_image(
                self.image(index), self.settings.patch_size, sample.flip
            )
        return out


class RecipeMapper(PartialCompletionMapper):
    """Draws all that decides a sample of ``PartialCompletionMapper``; see ``DeviceSampler``."""

    @configurable
    def __init__(self, *, boxes: np.ndarray, **options) -> None:
        """
        Args:
            boxes: (N, 4) int32, modal boxes of the instances, in pixels.
            options: see ``PartialCompletionMapper``.
        """
        super().__init__(**options)
        self.boxes = boxes

    def draw(self, index: int, rng: np.random.Generator) -> dict:
        """Returns a dict of one recipe, T being the placements that are tried at most:

        ``rows`` (2,) int64, target and other; ``squares`` (2, 4) int64, x0, y0, side and flip of
        both; ``size`` int64, side of the grid on which the other is placed; ``numbers`` (3 T + 1,)
        float64, what is drawn for placements and case; ``category_id`` int64. On a common grid also
        ``enlarged`` (S, ceil(S / 8)) uint8, bits of the other's patch where it is enlarged, which
        has a side of 0 then.
        """
        settings = self.settings
        other = int(rng.integers(len(self.instances)))
        crop, flip = draw_crop(self.boxes[index].tolist(), settings, rng)
        other_crop, other_flip = draw_other_crop(self.boxes[other].tolist(), settings, rng)
        size = grid_size(crop, settings)
        other_side = other_crop.side
        recipe = {"rows": np.array((index, other))}
        if settings.common_grid:
            patch = np.zeros((settings.patch_size,) * 2, bool)
            if is_enlarged(other_crop, size, settings):
                mask = self.instances.modal_mask(other)
                patch[:size, :size] = enlarge_other(mask, other_crop, size, other_flip)
                other_side = 0
            recipe["enlarged"] = np.packbits(patch, axis=1, bitorder="little")
        recipe["squares"] = np.array(
            (
                (crop.x0, crop.y0, crop.side, flip),
                (other_crop.x0, other_crop.y0, other_side, other_flip),
            )
        )
        recipe["size"] = size
        recipe["numbers"] = rng.random(3 * settings.max_placements + 1)
        recipe["category_id"] = self.instances.category_ids[index]
        return recipe
