"""Judge a PCNet-M on masks that it has not seen, where only modal masks are known.

Other instances erase parts of whole objects, as in training; the network completes them. Prints a
Markdown table of one row per checkpoint.

Example, two trainings on KITTI MOTS, by the sequences of which neither has learnt:

  %(prog)s --config-file configs/quick_schedules/pcnet_m_kitti_mots_quick.yaml \\
      --dataset kitti_mots_dev --weights output/a/model_final.pth output/b/model_final.pth
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tabulate import tabulate

from .. import evaluate_erasures
from ..config import load_config
from ..errors import one_line_errors


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML", help="of a PCNet-M")
    parser.add_argument(
        "--dataset", required=True, metavar="NAME", help="registered, or FORMAT:JSON[@IMAGE_ROOT]"
    )
    parser.add_argument("--weights", required=True, nargs="+", metavar="FILE", help="checkpoints")
    parser.add_argument(
        "--draws", type=int, default=4000, metavar="N", help="samples (default: %(default)s)"
    )
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="overrides, last"
    )
    args = parser.parse_args(argv)
    rows = []
    for weights in args.weights:
        cfg = load_config(args.config_file, [*args.opts, "MODEL.WEIGHTS", weights])
        rows.append({"weights": weights, **evaluate_erasures(cfg, args.dataset, args.draws)})
    print(tabulate(rows, headers="keys", tablefmt="github", floatfmt=".2f"))
