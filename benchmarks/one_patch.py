#!/usr/bin/env python
"""De-occlusion against the one-patch-per-forward float32 protocol, in the same run.

The reference is the method as it is usually written: full-image masks, a forward for every patch,
in float32. All sides see the same scenes, weights and settings (raw paste, no dilation); decisions
and masks are compared with the reference's. Also timed are the released protocol to the bit
(PAPER_PROTOCOL, in full batches), and the constrained result, which conversion writes, by each of
--engines. Sides take turns, and the best turn of each counts.

  benchmarks/one_patch.py --config-file configs/pcnet_m_kitti_mots.yaml \\
      --dataset kitti_mots_dev --images 20 MODEL.WEIGHTS model_final.pth
"""

from __future__ import annotations

import argparse
import copy
import resource
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from detectron2.data import DatasetCatalog
from detectron2.modeling import build_model
from tabulate import tabulate

from deocclusion_d2.config import load_config
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.inference import load_model
from deocclusion_d2.inference.engines import ENGINES, chosen_engine, installed_engines
from deocclusion_d2.modeling.precision import chosen_precision
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, WindowMask

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class OnePatchProtocol:
    """Eq. 3 and 4 with full-image masks and one float32 forward per patch.

    Attributes:
        patches: forwards so far.
    """

    def __init__(self, model: torch.nn.Module, cfg) -> None:
        # Plain PyTorch: contiguous weights, nothing folded.
        self.network = copy.deepcopy(model.network).to(memory_format=torch.contiguous_format)
        self.model = model
        self.device = model.device
        self.size = cfg.INPUT.INSTANCE_CROP.SIZE
        self.enlarge = cfg.INPUT.INSTANCE_CROP.ENLARGE
        self.order_threshold = cfg.DEOCCLUSION.ORDER_THRESHOLD
        self.amodal_threshold = cfg.DEOCCLUSION.AMODAL_THRESHOLD
        self.patches = 0

    @torch.inference_mode()
    def __call__(self, scene: Scene) -> Deocclusion:
        masks = [m.to_array(scene.height, scene.width) for m in scene.modal_masks]
        squares = [self._square(m) for m in masks]
        graph = self._order(masks, squares, scene.category_ids)
        amodal = [
            self._complete(i, masks, squares[i], graph, int(scene.category_ids[i]))
            for i in range(len(masks))
        ]
        return Deocclusion(graph, [WindowMask.from_array(a) for a in amodal])

    def _order(self, masks, squares, categories) -> OcclusionGraph:
        pairs, gains = [], []
        for i in range(len(masks)):
            grown = cv2.dilate(masks[i].astype(np.uint8), _CROSS)
            for j in range(i + 1, len(masks)):
                if not (grown.astype(bool) & masks[j]).any():
                    continue
                pairs.append((i, j))
                row = []
                for target, eraser in ((i, j), (j, i)):
                    square = squares[target]
                    patch = self._nearest(masks[target], square)
                    cover = self._nearest(masks[eraser], square)
                    probability = self._forward(patch, cover, int(categories[target]))
                    new = (probability > self.order_threshold) & (cover > 0)
                    row.append(new.sum() * (square[2] / self.size) ** 2)
                gains.append(row)
        return OcclusionGraph.from_increments(
            len(masks), pairs, np.array(gains).reshape(len(pairs), 2)
        )

    def _complete(self, i, masks, square, graph, category) -> np.ndarray:
        ancestors = graph.ancestors(i)
        if not ancestors:
            return masks[i]
        eraser = np.any([masks[j] for j in ancestors], axis=0)
        patch = self._linear(self._crop(masks[i], square), self.size)
        cover = self._linear(self._crop(eraser, square), self.size)
        probability = self._forward(patch, cover, category)
        x0, y0, side = square
        pasted = self._linear((probability > self.amodal_threshold).astype(np.uint8), side)
        height, width = masks[i].shape
        out = np.zeros((height, width), bool)
        top, left = max(y0, 0), max(x0, 0)
        bottom, right = min(y0 + side, height), min(x0 + side, width)
        out[top:bottom, left:right] = pasted[top - y0 : bottom - y0, left - x0 : right - x0]
        return out

    def _forward(self, target: np.ndarray, eraser: np.ndarray, category: int) -> np.ndarray:
        self.patches += 1
        visible = np.where(eraser > 0, 0, target).astype(np.float32)
        if self.model.use_category:
            visible *= category
        x = np.stack([visible, eraser.astype(np.float32)])[None]
        logits = self.network(torch.from_numpy(x).to(self.device))
        return torch.softmax(logits, dim=1)[0, 1].cpu().numpy()

    def _square(self, mask: np.ndarray) -> tuple[int, int, int]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return 0, 0, 1
        w, h = columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]
        side = max((self.enlarge * w * h) ** 0.5, 1.1 * w, 1.1 * h)
        x, y = columns[0] + w / 2, rows[0] + h / 2
        return int(x - side / 2), int(y - side / 2), max(int(side), 1)

    @staticmethod
    def _crop(mask: np.ndarray, square: tuple[int, int, int]) -> np.ndarray:
        x0, y0, side = square
        height, width = mask.shape
        out = np.zeros((side, side), np.uint8)
        top, left = max(y0, 0), max(x0, 0)
        bottom, right = min(y0 + side, height), min(x0 + side, width)
        out[top - y0 : bottom - y0, left - x0 : right - x0] = mask[top:bottom, left:right]
        return out

    def _nearest(self, mask: np.ndarray, square: tuple[int, int, int]) -> np.ndarray:
        size = (self.size, self.size)
        return cv2.resize(self._crop(mask, square), size, interpolation=cv2.INTER_NEAREST)

    @staticmethod
    def _linear(mask: np.ndarray, size: int) -> np.ndarray:
        resized = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
        return (resized > 0.5).astype(np.uint8)


