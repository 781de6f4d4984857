"""Rerun an experiment of the paper: train what is missing, evaluate all methods, write the table.

ordering          Table 1: Area, Y-axis, Convex, OG, and OrderNet without and with the image
completion        Table 2: Raw, Convex, Convex^R, NOG, OG, and a supervised U-Net; with the figure
                  of mIoU against the hidden share
predicted_modal   Table 3: the same on modal masks that a U-Net predicts from image and box
label_conversion  Table 4: Mask R-CNN trained on GT, Raw, Convex, Convex^R, NOG and OG labels, and
                  how well the labels agree with the true ones
detection         not in the paper: detectors side by side, trained alike on true amodal labels, by
                  how much of the true object is hidden
content           not in the paper: colours of hidden parts, by PCNet-C, SeGAN, and fills that need
                  no training
reliability       not in the paper: how far the probabilities of hidden pixels can be trusted

all_systems       every system side by side: the tables of ordering, completion, content and
                  detection, with time per object and parameters, and one sheet of the same objects

OG+ is OG with what the pcnet_m_plus configs add to the paper's method; general is the network that
comes with the package, which is not trained. Amodal-VAE completes whatever the order, Amodal-VAE og
inside of what OG+'s order puts in front, and ensemble takes OG+ and Amodal-VAE together; all tables
but ordering have them. "Best of 20 (oracle)" is of completions that Amodal-VAE draws, chosen by the
true mask: no result of a method.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from ..errors import one_line_errors
from ..experiments import ExperimentSettings, known_experiments, run_experiment
from ..systems import own_experiments, trainings
from .experiment_arguments import add_experiment_arguments, parse_settings

EPILOG = f"""\
examples:
  # on two CPU cores: a synthetic KINS
  datasets/prepare_synthetic_kins.py --height 128 --width 416 --train 1000 --val 300
  %(prog)s --experiment completion --dataset synthetic_kins --seeds 0 1
  # the paper's table, at the paper's schedules
  %(prog)s --experiment ordering --dataset kins --preset paper --num-gpus 8
  # real street scenes without amodal masks: boxes and depth; supervised rows learn from other data
  %(prog)s --experiment completion --dataset kitti_mots \\
      --supervised-train synthetic_kins_train
  # your own data: training set, test set
  %(prog)s --experiment ordering --dataset kins:train.json@images \\
      --test kins:val.json@images
  # some rows only; another length of one network's training
  %(prog)s --experiment label_conversion --dataset synthetic_kins \\
      --methods GT Raw OG --opts mask_rcnn.SOLVER.MAX_ITER 2000
  # every system, on streets whose hidden colours are known
  datasets/prepare_synthetic_kins.py --height 128 --width 416 --train 1200 --val 300 --whole-objects
  %(prog)s --experiment all_systems --dataset synthetic_kins
  # detectors side by side, all from the same weights
  %(prog)s --experiment detection --dataset synthetic_kins \\
      --opts MODEL.WEIGHTS trunk.pth SOLVER.MAX_ITER 500 SOLVER.STEPS "(350,450)"

OUTPUT/EXPERIMENT-DATASET gets report.md, results.json, plots (PNG) and the curve's numbers (CSV).
Every step is kept in OUTPUT/stages under the hash of its inputs: run the same command again to go
on after an interruption, and other experiments with the same OUTPUT use the networks that are
there. Changed settings or annotations make new stages, never mix with old ones.

KEY VALUE overrides go to all networks, or to one when its name stands before the key:
{", ".join(trainings())}.
"""


def _description() -> str:
    """What there is to run; experiments of systems stand last."""
    own = [f"{name:17} {found.text}: {', '.join(found.rows)}" for name, found in
           own_experiments().items()]  # fmt: skip
    lines = [textwrap.fill(text, 99, subsequent_indent=" " * 18) for text in own]
    return "\n".join([__doc__.rstrip(), "", *lines])


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=_description(),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--experiment", required=True, choices=list(known_experiments()))
    parser.add_argument(
        "--supervised-train",
        metavar="NAME",
        help="amodal labels for the supervised networks (default: the training set's own)",
    )
    parser.add_argument(
        "--methods", nargs="+", metavar="M", help="rows of the table (default: all)"
    )
    add_experiment_arguments(parser)
    settings, output = parse_settings(parser, argv)
    print(run_experiment(ExperimentSettings(**settings), output))
