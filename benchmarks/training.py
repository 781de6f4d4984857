#!/usr/bin/env python
"""Samples per second of PCNet-M's training loader and training step, and peak memory.

The loader is measured with samples drawn on the CPU, and on the network's device where the settings
allow it; "both" is the training as configured. The step is set against what bounds it: matrix
products of the same precision, on the same device and threads.

benchmarks/training.py --config-file configs/quick_schedules/pcnet_m_kitti_mots_quick.yaml
benchmarks/training.py --config-file configs/pcnet_m_kitti_mots.yaml SOLVER.IMS_PER_BATCH 256
"""

from __future__ import annotations

import argparse
import functools
import resource
import time
from collections.abc import Callable

import torch
from detectron2.engine import AMPTrainer, SimpleTrainer
from detectron2.utils.events import EventStorage
from tabulate import tabulate
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deocclusion_d2.config import load_config
from deocclusion_d2.engine import Trainer
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.systems import system_of
from deocclusion_d2.systems.pcnet_m.mapper import draws_on_device


class Repeated:
    """A loader that gives the same batch again and again: the step without its loader."""

    def __init__(self, batch) -> None:
        self.batch = batch

    def __iter__(self):
        while True:
            yield self.batch


def loaders_by_place(cfg) -> dict:
    """Where samples are drawn, "cpu" or "device" -> a loader that draws them there."""
    loaders = {}
    for place in ("cpu", "device"):
        there = cfg.clone()
        there.INPUT.PARTIAL_COMPLETION.DRAW_ON = place
        try:
            draws_on_device(there)
        except UserError as error:
            print(error)
            continue
        loaders[place] = system_of(there).network.train_loader(there)
    return loaders


def build_trainer(cfg, loader) -> SimpleTrainer:
    """A trainer of a new network, from loading to the optimizer's step."""
    model = Trainer.build_model(cfg)
    optimizer = Trainer.build_optimizer(cfg, model)
    trainer = (AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer)(model, loader, optimizer)
    trainer.storage = EventStorage()
    return trainer


def per_second(cfg, do: Callable[[], object], warm_up: int, times: int) -> float:
    """How often something is done in a second."""
    for _ in range(warm_up):
        do()
    start = _now(cfg)
    for _ in range(times):
        do()
    return times / (_now(cfg) - start)


def _now(cfg) -> float:
    if cfg.MODEL.DEVICE.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def multiplications(trainer: SimpleTrainer) -> tuple[int, torch.dtype]:
    """Those of a training step, forward and backward, and the precision of its convolutions."""
    precisions = []
    first = next(m for m in trainer.model.modules() if isinstance(m, nn.Conv2d))
    hook = first.register_forward_hook(lambda _, given, out: precisions.append(out.dtype))
    with FlopCounterMode(display=False) as counter:
        trainer.run_step()
    hook.remove()
    # It counts a multiplication and its addition as two.
    return counter.get_total_flops() // 2, precisions[0]


def matrix_product(cfg, precision: torch.dtype, times: int) -> float:
    """Multiplications per second of products of large matrices."""
    # In float32 a GPU may round factors, in convolutions by default.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    size = 8192 if cfg.MODEL.DEVICE.startswith("cuda") else 2048
    one, other = torch.rand(2, size, size, device=cfg.MODEL.DEVICE).to(precision)
    return size**3 * per_second(cfg, lambda: one @ other, 2, times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument("--warm-up", type=int, default=5, metavar="N")
    parser.add_argument("--steps", type=int, default=30, metavar="N")
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args()
    counts = args.warm_up, args.steps
    with one_line_errors():
        cfg = load_config(args.config_file, args.opts)
        if cfg.SEED < 0:
            cfg.SEED = 0
        own = "device" if draws_on_device(cfg) else "cpu"
        loaders = loaders_by_place(cfg)

    rates = {}
    for place, loader in loaders.items():
        batches = iter(loader)
        rates[f"loader alone, drawn on the {place.replace('cpu', 'CPU')}"] = per_second(
            cfg, functools.partial(next, batches), *counts
        )
        batch = next(batches)
        del batches
    trainer = build_trainer(cfg, Repeated(batch))
    with trainer.storage:
        step = rates["step alone"] = per_second(cfg, trainer.run_step, *counts)
        count, precision = multiplications(trainer)
    trainer = build_trainer(cfg, loaders[own])
    with trainer.storage:
        rates["both"] = per_second(cfg, trainer.run_step, *counts)

    batch_size = cfg.SOLVER.IMS_PER_BATCH
    print(
        f"batch {batch_size}, {cfg.INPUT.INSTANCE_CROP.SIZE} px, width "
        f"{cfg.MODEL.PCNET_M.WIDTH}, {cfg.DATALOADER.NUM_WORKERS} loader workers, "
        f"{cfg.MODEL.DEVICE}, {torch.get_num_threads()} threads"
    )
    rows = [(name, rate * batch_size) for name, rate in rates.items()]
    print(tabulate(rows, ["", "samples/s"], "github", floatfmt=".1f"))
    memory = f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    if cfg.MODEL.DEVICE.startswith("cuda"):
        memory += f"; on the GPU {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"
    print(memory)
    ours, bound = count * step, matrix_product(cfg, precision, args.steps)
    print(
        f"step: {ours / 1e9:.1f} GMAC/s, {ours / bound:.1%} of a matrix product's "
        f"{bound / 1e9:.1f} GMAC/s ({str(precision).removeprefix('torch.')})"
    )


if __name__ == "__main__":
    main()
