"""Pictures of SeGAN's training samples and of what it makes of them. All are RGB.

Shape shorthand: N: samples.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch

from ...data.loaders import split_batch
from ...visualization.canvas import captions, side_by_side
from .losses import HIDDEN_COLOUR, OUTSIDE_COLOUR

# Of a tile, of the captions, and around tiles, in pixels.
_TILE, _CAPTION, _GAP = 112, 22, 2


def draw_samples(batch: Mapping, result: Mapping | None = None) -> np.ndarray:
    """Training samples below each other, and what SeGAN makes of them if that is known.

    Of each, left to right: what the segmentor sees, dark where the object is not visible, and the
    box in it; the true mask of the box, grey where it is hidden; with a result the segmented one.
    Where the painter learns: its input, with true masks; with a result what it paints; the whole
    object.

    Args:
        batch: as ``SeGAN`` takes it in training.
        result: what it returns for it in evaluation.

    Returns:
        (h, w, 3) uint8.
    """
    rows = []
    for number, sample in enumerate(split_batch(batch)):
        found = {} if result is None else {key: value[number] for key, value in result.items()}
        rows.append(_tiles(sample, found))
    titles = captions(list(rows[0]), _TILE, _CAPTION)
    cells = [titles, *(list(row.values()) for row in rows)]
    return np.concatenate([side_by_side(row, _GAP) for row in cells])


def _tiles(sample: Mapping, found: Mapping) -> dict[str, np.ndarray]:
    """Title -> tile, (_TILE, _TILE, 3) uint8."""
    given = {key: np.asarray(value) for key, value in sample.items()}
    tiles = {"segmentor sees": _with_box(given["image"], given["modal_mask"], given["box"])}
    tiles["true mask"] = _grey(0.4 * given["mask_amodal"] + 0.6 * given["mask_modal"])
    if "probability" in found:
        tiles["segmented"] = _grey(_array(found["probability"]))
    if "crop_full" not in given:
        return tiles
    visible, whole = given["crop_modal"][..., None] > 0, given["crop_amodal"][..., None] > 0
    colours = [(255 * np.array(c)).astype(np.uint8) for c in (HIDDEN_COLOUR, OUTSIDE_COLOUR)]
    coloured = np.where(whole, *colours)
    tiles["painter sees"] = _sized(np.where(visible, given["crop_image"], coloured))
    if "rgb" in found:
        tiles["painted"] = _sized(np.clip(np.round(_array(found["rgb"])), 0, 255).astype(np.uint8))
    tiles["whole object"] = _sized(given["crop_full"])
    return tiles


def _array(value: torch.Tensor | np.ndarray) -> np.ndarray:
    return value.float().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _with_box(image: np.ndarray, mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    tile = _sized(np.where(mask[..., None] > 0, image, image // 3))
    x0, y0, x1, y1 = (int(v) for v in np.round(box * (_TILE / image.shape[0])))
    cv2.rectangle(tile, (x0, y0), (x1 - 1, y1 - 1), (255, 255, 255), 1)
    return tile


def _grey(values: np.ndarray) -> np.ndarray:
    """(h, w) in [0, 1] -> a tile."""
    return _sized(np.uint8(np.clip(values, 0, 1) * 255)[..., None].repeat(3, axis=2))


def _sized(picture: np.ndarray) -> np.ndarray:
    picture = np.ascontiguousarray(picture, dtype=np.uint8)
    return cv2.resize(picture, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
