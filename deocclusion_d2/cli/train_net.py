"""Train or evaluate any meta-architecture of this package or of Detectron2.

Examples:

  # PCNet-M on KINS, paper's schedule, 8 GPUs
  %(prog)s --config-file configs/pcnet_m_kins.yaml --num-gpus 8

  # 2 machines: by hand; by torchrun on each; by Slurm, a task per GPU
  %(prog)s ... --num-gpus 8 --num-machines 2 --machine-rank 0 --dist-url tcp://10.0.0.1:29500
  %(prog)s ... --num-gpus 8 --num-machines 2 --machine-rank 1 --dist-url tcp://10.0.0.1:29500
  torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint 10.0.0.1:29500 \\
      tools/train_net.py --config-file configs/pcnet_m_kins.yaml
  srun --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 --kill-on-bad-exit=1 \\
      python tools/train_net.py --config-file configs/pcnet_m_kins.yaml

  # in minutes on a laptop's CPU; by two processes on CPUs
  %(prog)s --config-file configs/quick_schedules/pcnet_m_kins_quick.yaml
  torchrun --nproc-per-node 2 tools/train_net.py \\
      --config-file configs/quick_schedules/pcnet_m_kins_quick.yaml

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
from ..launch import launch, one_voice


@one_voice()
def main(argv: Sequence[str] | None = None) -> None:
    parser = default_argument_parser(epilog=__doc__)
    # Detectron2's own is a port of the user, which a second training would need as well.
    parser.set_defaults(dist_url="auto")
    args = parser.parse_args(argv)
    launch(
        train,
        args.num_gpus,
        num_machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        args=(args,),
    )
