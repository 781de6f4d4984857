"""Arguments of the programs in ``datasets/`` that make a data set, which all of them have."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_maker_arguments(
    parser: argparse.ArgumentParser,
    *,
    folder: str,
    what: str,
    unit: str,
    counts: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Add --output, --train, --val, --height, --width and --seed.

    Args:
        folder: of the data set, below that of all data sets.
        what: what --output is, for the help.
        unit: what is counted, such as "images".
        counts: defaults of --train and --val.
        size: defaults of --height and --width, in pixels.
    """
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / folder,
        metavar="DIR",
        help=f"{what} (default: $DETECTRON2_DATASETS/{folder}, with datasets/ where the variable "
        "is not set)",
    )
    named = {"--train": "training", "--val": "validation"}
    for (option, name), count in zip(named.items(), counts, strict=True):
        parser.add_argument(
            option,
            type=int,
            default=count,
            metavar="N",
            help=f"{name} {unit}; 0 for none (default: %(default)s)",
        )
    for option, pixels in zip(("height", "width"), size, strict=True):
        parser.add_argument(
            f"--{option}",
            type=int,
            default=pixels,
            metavar="PX",
            help=f"image {option} (default: %(default)s)",
        )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="another seed gives another data set (default: %(default)s)",
    )


def add_picture_arguments(parser: argparse._ActionsContainer, quality: int) -> None:
    """Add --format and --quality.

    Args:
        quality: default of JPEG's.
    """
    parser.add_argument(
        "--format", choices=("jpg", "png"), default="jpg", help="image files (default: %(default)s)"
    )
    parser.add_argument(
        "--quality",
        type=int,
        default=quality,
        metavar="Q",
        help="JPEG quality, 1 to 100 (default: %(default)s)",
    )


def add_run_arguments(parser: argparse._ActionsContainer, what: str) -> None:
    """Add --num-workers and --overwrite.

    Args:
        what: is replaced by the latter, for the help.
    """
    parser.add_argument(
        "--num-workers",
        type=int,
        metavar="P",
        help="processes, 0 for this one alone; the result does not depend on it (default: one per "
        "core)",
    )
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")
