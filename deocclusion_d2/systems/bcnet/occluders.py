"""What hides the objects of an image, as the first layer learns it.

It is built from the masks that the network learns from: visible parts where those are modal, whole
objects where they are amodal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...data.scenes import scene_from_record
from ...data.true_order import order_from_amodal, order_from_depth_constraints
from ...errors import UserError
from ...structures import WindowMask
from ...structures.window_mask import meeting_pairs, union

NEIGHBOURS, IN_FRONT = "neighbours", "in_front"
KINDS = (NEIGHBOURS, IN_FRONT)

# Of each object the rows of those that hide it, or may.
Relation = list[list[int]]


def neighbours(masks: Sequence[WindowMask], box_iou: float) -> Relation:
    """Of N objects those whose boxes overlap its own: the relation of the authors' code.

    It says nothing of who is in front, and is the same both ways.

    Args:
        masks: N; empty ones have no neighbour.
        box_iou: the IoU of two boxes that is not yet enough.
    """
    found: Relation = [[] for _ in masks]
    boxes = np.array([mask.box for mask in masks], np.int64).reshape(-1, 4)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    pairs = meeting_pairs(boxes)
    first, second = boxes[pairs[:, 0]], boxes[pairs[:, 1]]
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    common = sides.prod(axis=1)
    overlaps = common / (areas[pairs].sum(axis=1) - common)
    for i, j in pairs[overlaps > box_iou].tolist():
        found[i].append(j)
        found[j].append(i)
    return found


def in_front(record: Mapping[str, Any]) -> Relation | None:
    """Of each annotation of an image those that hide it; None where nothing says so.

    What says so, in this order: ``occluder_ids`` of converted labels (also both of two that hide
    each other, ``mutual_occlusion_ids``), the order that annotators gave (COCOA), true amodal
    masks.

    Args:
        record: a dataset dict of this package.

    Returns:
        Rows of ``record["annotations"]``; crowds hide nothing and are hidden by nothing.
    """
    if not says_who_is_in_front(record):
        return None
    annotations = record["annotations"]
    found: Relation = [[] for _ in annotations]
    objects = _objects(record)
    if len(objects) < 2:
        return found
    if any("occluder_ids" in annotations[row] for row in objects):
        row_of = {annotations[row]["id"]: row for row in objects}
        for row in objects:
            ids = [
                *annotations[row].get("occluder_ids", ()),
                *annotations[row].get("mutual_occlusion_ids", ()),
            ]
            found[row] = [row_of[i] for i in dict.fromkeys(ids) if i in row_of]
        return found
    scene, truth = scene_from_record(record)
    if truth.depth_constraints is not None:
        orders = order_from_depth_constraints(scene, truth)
    else:
        orders = order_from_amodal(scene, truth)
    for (i, j), order in orders.items():
        if order:
            front, back = (i, j) if order > 0 else (j, i)
            found[objects[back]].append(objects[front])
    return found


def says_who_is_in_front(record: Mapping[str, Any]) -> bool:
    """Whether ``in_front`` knows an answer, which is cheap to say."""
    annotations = [record["annotations"][row] for row in _objects(record)]
    return (
        len(annotations) < 2
        or record.get("depth_constraints") is not None
        or any("occluder_ids" in annotation for annotation in annotations)
        or all("amodal_segmentation" in annotation for annotation in annotations)
    )


def _objects(record: Mapping[str, Any]) -> list[int]:
    """Rows of the annotations that are no crowds."""
    return [k for k, a in enumerate(record["annotations"]) if not a.get("iscrowd", 0)]


def occluder_masks(
    masks: Sequence[WindowMask], relation: Relation, min_pixels: int
) -> list[WindowMask]:
    """Of each of N objects what hides it: the union of its occluders' masks, inside its box.

    Args:
        masks: N.
        relation: see ``neighbours`` and ``in_front``.
        min_pixels: a union of no more pixels is empty.
    """
    return [
        _inside(union(masks[j] for j in others), mask, min_pixels)
        for mask, others in zip(masks, relation, strict=True)
    ]


def _inside(occluders: WindowMask, mask: WindowMask, min_pixels: int) -> WindowMask:
    if occluders.is_empty or mask.is_empty:
        return WindowMask.empty()
    x0, y0, _, _ = box = mask.box
    clipped = WindowMask.from_array(occluders.crop(box), x0, y0)
    return clipped if clipped.area > min_pixels else WindowMask.empty()


def check_occluders(options) -> None:
    """Refuse keys of ``MODEL.BCNET`` by which nothing could be an occluder, or that mean nothing.

    Raises:
        UserError: naming the key.
    """
    if options.OCCLUDERS not in KINDS:
        raise UserError(f"MODEL.BCNET.OCCLUDERS = {options.OCCLUDERS!r}: use {' or '.join(KINDS)}")
    if not 0 <= options.BOX_IOU < 1:
        raise UserError(f"MODEL.BCNET.BOX_IOU = {options.BOX_IOU}: use a number from 0 to below 1")
    if options.MIN_PIXELS < 0:
        raise UserError(f"MODEL.BCNET.MIN_PIXELS = {options.MIN_PIXELS}: use 0 or more")