def engines(text: str | None, precision: str) -> list[str]:
    """The engines to measure: those named, with commas, or those at hand for the precision.

    Raises:
        UserError: there is none of that name.
    """
    device = torch.device("cpu")
    if text is None:
        return [name for name in installed_engines(device) if precision in ENGINES[name].precisions]
    return [chosen_engine(name, device, precision, alone=True).name for name in text.split(",")]


def best_of_turns(
    calls: dict[str, Callable[[], list[Deocclusion]]], turns: int, device: torch.device
) -> tuple[dict[str, float], dict[str, list[Deocclusion]]]:
    """Seconds of the best turn of each call, the device's work included, and what it gave."""
    best, results = dict.fromkeys(calls, float("inf")), {}
    for _ in range(turns):
        for name, call in calls.items():
            start = time.perf_counter()
            results[name] = call()
            if device.type == "cuda":
                torch.cuda.synchronize()
            best[name] = min(best[name], time.perf_counter() - start)
    return best, results


def agreement(reference: list[Deocclusion], ours: list[Deocclusion]) -> tuple[float, int, float]:
    """Share of equal order decisions, their number, and the mean IoU of the amodal masks."""
    equal = pairs = 0
    ious = []
    for a, b in zip(reference, ours, strict=True):
        for i, j in a.graph.neighbour_pairs:
            equal += a.graph.order(i, j) == b.graph.order(i, j)
            pairs += 1
        for m, n in zip(a.amodal_masks, b.amodal_masks, strict=True):
            common = m.intersection_area(n)
            ious.append(common / max(m.area + n.area - common, 1) if m.area or n.area else 1.0)
    return equal / max(pairs, 1), pairs, float(np.mean(ious)) if ious else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument("--dataset", default="kitti_mots_dev", metavar="NAME")
    parser.add_argument("--images", type=int, default=20, help="spread over the data set")
    parser.add_argument(
        "--engines",
        metavar="NAME,NAME",
        help="see DEOCCLUSION.ENGINE (default: those installed but compile)",
    )
    parser.add_argument(
        "--repeats", type=int, default=2, metavar="N", help="turns of each side (default: 2)"
    )
    parser.add_argument(
        "--random-weights", action="store_true", help="speed only: no MODEL.WEIGHTS needed"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args()
    with one_line_errors():
        cfg = load_config(args.config_file, args.opts)
        # The protocol that is compared with looks at an object once, and knows no prior.
        cfg.DEOCCLUSION.RECENTRE = 0
        cfg.DEOCCLUSION.ORDERING_PRIOR = ""
        model = build_model(cfg).eval() if args.random_weights else load_model(cfg)
        records = DatasetCatalog.get(ensure_registered(args.dataset))
        chosen = np.linspace(0, len(records) - 1, min(max(args.images, 0), len(records))).astype(
            int
        )
        scenes = [scene_from_record(records[i])[0] for i in chosen]
        if not scenes:
            raise UserError(f"--images {args.images} of {args.dataset}: there is nothing to do")

        cfg.DEOCCLUSION.CONSTRAIN = False
        sides = {"raw paste: batches, windows": Deoccluder.from_config(cfg, model)}
        cfg.DEOCCLUSION.PAPER_PROTOCOL = True
        sides["paper_protocol: batches, float32"] = Deoccluder.from_config(cfg, model)
        cfg.DEOCCLUSION.PAPER_PROTOCOL = False
        cfg.DEOCCLUSION.CONSTRAIN = True
        precision = chosen_precision(cfg.DEOCCLUSION.PRECISION, model.device)
        for engine in engines(args.engines, precision):
            cfg.DEOCCLUSION.ENGINE = engine
            sides[f"constrained, {engine}"] = Deoccluder.from_config(cfg, model)
        protocol = OnePatchProtocol(model, cfg)

    def reference() -> list[Deocclusion]:
        protocol.patches = 0
        return [protocol(scene) for scene in scenes]

    # In a first turn libraries choose their kernels, and engines prepare the network.
    calls = {"one patch per forward, float32, full images": reference}
    calls |= {name: partial(deoccluder, scenes) for name, deoccluder in sides.items()}
    seconds, results = best_of_turns(calls, args.repeats, model.device)
    slow, expected = (next(iter(of_all.values())) for of_all in (seconds, results))
    patches = protocol.patches
    rows = []
    for name, took in seconds.items():
        equal, pairs, iou = agreement(expected, results[name])
        rows.append([name, took, len(scenes) / took, patches / took, slow / took, 100 * equal, iou])
    instances = sum(len(s) for s in scenes)
    print(
        f"{len(scenes)} images of {args.dataset}, {instances} instances, {patches} patches of "
        f"{protocol.size} px, width {cfg.MODEL.PCNET_M.WIDTH}, {model.device}, "
        f"{torch.get_num_threads()} threads, {next(iter(sides.values())).describe()['precision']}"
    )
    headers = ["", "s", "images/s", "patches/s", "times", "equal orders, %", "mask mIoU"]
    print(tabulate(rows, headers, "github", floatfmt=("", *[".2f"] * 5, ".5f")))
    print(f"orders: {pairs} pairs; masks of constrained results are other masks by design")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
