"""Detection in images whose objects overlap, and in others: for labels that know no hidden part.

COCO-OCC, on which BCNet's paper measures, are the images of COCO's validation set in which boxes
overlap by 0.2 or more.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as mask_util

from .coco_api import evaluate_coco
from .hidden_objects import best_overlaps

#: Images with two objects whose boxes have an IoU of 0.2 or more, and all others.
GROUPS = ("overlapping", "apart")

_LEAST_IOU = 0.2


def overlapping_images(truth: Mapping[str, Any]) -> set[int | str]:
    """Ids of the images in which boxes overlap; those of crowds do not count.

    Args:
        truth: a COCO document, see ``evaluate_coco``.
    """
    boxes = defaultdict(list)
    for annotation in truth["annotations"]:
        if not annotation["iscrowd"]:
            boxes[annotation["image_id"]].append(annotation["bbox"])
    return {image for image, of_image in boxes.items() if _overlap(np.array(of_image, float))}


def _overlap(boxes: np.ndarray) -> bool:
    overlaps = mask_util.iou(boxes, boxes, [0] * len(boxes))
    np.fill_diagonal(overlaps, 0)
    return bool((overlaps >= _LEAST_IOU).any())


def evaluate_by_overlap(truth: Mapping[str, Any], predicted: Sequence[Mapping]) -> dict[str, float]:
    """COCO's evaluation of masks in the images of each group alone.

    Args:
        truth: a COCO document, see ``evaluate_coco``.
        predicted: COCO's results.

    Returns:
        In percent, for each group with an object and a result: ``AP-overlapping``, ``AP50-...``,
        and ``best_IoU-...``, see ``evaluate_by_hidden_share``. And ``images-...``, their number.
    """
    found = overlapping_images(truth)
    results: dict[str, float] = {}
    for group in GROUPS:
        images = [i for i in truth["images"] if (i["id"] in found) == (group == GROUPS[0])]
        ids = {image["id"] for image in images}
        annotations = [a for a in truth["annotations"] if a["image_id"] in ids]
        inside = [result for result in predicted if result["image_id"] in ids]
        if not annotations or not inside:
            continue
        part = {**truth, "images": images, "annotations": annotations}
        with contextlib.redirect_stdout(io.StringIO()):
            stats = evaluate_coco(part, inside, "segm").stats
        objects = [a for a in annotations if not a["iscrowd"]]
        results[f"AP-{group}"] = 100 * float(stats[0])
        results[f"AP50-{group}"] = 100 * float(stats[1])
        if objects:
            results[f"best_IoU-{group}"] = 100 * float(best_overlaps(objects, inside).mean())
        results[f"images-{group}"] = len(images)
    return results
