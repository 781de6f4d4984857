#!/usr/bin/env python
"""What masks that stop short of the objects' borders cost a method.

Every modal mask of a data set is eroded by some pixels, so that neighbours no longer touch, and the
method is evaluated on what is left, against the labels of the data set as it is. The erosion stands
in for masks whose owner drew or predicted them too small. An object of which nothing would be left
is not eroded.

  benchmarks/eroded_masks.py --datasets generic_shapes_val kins:photos.json --erosions 0 1 2
  benchmarks/eroded_masks.py --config-file configs/pcnet_m_kins.yaml --weights model_final.pth \\
      --datasets kins_val --opts DEOCCLUSION.GAP auto
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from tabulate import tabulate

from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.loaders import records_of
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.engine.evaluate import evaluate_deocclusion
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.methods import method_config
from deocclusion_d2.structures import WindowMask

# (task, metric) -> its column; what a data set has no labels for stays empty.
FIGURES = {
    ("ordering", "Acc"): "order",
    ("completion", "mIoU_mean-occluded"): "mIoU of occluded ones",
    ("completion", "invisible_IoU_mean"): "hidden part",
    ("amodal_box", "IoU-level1"): "box IoU level 1",
    ("amodal_box", "IoU-level2"): "box IoU level 2",
}


def eroded(mask: WindowMask, by: int, height: int, width: int) -> WindowMask:
    """A mask without the pixels that are within ``by`` px of its border.

    Where the image cuts an object, there is no border.
    """
    if not by or mask.is_empty:
        return mask
    side = 2 * by + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    x0, y0, x1, y1 = mask.box
    x0, y0 = max(x0 - by, 0), max(y0 - by, 0)
    window = mask.crop((x0, y0, min(x1 + by, width), min(y1 + by, height)))
    # OpenCV takes what is outside for part of the mask: that is so at the border of the image.
    left = WindowMask.from_array(cv2.erode(window.view(np.uint8), kernel), x0, y0)
    return mask if left.is_empty else left


def results_of(records: Sequence[Mapping], by: int) -> list[dict]:
    """The eroded modal masks of a data set, as COCO results that name their annotations."""
    entries = []
    for record in records:
        scene, _ = scene_from_record(record)
        for mask, annotation_id, category_id in zip(
            scene.modal_masks, scene.instance_ids, scene.category_ids, strict=True
        ):
            if mask.is_empty:
                continue
            rle = eroded(mask, by, scene.height, scene.width).to_rle(scene.height, scene.width)
            entries.append(
                {
                    "image_id": record["image_id"],
                    "annotation_id": annotation_id,
                    "category_id": int(category_id),
                    "score": 1.0,
                    "segmentation": rle,
                }
            )
    return entries


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", required=True, nargs="+", metavar="NAME")
    parser.add_argument("--erosions", type=int, nargs="+", default=[0, 1, 2], metavar="PX")
    parser.add_argument("--config-file", metavar="YAML", help="(default: that of the weights)")
    parser.add_argument("--weights", help="(default: the network that comes with the package)")
    parser.add_argument("--method", help="a completion (default: the config's)")
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="overrides, last"
    )
    args = parser.parse_args(argv)
    if min(args.erosions) < 0:
        raise UserError(f"--erosions {min(args.erosions)}: use 0 or more")
    cfg = method_config(args.method, args.config_file, args.weights, args.opts)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.datasets:
            records = records_of(ensure_registered(name))
            for by in args.erosions:
                tested = name
                if by:
                    path = Path(folder, f"{len(rows)}.json")
                    path.write_text(json.dumps(results_of(records, by)))
                    tested = f"predicted:{path}@{name}"
                found = evaluate_deocclusion(cfg, tested)
                values = [found.get(task, {}).get(metric) for task, metric in FIGURES]
                rows.append([name, by, *("" if v is None else f"{v:.1f}" for v in values)])
                print(" ".join(map(str, rows[-1])), flush=True)
    print(tabulate(rows, ["data", "eroded by px", *FIGURES.values()], disable_numparse=True))


if __name__ == "__main__":
    main()
