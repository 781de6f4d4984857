"""Make the network that comes with the package: data, training, and the packed weights.

It needs COCO's annotations (no photos), draws street scenes and generic shapes itself, and trains
configs/pcnet_m_general.yaml. What is done is not done again; a training goes on where it was.

Example:
  %(prog)s --coco annotations/instances_train2017.json annotations/instances_val2017.json \\
      --output output/general --folder my_general
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError, one_line_errors
from ..experiments.general_model import FOLDER, GeneralModelSettings, make_general_model


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--coco",
        required=True,
        nargs="+",
        type=Path,
        metavar="JSON",
        help="COCO's instance annotations, of both splits",
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="data and training"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        metavar="DIR",
        help="where weights and manifest go (default: the package's own)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    parser.add_argument(
        "--test",
        nargs="+",
        default=(),
        metavar="NAME",
        help="data sets of which figures go into the manifest",
    )
    parser.add_argument(
        "--num-gpus", type=int, default=1, metavar="N", help="for training (default: 1)"
    )
    parser.add_argument(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="KEY VALUE",
        help="config overrides of the training, last",
    )
    return parser.parse_args(argv)


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    if len(args.opts) % 2:
        raise UserError(f"config overrides are KEY VALUE pairs, {' '.join(args.opts)!r} is not")
    settings = GeneralModelSettings(
        coco=tuple(args.coco),
        seed=args.seed,
        opts=tuple(args.opts),
        tests=tuple(args.test),
        num_gpus=args.num_gpus,
    )
    manifest = make_general_model(settings, args.output, args.folder)
    print(
        f"{args.folder / manifest['weights']}: {manifest['parameters']:,} parameters, "
        f"{manifest['bytes']:,} bytes"
    )
    for name, figures in manifest["figures"].items():
        print(f"{name}: " + ", ".join(f"{k} {v}" for k, v in figures.items()))


if __name__ == "__main__":
    main()
