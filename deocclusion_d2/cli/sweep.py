"""Sweep config keys of a network: one table and one row of plots for each key.

The network is one that learns from modal labels (--method). Without --sweep the keys are PCNet-M's:
the order and amodal thresholds, the eraser's dilation, gamma (the share of case 1) and the loss
weight inside the eraser.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..errors import one_line_errors
from ..experiments import SweepSettings, parse_sweeps, run_sweep
from ..experiments.sweep import swept_rows
from ..systems import default_sweeps
from .experiment_arguments import add_experiment_arguments, parse_settings

EPILOG = """\
default sweeps:
{defaults}

Keys of DEOCCLUSION only use the network anew; all others train it anew for every value and seed.
What was trained stays in OUTPUT/stages, shared with experiments of the same folder.

examples:
  %(prog)s --dataset kitti_mots
  %(prog)s --dataset synthetic_kins --seeds 0 1 \\
      --sweep INPUT.PARTIAL_COMPLETION.GAMMA=0.6,0.7,0.8,0.9 --opts SOLVER.MAX_ITER 800
  %(prog)s --dataset kitti_mots --method OG+ --seeds 0 1 2 \\
      --sweep INPUT.INSTANCE_CROP.ENLARGE=3,4,5 --opts SOLVER.MAX_ITER 400
"""


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    defaults = "\n".join(f"  {key}={','.join(v)}" for key, v in default_sweeps().items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG.format(defaults=defaults),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    add_experiment_arguments(parser)
    settings, output = parse_settings(parser, argv)
    settings["sweeps"] = parse_sweeps(settings["sweeps"])
    print(run_sweep(SweepSettings(**settings), output))
