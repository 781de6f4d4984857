#!/usr/bin/env python
"""Samples per second of PCNet-M's training loader and training step, and peak memory.

benchmarks/training.py --config-file configs/quick_schedules/pcnet_m_kitti_mots_quick.yaml
benchmarks/training.py --config-file configs/pcnet_m_kitti_mots.yaml SOLVER.IMS_PER_BATCH 256
"""

from __future__ import annotations

import argparse
import resource
import time

import torch
from detectron2.engine import AMPTrainer, SimpleTrainer
from detectron2.utils.events import EventStorage
from tabulate import tabulate

from deocclusion_d2.config import load_config
from deocclusion_d2.engine import Trainer
from deocclusion_d2.errors import one_line_errors
from deocclusion_d2.systems import system_of


class Repeated:
    """A loader that gives the same batch again and again: the step without its loader."""

    def __init__(self, batch) -> None:
        self.batch = batch

    def __iter__(self):
        while True:
            yield self.batch


def steps_per_second(cfg, loader, warm_up: int, steps: int) -> float:
    """Training steps per second, from loading to the optimizer's step."""
    model = Trainer.build_model(cfg)
    optimizer = Trainer.build_optimizer(cfg, model)
    trainer = (AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer)(model, loader, optimizer)
    with EventStorage() as storage:
        trainer.storage = storage
        for k in range(warm_up + steps):
            if k == warm_up:
                start = _now(cfg)
            trainer.run_step()
        return steps / (_now(cfg) - start)


def _now(cfg) -> float:
    if cfg.MODEL.DEVICE.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument("--warm-up", type=int, default=5, metavar="N")
    parser.add_argument("--steps", type=int, default=30, metavar="N")
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args()
    with one_line_errors():
        cfg = load_config(args.config_file, args.opts)
        if cfg.SEED < 0:
            cfg.SEED = 0
        loader = system_of(cfg).network.train_loader(cfg)
    batch_size = cfg.SOLVER.IMS_PER_BATCH

    batches = iter(loader)
    for _ in range(args.warm_up):
        batch = next(batches)
    start = time.perf_counter()
    for _ in range(args.steps):
        next(batches)
    loading = args.steps / (time.perf_counter() - start)
    del batches

    step = steps_per_second(cfg, Repeated(batch), args.warm_up, args.steps)
    both = steps_per_second(cfg, loader, args.warm_up, args.steps)
    rows = [
        [name, rate * batch_size]
        for name, rate in (("loader alone", loading), ("step alone", step), ("both", both))
    ]
    print(
        f"batch {batch_size}, {cfg.INPUT.INSTANCE_CROP.SIZE} px, width "
        f"{cfg.MODEL.PCNET_M.WIDTH}, {cfg.DATALOADER.NUM_WORKERS} loader workers, "
        f"{cfg.MODEL.DEVICE}, {torch.get_num_threads()} threads"
    )
    print(tabulate(rows, ["", "samples/s"], "github", floatfmt=".1f"))
    memory = f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    if cfg.MODEL.DEVICE.startswith("cuda"):
        memory += f"; on the GPU {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"
    print(memory)


if __name__ == "__main__":
    main()
