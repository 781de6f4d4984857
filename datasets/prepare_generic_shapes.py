#!/usr/bin/env python3
"""Makes scenes of generic shapes with exact amodal masks, in KINS's format; masks alone."""

from __future__ import annotations

import argparse
import sys

from deocclusion_d2.cli.maker_arguments import add_maker_arguments, add_run_arguments
from deocclusion_d2.errors import INTERRUPTED, one_line_errors
from deocclusion_d2.synthesis.shapes import GenericShapesConfig, write_splits
from deocclusion_d2.synthesis.statistics import split_statistics

_EPILOG = """\
what it writes:
  DIR/instances_train.json   DIR/instances_val.json

Polygons, blobs, boxes, bottles, cups, tools, tubes, letters of bars, things with limbs or holes:
5 to 14 per scene, 16 to 300 px long. In half of the scenes (--scattered-share) none touches another
one, so that a network can learn whole shapes from them; in the others they lie in heaps. An
annotation holds the amodal mask (segmentation), the modal mask (inmodal_seg), and two keys that
KINS lacks: layer (0 = front-most) and shape (the kind of its outline). There are no image files.

A scene depends only on seed, split, its number, its size and --scattered-share: not on
--num-workers, nor on how many are made.

examples:
  python datasets/prepare_generic_shapes.py --train 1500 --val 200
  # whole shapes only
  python datasets/prepare_generic_shapes.py --output apart --train 500 --val 0 --scattered-share 1
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_maker_arguments(
        parser,
        folder="generic_shapes",
        what="folder of the JSON files",
        unit="scenes",
        counts=(1500, 200),
        size=(480, 640),
    )
    parser.add_argument(
        "--scattered-share",
        type=float,
        default=0.5,
        metavar="S",
        help="share of the scenes, 0 to 1, in which no object touches another one "
        "(default: %(default)s)",
    )
    add_run_arguments(parser, "existing JSON files")
    return parser


@one_line_errors()
def main(arguments: list[str] | None = None) -> None:
    """Runs the program."""
    args = build_parser().parse_args(arguments)
    counts = {split: n for split, n in (("train", args.train), ("val", args.val)) if n != 0}
    try:
        config = GenericShapesConfig(args.height, args.width, args.seed, args.scattered_share)
        paths = write_splits(args.output, counts, config, args.num_workers, args.overwrite)
        for path in paths:
            print(f"{path}: {split_statistics(path)}")
    except KeyboardInterrupt:
        print("stopped; nothing of the split that was being made is written", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
