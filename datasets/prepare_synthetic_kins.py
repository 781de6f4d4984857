#!/usr/bin/env python3
"""Renders the synthetic KINS data set: street scenes with exact amodal masks, in KINS's format."""

from __future__ import annotations

import argparse
import sys

from deocclusion_d2.cli.maker_arguments import (
    add_maker_arguments,
    add_picture_arguments,
    add_run_arguments,
)
from deocclusion_d2.errors import INTERRUPTED, one_line_errors
from deocclusion_d2.synthesis.statistics import split_statistics
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits

_EPILOG = """\
what it writes (the first release's layout, so the KINS loader reads it):
  DIR/training/image_2/000000.jpg ...   DIR/instances_train.json
  DIR/testing/image_2/000000.jpg ...    DIR/instances_val.json

An annotation holds the amodal mask (segmentation, bbox, area), the modal mask (inmodal_seg,
inmodal_bbox), and two keys that KINS lacks: depth (metres) and layer (0 = front-most).

With --whole-objects, DIR/training/full_object/000000/000.png ... hold every object whole, its
amodal mask as transparency, and DIR/training/background/000000.jpg ... the pictures without
objects; annotations name them (full_object, full_object_box), and images (background).

An image depends only on seed, split, its number and its size: not on --num-workers, nor on how many
images are made. An interrupted run continues where it stopped when started again.

examples:
  # as many images as KINS, at its size (about 0.1 to 0.2 s per image and process)
  python datasets/prepare_synthetic_kins.py --train 7474 --val 7517 --num-workers 8
  # a small set for a CPU
  python datasets/prepare_synthetic_kins.py --train 800 --val 100 --height 128 --width 416
  # a look at three images, without loss
  python datasets/prepare_synthetic_kins.py --output look --train 3 --val 0 --format png
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_maker_arguments(
        parser,
        folder="synthetic_KINS",
        what="folder that plays the part of KINS/",
        unit="images",
        counts=(1000, 200),
        size=(375, 1242),
    )
    add_run_arguments(parser, "existing JSON files and images")
    add_picture_arguments(parser, 90)
    parser.add_argument(
        "--whole-objects",
        action="store_true",
        help="also the colours of what is hidden, and the background behind all; other pictures "
        "than without, the same masks",
    )
    return parser


@one_line_errors()
def main(arguments: list[str] | None = None) -> None:
    """Runs the program."""
    args = build_parser().parse_args(arguments)
    counts = {split: n for split, n in (("train", args.train), ("val", args.val)) if n != 0}
    try:
        config = SyntheticKinsConfig(
            args.height, args.width, args.seed, args.format, args.quality, args.whole_objects
        )
        paths = write_splits(args.output, counts, config, args.num_workers, args.overwrite)
        for path in paths:
            print(f"{path}: {split_statistics(path)}")
    except KeyboardInterrupt:
        print("stopped; start again with the same arguments to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
