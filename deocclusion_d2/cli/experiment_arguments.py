"""The arguments of programs that train and evaluate networks on a data set: tables and sweeps."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..experiments import KNOWN_NAMES, PRESETS


def add_experiment_arguments(parser: argparse.ArgumentParser) -> None:
    """Data sets, preset, seeds, output folder, GPUs and overrides; overrides come last."""
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help=f"{', '.join(KNOWN_NAMES)}; or a training set, registered or FORMAT:JSON[@IMAGE_ROOT]",
    )
    parser.add_argument(
        "--test", metavar="NAME", help="test set (default: that of the known data set)"
    )
    parser.add_argument(
        "--preset",
        choices=list(PRESETS),
        default="quick",
        help="quick: minutes to an hour on CPUs; paper: its schedules, for GPUs (default: quick)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0],
        metavar="N",
        help="train everything once per seed; several give mean and deviation (default: 0)",
    )
    parser.add_argument("--output", type=Path, default=Path("output/experiments"), metavar="DIR")
    parser.add_argument("--num-gpus", type=int, default=1, metavar="N", help="for training")
    parser.add_argument(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="KEY VALUE",
        help="config overrides, last",
    )


def parse_settings(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[dict[str, Any], Path]:
    """The settings of an experiment by their names, lists as tuples; and the output folder."""
    settings = vars(parser.parse_args(argv))
    output = settings.pop("output")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}, output
