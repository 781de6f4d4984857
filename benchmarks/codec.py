#!/usr/bin/env python
"""Masks in and out of run lengths, ours against pycocotools, by the size of the image.

The same objects lie in images of 375 x 1242, 3000 x 4000 (12 megapixels) and 6000 x 8000 pixels
(48). What is wanted is the window of an object, and the RLE of a window: pycocotools goes over the
image for both. Windows and bytes of the two are compared before they are timed; they take turns,
and the best turn of each counts.

  benchmarks/codec.py
  benchmarks/codec.py --dataset coco:my_instances.json --masks 100
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
from detectron2.data import DatasetCatalog
from pycocotools import mask as coco_mask
from tabulate import tabulate

from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.structures import WindowMask

SIZES = ((375, 1242), (3000, 4000), (6000, 8000))
# Each side has this many turns at least, and more for as many seconds.
_TURNS, _SECONDS = 3, 1.0


def decode_by_pycocotools(rle: dict) -> WindowMask:
    """The window of a mask, by way of the image."""
    x, y, w, h = coco_mask.toBbox(rle).astype(int).tolist()
    return WindowMask(x, y, coco_mask.decode(rle)[y : y + h, x : x + w].astype(bool))


def encode_by_pycocotools(mask: WindowMask, height: int, width: int) -> dict:
    """The RLE of a mask that lies inside the image, by way of the image."""
    x0, y0, x1, y1 = mask.box
    # In the order that it reads: all others are copied first.
    image = np.zeros((height, width), np.uint8, order="F")
    image[y0:y1, x0:x1] = mask.array
    rle = coco_mask.encode(image)
    return {"size": rle["size"], "counts": rle["counts"].decode("ascii")}


def placed(mask: WindowMask, height: int, width: int) -> WindowMask:
    """The same object inside an image; what does not fit is cut."""
    h, w = min(mask.array.shape[0], height), min(mask.array.shape[1], width)
    x0, y0 = min(max(mask.x0, 0), width - w), min(max(mask.y0, 0), height - h)
    return WindowMask.from_array(mask.array[:h, :w], x0, y0)


def best_seconds(
    sides: Sequence[Callable[[], object]], turns: int = _TURNS, seconds: float = _SECONDS
) -> list[float]:
    """Seconds of the best turn of each side; they take turns, ``turns`` times at least."""
    best = [float("inf")] * len(sides)
    start, done = time.perf_counter(), 0
    while done < turns or time.perf_counter() - start < seconds:
        for k, side in enumerate(sides):
            began = time.perf_counter()
            side()
            best[k] = min(best[k], time.perf_counter() - began)
        done += 1
    return best


def compare(
    masks: Sequence[WindowMask],
    height: int,
    width: int,
    turns: int = _TURNS,
    seconds: float = _SECONDS,
) -> list[tuple[str, float, float]]:
    """Time both sides on masks in images of one size.

    Returns:
        What is done, and microseconds per mask of ours and of pycocotools.

    Raises:
        UserError: the two differ.
    """
    inside = [placed(mask, height, width) for mask in masks]
    rles = [encode_by_pycocotools(mask, height, width) for mask in inside]
    if [mask.to_rle(height, width) for mask in inside] != rles:
        raise UserError(f"{height} x {width}: ours encodes to other bytes than pycocotools")
    windows = [WindowMask.from_rle(rle) for rle in rles]
    if windows != inside or [decode_by_pycocotools(rle) for rle in rles] != inside:
        raise UserError(f"{height} x {width}: ours decodes to another window than pycocotools")
    kinds = {
        "decode": (
            lambda: [WindowMask.from_rle(rle) for rle in rles],
            lambda: [decode_by_pycocotools(rle) for rle in rles],
        ),
        "encode": (
            lambda: [mask.to_rle(height, width) for mask in inside],
            lambda: [encode_by_pycocotools(mask, height, width) for mask in inside],
        ),
    }
    rows = []
    for kind, sides in kinds.items():
        ours, theirs = (1e6 * s / len(masks) for s in best_seconds(sides, turns, seconds))
        rows.append((kind, ours, theirs))
    return rows


def masks_of(dataset: str, count: int) -> list[WindowMask]:
    """Objects spread over a data set, as many of them at most.

    Raises:
        UserError: there are none.
    """
    records = [r for r in DatasetCatalog.get(ensure_registered(dataset)) if r["annotations"]]
    chosen = np.linspace(0, len(records) - 1, min(count, len(records))).astype(int)
    found = [
        [mask for mask in scene_from_record(records[k])[0].modal_masks if not mask.is_empty]
        for k in chosen
    ]
    # First one of each image, the largest ones included, then the second, and so on.
    deepest = max(map(len, found), default=0)
    masks = [of_image[k] for k in range(deepest) for of_image in found if k < len(of_image)]
    if not masks:
        raise UserError(f"data set {dataset!r} has no mask with a pixel")
    return masks[:count]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dataset", default="kitti_mots_dev", metavar="NAME", help="or FORMAT:JSON"
    )
    parser.add_argument(
        "--masks",
        type=int,
        default=24,
        metavar="N",
        help="objects, spread over the data set (default: 24; each takes pycocotools about half a "
        "second in the largest image)",
    )
    args = parser.parse_args()
    with one_line_errors():
        if args.masks < 1:
            raise UserError(f"--masks is {args.masks}: use 1 or more")
        masks = masks_of(args.dataset, args.masks)
        rows = [
            [f"{height} x {width}", kind, ours, theirs, theirs / ours]
            for height, width in SIZES
            for kind, ours, theirs in compare(masks, height, width)
        ]
        area = np.mean([mask.area for mask in masks])
        print(f"{len(masks)} masks of {args.dataset}, {area:,.0f} px in the mean; us per mask")
        print(
            tabulate(rows, ["image", "", "ours", "pycocotools", "times"], "github", floatfmt=".1f")
        )
        print("windows and bytes: equal")


if __name__ == "__main__":
    main()
