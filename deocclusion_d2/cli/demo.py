"""The whole way on a small synthetic KINS: modal masks -> order and masks -> labels -> detectors.

The network that comes with the package orders and completes, untrained on these scenes; its masks
become labels. Mask R-CNN learns to see visible pixels, then three of it go on equally long: with
modal labels (Raw), with pseudo-amodal ones (general) and with the true ones (GT). Tables say what
each of them finds, hidden objects above all, and pictures show it.

Prints every step before it does it. What was done stays done: a second run goes on where the first
one stopped. Experiments (run_experiment.py, or deocclusion-d2 experiment) run the same steps at the
size of the paper's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import one_line_errors
from ..experiments.demo import DemoSettings, run_demo
from ..experiments.known import experiment_rows


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    defaults = DemoSettings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("output/demo"), metavar="DIR")
    numbers = {
        "--train": ("train_images", "training images"),
        "--val": ("val_images", "validation images"),
        "--height": ("height", "image height in pixels"),
        "--width": ("width", "image width in pixels"),
        "--start-iterations": (
            "start_iterations",
            "length of the training on modal labels that all detectors start from",
        ),
        "--detector-iterations": (
            "detector_iterations",
            "length of each detector's own training that follows",
        ),
        "--pictures": ("pictures", "validation images to draw, and hidden objects"),
        "--seed": ("seed", "of the data and of the trainings"),
    }
    for flag, (name, text) in numbers.items():
        parser.add_argument(
            flag,
            dest=name,
            type=int,
            metavar="N",
            default=getattr(defaults, name),
            help=f"{text} (default: %(default)s)",
        )
    parser.add_argument(
        "--label-sources",
        nargs="+",
        choices=experiment_rows("label_conversion"),
        default=list(defaults.label_sources),
        help="what Mask R-CNN is trained on, one training each (default: Raw general GT)",
    )
    settings = vars(parser.parse_args(argv))
    output = settings.pop("output")
    settings["label_sources"] = tuple(settings["label_sources"])
    print(run_demo(DemoSettings(**settings), output))
