"""Scenes from what users hold: arrays, RLE, or Detectron2's Instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from detectron2.structures import BitMasks, Instances, PolygonMasks, polygons_to_bitmask

from ..data.datasets import to_rle
from ..errors import UserError
from ..structures import Scene, WindowMask


def scene_from_masks(
    masks: np.ndarray | torch.Tensor | Sequence[dict] | Instances,
    category_ids: Sequence[int] | None = None,
    image: np.ndarray | None = None,
) -> Scene:
    """Build a scene; see ``Deoccluder.predict`` for the arguments.

    Raises:
        UserError: masks that are not one of the accepted forms, or of several sizes.
    """
    if isinstance(masks, Instances):
        height, width = masks.image_size
        windows = _from_instances(masks)
    elif isinstance(masks, np.ndarray | torch.Tensor):
        array = masks.detach().cpu().numpy() if isinstance(masks, torch.Tensor) else masks
        if array.ndim != 3:
            raise UserError(f"masks have shape {array.shape}: give (N, H, W)")
        height, width = array.shape[1:]
        windows = [WindowMask.from_array(m) for m in array]
    else:
        if not len(masks) and image is None:
            raise UserError("no masks and no image: the size of the scene is unknown")
        height, width = masks[0]["size"] if len(masks) else image.shape[:2]
        windows = [WindowMask.from_rle(to_rle(m, height, width)) for m in masks]
    if image is not None and image.shape[:2] != (height, width):
        raise UserError(
            f"the image is {image.shape[1]} x {image.shape[0]} pixels, the masks {width} x {height}"
        )
    if category_ids is None:
        category_ids = np.ones(len(windows), dtype=np.int64)
    return Scene(height, width, windows, np.asarray(category_ids), image=image)


def _from_instances(instances: Instances) -> list[WindowMask]:
    for field in ("pred_masks", "gt_masks"):
        if instances.has(field):
            masks = instances.get(field)
            break
    else:
        raise UserError("these Instances have neither pred_masks nor gt_masks")
    if isinstance(masks, PolygonMasks):
        height, width = instances.image_size
        arrays = (polygons_to_bitmask(p, height, width) for p in masks.polygons)
    else:
        tensor = masks.tensor if isinstance(masks, BitMasks) else masks
        arrays = iter(tensor.cpu().numpy())
    return [WindowMask.from_array(a) for a in arrays]
