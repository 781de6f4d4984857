#!/usr/bin/env python
"""A PCNet-M's network by each engine and precision: milliseconds a patch, on whole patches.

Batches are those that inference makes: on a CPU as many patches as fit a core's cache. Each engine
has a turn after the other, and the best turn of each counts; the first batch, which an engine
converts or compiles for, is timed apart. Differences are those of the logits to torch's in float32,
as a share of their standard deviation. What torch leaves out of large patches (windows) is not
measured here, but in one_patch.py.

  benchmarks/engines.py
  benchmarks/engines.py --networks 2:256,0.5:64 --engines torch,compile,openvino
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field

import torch
from tabulate import tabulate

from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.inference.engines import ENGINES, chosen_engine, installed_engines
from deocclusion_d2.inference.network_runner import NetworkRunner
from deocclusion_d2.modeling import UNet
from deocclusion_d2.systems.pcnet_m.network import PCNetM

_NETWORKS = "2:256,1:64,0.5:64"


@dataclass
class Side:
    """An engine in a precision.

    Attributes:
        first: seconds of its first batch.
        best: seconds of its best batch.
    """

    runner: NetworkRunner
    first: float = 0.0
    best: float = field(default=float("inf"))

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        network = self.runner.model.network
        x = x.to(self.runner.model.dtype, memory_format=torch.channels_last)
        start = time.perf_counter()
        with torch.inference_mode():
            out = network(x)
        if x.is_cuda:
            torch.cuda.synchronize()
        took = time.perf_counter() - start
        if self.first:
            self.best = min(self.best, took)
        self.first = self.first or took
        return out.float()


def measure(
    width: float, size: int, engines: list[str], turns: int, device: torch.device
) -> list[list]:
    """Rows of the table, for one network of random weights."""
    torch.manual_seed(0)
    model = PCNetM(network=UNet(2, width), use_category=False).to(device).eval()
    sides: dict[tuple[str, str], Side] = {}
    for precision in ("float32", "bfloat16"):
        for engine in (name for name in engines if precision in ENGINES[name].precisions):
            runner = NetworkRunner(model, precision=precision, engine=engine, patch_size=size)
            sides[engine, precision] = Side(runner)
    count = sides[engines[0], "float32"].runner.forward_size(size)
    x = (torch.rand(count, 2, size, size, device=device) < 0.5).float()
    expected = None
    differences = {}
    for _ in range(turns + 1):
        for key, side in sides.items():
            out = side.turn(x)
            expected = out if expected is None else expected
            differences[key] = float((out - expected).abs().max() / expected.std())
    slow = sides[engines[0], "float32"].best
    return [
        [
            f"width {width:g}, {size} px, {count} a batch",
            engine,
            precision,
            1e3 * side.best / count,
            slow / side.best,
            side.first,
            differences[engine, precision],
        ]
        for (engine, precision), side in sides.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--networks",
        default=_NETWORKS,
        metavar="WIDTH:SIZE,...",
        help=f"(default: {_NETWORKS})",
    )
    parser.add_argument(
        "--engines",
        metavar="NAME,NAME",
        help="see DEOCCLUSION.ENGINE (default: those installed but compile, which takes up to a "
        "minute a network)",
    )
    parser.add_argument("--turns", type=int, default=10, metavar="N", help="of each (default: 10)")
    args = parser.parse_args()
    with one_line_errors():
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        names = args.engines.split(",") if args.engines else installed_engines(device)
        engines = [chosen_engine(name, device, "float32", alone=True).name for name in names]
        try:
            networks = [
                (float(width), int(size))
                for width, _, size in (text.partition(":") for text in args.networks.split(","))
            ]
        except ValueError:
            raise UserError(
                f"--networks is {args.networks}: use WIDTH:SIZE, such as 2:256"
            ) from None
        rows = [
            row
            for width, size in networks
            for row in measure(width, size, engines, max(args.turns, 1), device)
        ]
    print(f"{device}, {torch.get_num_threads()} threads")
    headers = [
        "network",
        "engine",
        "precision",
        "ms/patch",
        "times",
        "first batch, s",
        "difference",
    ]
    print(tabulate(rows, headers, "github", floatfmt=("", "", "", ".3f", ".2f", ".1f", ".4f")))


if __name__ == "__main__":
    main()
