#!/usr/bin/env python
"""How often an order is right, by how sure the method is of it.

A pair's probability is (1 + confidence) / 2, from 0.5 on. Pairs are put into ten bins by it; the
expected calibration error is the mean, over pairs, of the difference between a bin's probability
and the share of its orders that is right. Pairs that the method does not order are counted alone.

  benchmarks/order_reliability.py --datasets synthetic_kins_val generic_shapes_val --picture o.png
  benchmarks/order_reliability.py --datasets kins_val --weights model_final.pth \\
      --config-file pcnet_m_plus_kins --opts DEOCCLUSION.ORDERING_PRIOR ""
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from detectron2.evaluation import DatasetEvaluator
from tabulate import tabulate

from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.loaders import build_scene_test_loader
from deocclusion_d2.data.true_order import order_from_amodal, order_from_depth
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.engine.evaluate import judge
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.files import whole_file
from deocclusion_d2.methods import method_config
from deocclusion_d2.outputs import check_output_file
from deocclusion_d2.structures import Deocclusion, Scene, SceneTruth

BINS = 10


class OrderConfidences(DatasetEvaluator):
    """Collects the confidences of the truly ordered pairs.

    Attributes:
        pairs: (confidence, whether the order is right) of those that have one.
        undecided: how many have none.
    """

    def reset(self) -> None:
        self.pairs: list[tuple[float, bool]] = []
        self.undecided = 0

    def process(self, inputs: list[dict], outputs: list[Deocclusion]) -> None:
        for record, result in zip(inputs, outputs, strict=True):
            self.add(record["scene"], record["truth"], result)

    def add(self, scene: Scene, truth: SceneTruth, result: Deocclusion) -> None:
        """Add the pairs of an image, if its labels tell any order."""
        if truth.amodal_masks is not None:
            orders = order_from_amodal(scene, truth)
        elif truth.depths is not None:
            orders = order_from_depth(scene, truth)
        else:
            return
        for (i, j), true in orders.items():
            found = result.graph.order(i, j)
            if true and not found:
                self.undecided += 1
            elif true:
                confidence = result.graph.confidence(*((i, j) if found == 1 else (j, i)))
                if confidence is None:
                    raise UserError("the ordering is never more or less sure: name another one")
                self.pairs.append((confidence, found == true))

    def evaluate(self) -> dict:
        return {}


def calibration(pairs: Sequence[tuple[float, bool]]) -> tuple[float, np.ndarray]:
    """Expected calibration error in percent, and (B, 3) of the bins that hold pairs: mean
    probability, share that is right, number."""
    confidence, right = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = np.array(
        [
            ((1 + confidence[of].mean()) / 2, right[of].mean(), of.sum())
            for of in (bins == k for k in range(BINS))
            if of.any()
        ]
    ).reshape(-1, 3)
    errors = np.abs(rows[:, 0] - rows[:, 1])
    return 100 * float((errors * rows[:, 2]).sum() / max(rows[:, 2].sum(), 1)), rows


def draw(curves: dict[str, tuple[float, np.ndarray]], path: Path) -> None:
    """The bins of every data set, beside the diagonal of what is calibrated."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0.5, 1], [0.5, 1], "--", color="0.6")
    for name, (error, rows) in curves.items():
        axes.plot(rows[:, 0], rows[:, 1], "o-", label=f"{name}: ECE {error:.1f}")
    axes.set(
        xlabel="probability of the order, (1 + confidence) / 2",
        ylabel="share that is right",
        xlim=(0.5, 1.005),
    )
    axes.legend()
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=110)


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", required=True, nargs="+", metavar="NAME")
    parser.add_argument("--config-file", metavar="YAML", help="(default: that of the weights)")
    parser.add_argument("--weights", help="(default: the network that comes with the package)")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw the bins")
    parser.add_argument("--overwrite", action="store_true", help="replace the picture")
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="overrides, last"
    )
    args = parser.parse_args(argv)
    if args.picture:
        check_output_file(args.picture, None, args.overwrite, "--picture", (".png",))
    cfg = method_config(None, args.config_file, args.weights, args.opts)
    curves, table = {}, []
    for name in args.datasets:
        ensure_registered(name)
        deoccluder, found = Deoccluder.from_config(cfg), OrderConfidences()
        loader = build_scene_test_loader(cfg, name, load_images=deoccluder.uses_rgb)
        judge(deoccluder, loader, found)
        if not found.pairs:
            raise UserError(f"data set {name!r}: no pair of known order was ordered")
        error, rows = curves[name] = calibration(found.pairs)
        counts = rows[:, 2].sum()
        means = [100 * (rows[:, k] * rows[:, 2]).sum() / max(counts, 1) for k in (0, 1)]
        table.append([name, int(counts), found.undecided, *(f"{v:.1f}" for v in (*means, error))])
    heads = ["data", "pairs", "undecided", "mean probability, %", "right, %", "ECE, %"]
    print(tabulate(table, heads, disable_numparse=True))
    if args.picture:
        draw(curves, args.picture)
        print(f"wrote {args.picture}")


if __name__ == "__main__":
    main()
