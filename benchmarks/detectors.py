#!/usr/bin/env python
"""Time of detectors side by side: a training step and an image, in turns on the same data.

benchmarks/detectors.py --weights trunk.pth --config-files \\
    configs/quick_schedules/amodal_mask_rcnn_R_18_FPN_kins_quick.yaml \\
    configs/quick_schedules/bcnet_R_18_FPN_kins_quick.yaml

Name trained weights, or at least those of the trunk: a detector that finds nothing has no masks to
make, and takes no time for them.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import torch
from detectron2.engine import AMPTrainer, SimpleTrainer
from detectron2.utils.events import EventStorage
from tabulate import tabulate

from deocclusion_d2.config import load_config
from deocclusion_d2.engine import Trainer
from deocclusion_d2.engine.evaluate import build_test_loader
from deocclusion_d2.errors import one_line_errors
from deocclusion_d2.inference.weights import Checkpointer


class Detector:
    """One of those that are compared; its training goes on from turn to turn."""

    def __init__(self, cfg, weights: str) -> None:
        self.cfg = cfg
        torch.manual_seed(0)
        self.model = Trainer.build_model(cfg)
        if weights:
            Checkpointer(self.model).load(weights)
        mask_head = getattr(self.model.roi_heads, "mask_head", None)
        self.mask_parameters = sum(p.numel() for p in mask_head.parameters()) if mask_head else 0
        optimizer = Trainer.build_optimizer(cfg, self.model)
        kind = AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer
        self.trainer = kind(self.model, Trainer.build_train_loader(cfg), optimizer)
        self.images = list(itertools.islice(build_test_loader(cfg, cfg.DATASETS.TEST[0]), 16))
        self.best_step = self.best_image = float("inf")

    def turn(self, steps: int) -> None:
        """So many training steps, and the images once."""
        self.model.train()
        with EventStorage() as self.trainer.storage:
            start = self._now()
            for _ in range(steps):
                self.trainer.run_step()
            self.best_step = min(self.best_step, (self._now() - start) / steps)
        self.model.eval()
        with torch.inference_mode():
            start = self._now()
            for image in self.images:
                self.model(image)
            self.best_image = min(self.best_image, (self._now() - start) / len(self.images))

    def _now(self) -> float:
        if self.cfg.MODEL.DEVICE.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-files", required=True, nargs="+", metavar="YAML")
    parser.add_argument("--weights", default="", metavar="FILE", help="to start all of them from")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="of a turn")
    parser.add_argument("--turns", type=int, default=3, metavar="N")
    parser.add_argument("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE")
    args = parser.parse_args()
    with one_line_errors():
        configs = [load_config(name, args.opts) for name in args.config_files]
        detectors = [Detector(cfg, args.weights) for cfg in configs]
        for detector in detectors:  # to warm up
            detector.turn(2)
            detector.best_step = detector.best_image = float("inf")
        for _ in range(args.turns):
            for detector in detectors:
                detector.turn(args.steps)
    first = detectors[0]
    rows = [
        [
            Path(name).stem,
            f"{detector.mask_parameters:,}",
            detector.best_step,
            detector.best_step / first.best_step,
            detector.best_image,
            detector.best_image / first.best_image,
        ]
        for name, detector in zip(args.config_files, detectors, strict=True)
    ]
    cfg = first.cfg
    print(
        f"{cfg.SOLVER.IMS_PER_BATCH} images a step, {cfg.MODEL.DEVICE}, "
        f"{torch.get_num_threads()} threads; best of {args.turns} turns"
    )
    headers = ["", "parameters of the mask head", "s/step", "times", "s/image", "times"]
    print(tabulate(rows, headers, "github", floatfmt=".3f"))


if __name__ == "__main__":
    main()
