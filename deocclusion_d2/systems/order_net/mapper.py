"""From a pair of neighbours to a training sample of OrderNet."""

from __future__ import annotations

import numpy as np
from detectron2.config import configurable

from ...data.images import read_rgb
from ...data.loaders import DrawTrainLoader, build_draw_loader, run_seed, train_records
from ...data.samplers import CropSettings, draw_crop
from ...errors import UserError
from ...structures.window_mask import common_box
from .pair_table import PairTable


def build_train_loader(cfg) -> DrawTrainLoader:
    """Batches for OrderNet: pairs of neighbours, one of which truly hides the other.

    Raises:
        UserError: the data sets hold no such pair, or an image whose order is not known.
    """
    options = cfg.INPUT.INSTANCE_CROP
    pairs = PairTable(train_records(cfg), min_square=options.MIN_SQUARE, enlarge=options.ENLARGE)
    if not len(pairs):
        raise UserError(
            f"DATASETS.TRAIN = {list(cfg.DATASETS.TRAIN)}: no pair of neighbours with a true order "
            f"({pairs.skipped} too small)"
        )
    return build_draw_loader(cfg, OrderNetMapper(cfg, pairs, run_seed(cfg)))


class OrderNetMapper:
    """Maps ``{"item": row of the table, "draw": number of the draw}`` to a sample.

    A sample follows from (seed, item, draw) alone.
    """

    @configurable
    def __init__(
        self, *, pairs: PairTable, settings: CropSettings, seed: int, load_image: bool = False
    ) -> None:
        """
        Args:
            pairs: ordered pairs of neighbours.
            settings: geometry of the patches.
            seed: seed of the whole run, 0 or more.
            load_image: also crop the image.
        """
        self.pairs = pairs
        self.settings = settings
        self.seed = seed
        self.load_image = load_image

    @classmethod
    def from_config(cls, cfg, pairs: PairTable, seed: int) -> dict:
        return {
            "pairs": pairs,
            "settings": CropSettings.from_config(cfg),
            "seed": seed,
            "load_image": cfg.MODEL.ORDER_NET.USE_RGB,
        }

    def __len__(self) -> int:
        return len(self.pairs)

    def __call__(self, dataset_dict: dict) -> dict:
        """Returns a dict of one sample, S the patch's side, in the square around both instances:

        ``first_mask`` and ``second_mask`` (S, S) uint8 0/1, at random the one in front or the one
        behind; ``first_in_front`` int64 0/1; and ``image`` (S, S, 3) uint8 RGB when images are
        loaded.
        """
        index = dataset_dict["item"]
        rng = np.random.default_rng((self.seed, dataset_dict["draw"]))
        front, back = self.pairs.masks(index)
        crop, flip = draw_crop(common_box(front, back), self.settings, rng)
        front_is_first = bool(rng.random() < 0.5)
        first, second = (front, back) if front_is_first else (back, front)
        size = self.settings.patch_size
        out = {
            "first_mask": crop.sample(first, size, flip).view(np.uint8),
            "second_mask": crop.sample(second, size, flip).view(np.uint8),
            "first_in_front": np.int64(front_is_first),
        }
        if self.load_image:
            image = read_rgb(self.pairs.file_name(index), self.pairs.image_size(index))
            out["image"] = crop.resize_image(image, size, flip)
        return out
