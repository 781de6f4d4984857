"""Masks that a network has predicted: scored, and they may overlap.

The method wants modal masks as an annotator draws them: every pixel belongs to one instance. Here
the mask of the higher score wins a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as mask_util

from .window_mask import WindowMask

# Predictions below this score are left out unless the user says otherwise.
DEFAULT_MIN_SCORE = 0.5


def resolve_overlaps(masks: Sequence[WindowMask], scores: Sequence[float]) -> list[WindowMask]:
    """Give every pixel to the mask of the highest score that holds it.

    Args:
        masks: N masks of one image.
        scores: N finite numbers. Of equal ones the earlier mask wins.

    Returns:
        N masks without a common pixel; one that others cover wholly is empty. A mask that loses
        nothing is the very object that was given.
    """
    rank = np.argsort(-np.asarray(scores, dtype=float), kind="stable")
    boxes = np.array([m.box for m in masks]).reshape(-1, 4)
    resolved = list(masks)
    for place, row in enumerate(rank.tolist()):
        mask, above = masks[row], rank[:place]
        meets = (boxes[above, :2] < boxes[row, 2:]).all(1) & (
            boxes[above, 2:] > boxes[row, :2]
        ).all(1)
        rest = mask.array
        for other in above[meets].tolist():
            # What others have taken from `other` is theirs: its whole mask can be cut.
            rest = rest & ~masks[other].crop(mask.box)
        if np.count_nonzero(rest) < mask.area:
            resolved[row] = WindowMask.from_array(rest, mask.x0, mask.y0)
    return resolved


def resolve_rle_overlaps(rles: Sequence[dict], scores: Sequence[float]) -> list[dict]:
    """``resolve_overlaps`` on compressed COCO RLEs of one size; one that loses nothing stays."""
    resolved = list(rles)
    if len(rles) < 2:
        return resolved
    # Decoding takes most of the time: only masks whose box meets another's are decoded.
    boxes = np.asarray(mask_util.toBbox(resolved)).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    meets = (low[:, None] < high[None]).all(-1)
    meets &= meets.T
    np.fill_diagonal(meets, False)
    rows = np.flatnonzero(meets.any(axis=1))
    masks = [WindowMask.from_rle(rles[row]) for row in rows]
    after = resolve_overlaps(masks, np.asarray(scores, dtype=float)[rows])
    for row, before, mask in zip(rows.tolist(), masks, after, strict=True):
        if mask is not before:
            resolved[row] = mask.to_rle(*rles[row]["size"])
    return resolved
