"""The options that say how a file of modal masks is read, by convert and check."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..data.datasets import ANNOTATION_FORMATS
from ..structures import DEFAULT_MIN_SCORE


def add_input_arguments(parser: argparse.ArgumentParser, of_config: str = "") -> None:
    """Add ``--format``, ``--images-from`` and ``--min-score``.

    Args:
        of_config: the config key that the least score comes from, where a config is used.
    """
    parser.add_argument(
        "--format",
        choices=sorted(ANNOTATION_FORMATS),
        help="how the input is written; 'coco' is any modal COCO JSON (COCO, LVIS, KITTI MOTS), "
        "'cocoa_cls' also D2SA (default: told from the keys of the annotations)",
    )
    parser.add_argument(
        "--images-from",
        type=Path,
        metavar="JSON",
        help="for an input of COCO results (a list of predictions): the COCO-like JSON with the "
        "images and categories that they were predicted for",
    )
    default = f"{DEFAULT_MIN_SCORE:g}"
    if of_config:
        default = f"{of_config} of the config, {default} without"
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="S",
        help=f"leave out predictions with a lower score (default: {default})",
    )
