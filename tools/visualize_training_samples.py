#!/usr/bin/env python3
"""Draw training samples of PCNet-M or PCNet-C, as a config's training loader makes them (Fig. 3).

Example:
    visualize_training_samples.py --config-file CONFIG --output samples.png --num-samples 32 \
        DATASETS.TRAIN "('coco:kitti_mots/train.json',)"
"""

from __future__ import annotations

import argparse

from PIL import Image

from deocclusion_d2.config import load_config
from deocclusion_d2.data import build_pcnet_c_train_loader, build_pcnet_m_train_loader
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.visualization import content_image, sample_grid, split_batch

# INPUT.DATASET_MAPPER_NAME -> training loader, and what draws its samples.
DRAWN = {
    "pcnet_m": (build_pcnet_m_train_loader, sample_grid),
    "pcnet_c": (build_pcnet_c_train_loader, content_image),
}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument("--output", required=True, metavar="PNG")
    parser.add_argument("--num-samples", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="overrides of the config, last"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    args = parse_arguments(arguments)
    with one_line_errors():
        if args.num_samples < 1:
            raise UserError(f"--num-samples {args.num_samples}: give 1 or more")
        cfg = load_config(args.config_file, args.opts)
        cfg.SEED = args.seed
        cfg.SOLVER.IMS_PER_BATCH = args.num_samples
        cfg.DATALOADER.NUM_WORKERS = 0
        cfg.freeze()
        name = cfg.INPUT.DATASET_MAPPER_NAME
        if name not in DRAWN:
            raise UserError(
                f"INPUT.DATASET_MAPPER_NAME = {name!r}: samples of {' and '.join(DRAWN)} are drawn"
            )
        build_loader, draw = DRAWN[name]
        samples = split_batch(next(iter(build_loader(cfg))))
        Image.fromarray(draw(samples)).save(args.output)
    print(f"{len(samples)} samples in {args.output}")


if __name__ == "__main__":
    main()
