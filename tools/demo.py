#!/usr/bin/env python
"""The whole way on a small synthetic KINS: modal masks -> PCNet-M -> labels -> amodal Mask R-CNN.

Prints every command before it runs it, ends with a table, and names a folder of pictures. What was
done stays done: a second run goes on where the first one stopped. With larger numbers it is the
label conversion experiment of the paper's Table 4:

  tools/demo.py --output output/label_conversion --train 400 --val 150 \\
      --pcnet-iterations 1200 --detector-iterations 1200 --label-sources GT Raw OG
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deocclusion_d2.errors import one_line_errors
from deocclusion_d2.experiments.label_conversion import (
    CONVERSIONS,
    TRUE_LABELS,
    LabelConversionExperiment,
)


def main() -> None:
    defaults = LabelConversionExperiment()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("output/demo"), metavar="DIR")
    numbers = {
        "--train": ("train_images", "training images"),
        "--val": ("val_images", "validation images"),
        "--height": ("height", "image height in pixels"),
        "--width": ("width", "image width in pixels"),
        "--pcnet-iterations": ("pcnet_iterations", "length of PCNet-M's training"),
        "--detector-iterations": ("detector_iterations", "length of Mask R-CNN's training"),
        "--pictures": ("pictures", "validation images to draw"),
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
    parser.add_argument("--pcnet-config", default=defaults.pcnet_config, metavar="YAML")
    parser.add_argument("--detector-config", default=defaults.detector_config, metavar="YAML")
    parser.add_argument(
        "--label-sources",
        nargs="+",
        choices=[TRUE_LABELS, *CONVERSIONS],
        default=list(defaults.label_sources),
        help="what Mask R-CNN is trained on, one training each (default: %(default)s)",
    )
    settings = vars(parser.parse_args())
    output = settings.pop("output")
    settings["label_sources"] = tuple(settings["label_sources"])
    with one_line_errors():
        print(LabelConversionExperiment(**settings).run(output, Path(__file__).parents[1]))


if __name__ == "__main__":
    main()
