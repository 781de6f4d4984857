"""Train or evaluate any meta-architecture of this package or of Detectron2.

Examples:

  # PCNet-M on KINS, paper's schedule, 8 GPUs
  %(prog)s --config-file configs/pcnet_m_kins.yaml --num-gpus 8

  # the same in minutes on a laptop's CPU
  %(prog)s --config-file configs/quick_schedules/pcnet_m_kins_quick.yaml

  # any JSON, without registering it: FORMAT:JSON[@IMAGE_ROOT]
  %(prog)s --config-file configs/quick_schedules/pcnet_m_kins_quick.yaml \\
      DATASETS.TRAIN "('coco:my_masks.json',)" DATASETS.TEST "()"

  # go on after an interruption; evaluate only
  %(prog)s --config-file CONFIG --resume
  %(prog)s --config-file CONFIG --eval-only MODEL.WEIGHTS output/model_final.pth
"""

from __future__ import annotations

from collections.abc import Sequence

from detectron2.engine import default_argument_parser

from ..engine.train import train
from ..errors import one_line_errors
from ..launch import launch


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = default_argument_parser(epilog=__doc__)
    args = parser.parse_args(argv)
    launch(
        train,
        args.num_gpus,
        num_machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        args=(args,),
    )
