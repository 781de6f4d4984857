"""Draw training samples as a config's training loader makes them (Fig. 3 of the paper).

Example:
    %(prog)s --config-file CONFIG --output samples.png --num-samples 32 \\
        DATASETS.TRAIN "('coco:kitti_mots/train.json',)"
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..config import load_config
from ..errors import UserError, one_line_errors
from ..files import require_writable
from ..systems import system_of, systems


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument("--output", required=True, type=Path, metavar="PNG")
    parser.add_argument("--num-samples", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="overrides of the config, last"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    with one_line_errors():
        require_writable(args.output)
        if args.output.suffix.lower() not in Image.registered_extensions():
            raise UserError(f"--output {args.output}: name a picture, such as samples.png")
        if args.num_samples < 1:
            raise UserError(f"--num-samples {args.num_samples}: give 1 or more")
        cfg = load_config(args.config_file, args.opts)
        cfg.SEED = args.seed
        cfg.SOLVER.IMS_PER_BATCH = args.num_samples
        cfg.DATALOADER.NUM_WORKERS = 0
        cfg.freeze()
        network = system_of(cfg).network
        if network.picture is None:
            drawn = [s.name for s in systems().values() if s.network and s.network.picture]
            raise UserError(
                f"MODEL.META_ARCHITECTURE = {cfg.MODEL.META_ARCHITECTURE!r}: its samples are not "
                f"drawn, those of {', '.join(drawn)} are"
            )
        batch = next(iter(network.train_loader(cfg)))
        Image.fromarray(network.picture(batch, None)).save(args.output)
    print(f"{args.num_samples} samples in {args.output}")
