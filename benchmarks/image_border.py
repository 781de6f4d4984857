#!/usr/bin/env python
"""Boxes of objects that the image's border cuts, where the cut part is known.

Every image is cropped at random, so that a border cuts objects, and de-occluded with
DEOCCLUSION.BEYOND_IMAGE of several sizes. The unclipped boxes are compared with the boxes that the
objects have in the whole image. Objects whose box the image itself may have cut, that are smaller
than 64 px in the crop, or that the method finds or labels know to be hidden do not count.

  benchmarks/image_border.py --config-file pcnet_m_coco_crowd_quick --dataset coco_crowd \\
      MODEL.WEIGHTS model_final.pth
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from deocclusion_d2.config import load_config
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.loaders import records_of
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.structures import Deocclusion, Scene, SceneTruth, WindowMask
from deocclusion_d2.structures.window_mask import Box, intersect_boxes

# Sides of a crop, as shares of the image's.
SIDES = (0.6, 0.85)
SMALLEST = 64
# Shares of an object's pixels that lie outside its crop; the first row is of objects that touch
# the crop's border and lie inside as a whole.
CUT = ((0.0, 0.0), (0.02, 0.25), (0.25, 0.5), (0.5, 0.8))
_AT_ONCE = 32


@dataclass
class Crop:
    """A part of an image.

    Attributes:
        scene: what it shows, N instances.
        boxes: N boxes in the whole image, in the coordinates of the crop.
        cut: (N,) share of the pixels that lie outside; NaN for objects that do not count.
    """

    scene: Scene
    boxes: list[Box]
    cut: np.ndarray


def crop_of(scene: Scene, truth: SceneTruth, rng: np.random.Generator) -> Crop:
    """A random part of an image."""
    height, width = (
        max(int(side * rng.uniform(*SIDES)), 1) for side in (scene.height, scene.width)
    )
    y = int(rng.integers(scene.height - height + 1))
    x = int(rng.integers(scene.width - width + 1))
    inner = (1, 1, scene.width - 1, scene.height - 1)
    masks, rows, boxes, cut = [], [], [], []
    for row, mask in enumerate(scene.modal_masks):
        part = WindowMask.from_array(mask.crop((x, y, x + width, y + height)))
        if part.is_empty:
            continue
        x0, y0, x1, y1 = mask.box
        known = part.area >= SMALLEST and intersect_boxes(mask.box, inner) == mask.box
        known &= truth.amodal_masks is None or truth.amodal_masks[row].area == mask.area
        masks.append(part)
        rows.append(row)
        boxes.append((x0 - x, y0 - y, x1 - x, y1 - y))
        cut.append(1 - part.area / mask.area if known else np.nan)
    return Crop(Scene(height, width, masks, scene.category_ids[rows]), boxes, np.array(cut))


def box_iou(a: Box, b: Box) -> float:
    common = intersect_boxes(a, b)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b, common or (0, 0, 0, 0))]
    return areas[2] / (areas[0] + areas[1] - areas[2])


def measured(crop: Crop, result: Deocclusion) -> Iterable[tuple[float, float]]:
    """(share cut, box IoU) of the objects that count."""
    scene = crop.scene
    boxes = result.unclipped_boxes or [mask.box for mask in result.amodal_masks]
    for row, cut in enumerate(crop.cut.tolist()):
        x0, y0, x1, y1 = scene.modal_masks[row].box
        at_border = min(x0, y0) == 0 or x1 == scene.width or y1 == scene.height
        if cut == cut and at_border and not result.graph.occluders(row):
            yield cut, box_iou(boxes[row], crop.boxes[row])


def compare(crops: Sequence[Crop], deoccluder: Deoccluder) -> list[tuple[int, float]]:
    """Number and mean box IoU of the objects of each range of ``CUT``."""
    found: list[tuple[float, float]] = []
    for start in range(0, len(crops), _AT_ONCE):
        part = crops[start : start + _AT_ONCE]
        for crop, result in zip(part, deoccluder([c.scene for c in part]), strict=True):
            found += measured(crop, result)
    cut, iou = np.array(found, dtype=np.float64).reshape(-1, 2).T
    ranges = [(cut >= low) & (cut <= high) for low, high in CUT]
    return [(int(of.sum()), float(iou[of].mean()) if of.any() else np.nan) for of in ranges]


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument("--dataset", required=True, metavar="NAME")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th image")
    parser.add_argument("--margins", type=float, nargs="+", default=[0.0, 0.25, 0.5, 1.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args(argv)
    if args.every < 1:
        raise UserError(f"--every {args.every}: use 1 or more")
    rng = np.random.default_rng(args.seed)
    records = records_of(ensure_registered(args.dataset))[:: args.every]
    crops = [crop_of(*scene_from_record(record), rng) for record in records]
    crops = [crop for crop in crops if len(crop.scene)]
    rows = []
    for margin in args.margins:
        keys = [*args.opts, "DEOCCLUSION.BEYOND_IMAGE", str(margin)]
        cells = compare(crops, Deoccluder.from_config(load_config(args.config_file, keys)))
        rows.append([margin, *(f"{iou:.3f}" for _, iou in cells)])
    counts = [count for count, _ in cells]
    heads = [f"{a:.0%}-{b:.0%} cut ({n})" for (a, b), n in zip(CUT, counts, strict=True)]
    print(tabulate(rows, ["BEYOND_IMAGE", *heads], disable_numparse=True))


if __name__ == "__main__":
    main()
