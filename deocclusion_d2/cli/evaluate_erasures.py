"""Judge a PCNet-M on masks that it has not seen, where only modal masks are known.

Other instances erase parts of whole objects, as in training; the network completes them. Prints a
Markdown table of one row per network; the same erasures for all.

Examples:
  is a network trained on your own masks better than the one that comes along? Held-out masks tell:
    %(prog)s --dataset coco:held_out.json --weights general output/mine
  two trainings on KITTI MOTS, by the sequences of which neither has learnt:
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
from ..pretrained import find_pretrained


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config-file",
        metavar="YAML",
        help="config of all of them, whose sampler draws (default: each has its own, and that of "
        "the first draws)",
    )
    parser.add_argument(
        "--dataset", required=True, metavar="NAME", help="registered, or FORMAT:JSON[@IMAGE_ROOT]"
    )
    parser.add_argument(
        "--weights",
        required=True,
        nargs="+",
        metavar="NAME",
        help="networks: 'general', which comes along, folders of trainings, or files of weights",
    )
    parser.add_argument(
        "--draws", type=int, default=4000, metavar="N", help="samples (default: %(default)s)"
    )
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="overrides, last"
    )
    args = parser.parse_args(argv)
    if args.config_file:
        configs = [
            load_config(args.config_file, [*args.opts, "MODEL.WEIGHTS", w]) for w in args.weights
        ]
    else:
        configs = [find_pretrained(w).load_config(args.opts) for w in args.weights]
    rows = [
        {
            "weights": weights,
            **evaluate_erasures(cfg, args.dataset, args.draws, sampler=configs[0]),
        }
        for weights, cfg in zip(args.weights, configs, strict=True)
    ]
    print(tabulate(rows, headers="keys", tablefmt="github", floatfmt=".2f"))
