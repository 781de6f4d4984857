#!/usr/bin/env python
"""De-occlusion against the one-patch-per-forward float32 protocol, in the same run.

The reference is the method as it is usually written: full-image masks, a forward for every patch,
in float32. Both sides see the same scenes, weights and settings (raw paste, no dilation); decisions
and masks are compared, and the constrained result, which conversion writes, is timed too.

  benchmarks/one_patch.py --config-file configs/pcnet_m_kitti_mots.yaml \\
      --dataset kitti_mots_dev --images 20 MODEL.WEIGHTS model_final.pth
"""

from __future__ import annotations

import argparse
import copy
import resource
import time

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


def timed(function, device: torch.device) -> tuple[float, object]:
    """Seconds and result of a call, the device's work included."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


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
        raw = Deoccluder.from_config(cfg, model)
        cfg.DEOCCLUSION.CONSTRAIN = True
        constrained = Deoccluder.from_config(cfg, model)
        protocol = OnePatchProtocol(model, cfg)

    # One scene each: libraries choose their kernels, and pages are touched, before timing.
    protocol(scenes[0])
    raw(scenes[:1])
    protocol.patches = 0
    slow, reference = timed(lambda: [protocol(s) for s in scenes], model.device)
    fast, result = timed(lambda: raw(scenes), model.device)
    written, _ = timed(lambda: constrained(scenes), model.device)
    patches = protocol.patches
    rows = [
        [name, seconds, len(scenes) / seconds, patches / seconds, slow / seconds]
        for name, seconds in (
            ("one patch per forward, float32, full images", slow),
            (f"batched, {raw.describe()['precision']}, windows", fast),
            ("the same, constrained (what conversion writes)", written),
        )
    ]
    instances = sum(len(s) for s in scenes)
    print(
        f"{len(scenes)} images of {args.dataset}, {instances} instances, {patches} patches of "
        f"{protocol.size} px, width {cfg.MODEL.PCNET_M.WIDTH}, {model.device}, "
        f"{torch.get_num_threads()} threads"
    )
    print(tabulate(rows, ["", "s", "images/s", "patches/s", "times"], "github", floatfmt=".2f"))
    equal, pairs, iou = agreement(reference, result)
    print(f"equal order decisions: {100 * equal:.2f} % of {pairs}; mask mIoU: {iou:.5f}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
