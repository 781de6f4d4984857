"""Evaluate a network and the rules on a data set, and print one Markdown table.

Example, real street scenes of which depth and amodal boxes are known:

  %(prog)s --config-file configs/quick_schedules/pcnet_m_kitti_mots_quick.yaml \\
      --dataset kitti_mots_dev MODEL.WEIGHTS output/pcnet_m_kitti_mots_quick/model_final.pth

The modal masks that a network predicted for KINS, against its true amodal masks (Table 3):

  %(prog)s --config-file configs/pcnet_m_kins.yaml \\
      --dataset predicted:coco_instances_results.json@kins_val MODEL.WEIGHTS pcnet_m.pth
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from ..config import load_config
from ..data.datasets import dataset_inputs
from ..errors import one_line_errors
from ..experiments import compare_methods, comparison_table
from ..experiments.compare_methods import default_rows
from ..files import whole_text_file
from ..launch import launch, one_voice
from ..outputs import check_output_file
from .inputs import weights_in
from .worker_arguments import add_loader_workers, loader_workers


def run(args: argparse.Namespace) -> None:
    with one_line_errors():
        setup_logger(distributed_rank=comm.get_rank())
        # This package's own lines say how many instances are measured, and what is left out.
        setup_logger(distributed_rank=comm.get_rank(), name="deocclusion_d2")
        # In every process: one that failed alone would leave the others waiting.
        if args.output:
            inputs = dataset_inputs(args.dataset, args.config_file, weights_in(args.opts))
            check_output_file(args.output, inputs, args.overwrite, kind="JSON file")
        cfg = load_config(args.config_file, [*args.opts, *loader_workers(args)])
        results = compare_methods(cfg, args.dataset, args.methods)
        if not comm.is_main_process():
            return
        print(comparison_table(results))
        if args.output:
            with whole_text_file(args.output) as file:
                json.dump(results, file, indent=1)


@one_voice()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help="registered, or FORMAT:JSON[@IMAGE_ROOT], or predicted:RESULTS_JSON@NAME",
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="M",
        help=f"rows (default: all that the config's network gives; {', '.join(default_rows())})",
    )
    parser.add_argument("--output", type=Path, metavar="JSON", help="also write the figures here")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --output")
    parser.add_argument(
        "--num-gpus", type=int, default=1, metavar="N", help="or processes, where there is no GPU"
    )
    add_loader_workers(parser)
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args(argv)
    launch(run, args.num_gpus, args=(args,), cpu_group=True)
