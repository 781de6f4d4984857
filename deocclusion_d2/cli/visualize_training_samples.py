"""Draw training samples as a config's training loader makes them (Fig. 3 of the paper).

Example:
    %(prog)s --config-file CONFIG --output samples.png --num-samples 32 \\
        DATASETS.TRAIN "('coco:kitti_mots/train.json',)"
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from detectron2.data import DatasetCatalog
from PIL import Image

from ..config import load_config
from ..data.datasets import dataset_inputs, ensure_registered
from ..errors import UserError, one_line_errors
from ..files import whole_file
from ..outputs import check_output_file
from ..systems import system_of, systems


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument("--output", required=True, type=Path, metavar="PNG")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --output")
    parser.add_argument("--num-samples", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="overrides of the config, last"
    )
    return parser.parse_args(argv)


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    if args.output.suffix.lower() not in Image.registered_extensions():
        raise UserError(f"--output {args.output}: name a picture, such as samples.png")
    if args.num_samples < 1:
        raise UserError(f"--num-samples {args.num_samples}: give 1 or more")
    cfg = load_config(args.config_file, args.opts)
    inputs = dataset_inputs(*cfg.DATASETS.TRAIN, args.config_file)
    if args.overwrite and args.output.exists():
        # A picture could be one of them.
        for name in cfg.DATASETS.TRAIN:
            inputs.add(r["file_name"] for r in DatasetCatalog.get(ensure_registered(name)))
    check_output_file(args.output, inputs, args.overwrite)
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
    picture = Image.fromarray(network.picture(batch, None))
    kind = Image.registered_extensions()[args.output.suffix.lower()]
    with whole_file(args.output) as file:
        picture.save(file, kind)
    print(f"{args.num_samples} samples in {args.output}")
