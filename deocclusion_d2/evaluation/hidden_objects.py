"""Detection of amodal masks by how much of the true objects is hidden.

One AP says little about an amodal detector: most objects of most data sets are wholly visible, and
for them modal labels do as well as amodal ones.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as mask_util

from ..structures import WindowMask
from .coco_api import evaluate_coco
from .occlusion_groups import hidden_share_group

#: Shares of the amodal area that are hidden: 0, (0, 0.25], (0.25, 0.5], (0.5, 1).
GROUPS = ("hidden0", "hidden0-25", "hidden25-50", "hidden50-100")

_MERGED = {"hidden50-75": "hidden50-100", "hidden75-100": "hidden50-100", "hidden100": None}
# Beyond every range of areas that COCO's evaluation has: such an object is ignored.
_IGNORED_AREA = 1e12


def hidden_group(annotation: Mapping[str, Any]) -> str | None:
    """The one of ``GROUPS`` that an object belongs to.

    Args:
        annotation: of a dataset dict.

    Returns:
        None where hidden and visible part are not known, for crowds, and for objects of which
        nothing is visible, which no detector can see.
    """
    if annotation.get("iscrowd") or "amodal_segmentation" not in annotation:
        return None
    visible = annotation.get("true_modal_segmentation", annotation["modal_segmentation"])
    amodal = WindowMask.from_rle(annotation["amodal_segmentation"])
    total = amodal.area
    if not total:
        return None
    hidden = total - amodal.intersection_area(WindowMask.from_rle(visible))
    group = hidden_share_group(hidden, total)
    return _MERGED.get(group, group)


def evaluate_by_hidden_share(
    truth: Mapping[str, Any], groups: Sequence[str | None], predicted: Sequence[Mapping]
) -> dict[str, float]:
    """COCO's evaluation of masks for the objects of each group alone.

    Args:
        truth: a COCO document, see ``evaluate_coco``; its masks are amodal.
        groups: of each of its annotations, see ``hidden_group``.
        predicted: at least one of COCO's results.

    Returns:
        In percent, for each group that has an object:

        - ``AP-hidden25-50``, ``AP50-...``: objects of other groups need not be found, and finding
          them is no error, as for COCO's sizes; what matches no object at all counts against every
          group, since nobody can say what share of nothing is hidden.
        - ``AR-...``: average recall of up to 100 detections per image, which such detections do not
          lower.
        - ``best_IoU-...``: mean over the objects of the highest IoU that a detection of the image
          reaches with it, of whatever category and score; 0 without a detection. It tells masks
          apart where a detector is not good enough for AP.

        And ``objects-...``, their number.
    """
    results: dict[str, float] = {}
    best = best_overlaps(truth["annotations"], predicted)
    for group in GROUPS:
        inside = [own == group for own in groups]
        if not any(inside):
            continue
        annotations = [
            annotation if counts else {**annotation, "area": _IGNORED_AREA}
            for annotation, counts in zip(truth["annotations"], inside, strict=True)
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            stats = evaluate_coco({**truth, "annotations": annotations}, predicted, "segm").stats
        for metric, value in (("AP", stats[0]), ("AP50", stats[1]), ("AR", stats[8])):
            results[f"{metric}-{group}"] = 100 * float(value)
        results[f"best_IoU-{group}"] = 100 * float(best[inside].mean())
        results[f"objects-{group}"] = sum(inside)
    return results


def best_overlaps(
    annotations: Sequence[Mapping[str, Any]], predicted: Sequence[Mapping]
) -> np.ndarray:
    """Of each object, the highest IoU of a predicted mask of its image; (N,) float64.

    Args:
        annotations: N, with ``image_id`` and ``segmentation`` (compressed RLE).
        predicted: COCO's results of masks.
    """
    masks = defaultdict(list)
    for result in predicted:
        masks[result["image_id"]].append(result["segmentation"])
    rows = defaultdict(list)
    for row, annotation in enumerate(annotations):
        if annotation["image_id"] in masks:
            rows[annotation["image_id"]].append(row)
    best = np.zeros(len(annotations))
    for image, own in rows.items():
        true = [annotations[row]["segmentation"] for row in own]
        best[own] = mask_util.iou(masks[image], true, [0] * len(true)).max(axis=0)
    return best
