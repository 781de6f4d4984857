"""Sweep config keys of a network: one table and one row of plots for each key.

The network is one that learns from modal labels (--method). Without --sweep the keys are PCNet-M's:
the order and amodal thresholds, the eraser's dilation, gamma (the share of case 1) and the loss
weight inside the eraser.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import one_line_errors
from ..experiments import KNOWN_NAMES, PRESETS, SweepSettings, parse_sweeps, run_sweep
from ..experiments.sweep import swept_rows
from ..systems import default_sweeps

EPILOG = """\
default sweeps:
{defaults}

Keys of DEOCCLUSION only use the network anew; all others train it anew for every value and seed.
What was trained stays in OUTPUT/stages, shared with tools/run_experiment.py.

examples:
  tools/sweep.py --dataset kitti_mots
  tools/sweep.py --dataset synthetic_kins --seeds 0 1 \\
      --sweep INPUT.PARTIAL_COMPLETION.GAMMA=0.6,0.7,0.8,0.9 --opts SOLVER.MAX_ITER 800
  tools/sweep.py --dataset kitti_mots --method OG+ --seeds 0 1 2 \\
      --sweep INPUT.INSTANCE_CROP.ENLARGE=3,4,5 --opts SOLVER.MAX_ITER 400
"""


def main(argv: Sequence[str] | None = None) -> None:
    defaults = "\n".join(f"  {key}={','.join(v)}" for key, v in default_sweeps().items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG.format(defaults=defaults),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help=f"{', '.join(KNOWN_NAMES)}; or a training set, registered or FORMAT:JSON[@IMAGE_ROOT]",
    )
    parser.add_argument("--test", metavar="NAME", help="test set of an own training set")
    parser.add_argument(
        "--sweep",
        dest="sweeps",
        action="append",
        default=[],
        metavar="KEY=V1,V2,...",
        help="a numeric config key and its values; may be given several times",
    )
    parser.add_argument(
        "--method",
        choices=swept_rows(),
        default="OG",
        help="OG+: the plus config, with a prior for every network (default: %(default)s)",
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="quick")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N")
    parser.add_argument("--output", type=Path, default=Path("output/experiments"), metavar="DIR")
    parser.add_argument("--num-gpus", type=int, default=1, metavar="N", help="for training")
    parser.add_argument(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="KEY VALUE",
        help="config overrides, last",
    )
    settings = vars(parser.parse_args(argv))
    output = settings.pop("output")
    with one_line_errors():
        settings["sweeps"] = parse_sweeps(settings["sweeps"])
        settings["seeds"], settings["opts"] = tuple(settings["seeds"]), tuple(settings["opts"])
        print(run_sweep(SweepSettings(**settings), output))
