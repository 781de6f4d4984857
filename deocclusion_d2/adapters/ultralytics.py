"""Ultralytics' YOLO: https://docs.ultralytics.com (AGPL-3.0: read here, never imported)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..errors import UserError
from .predictions import Predictions, as_numpy


def is_ultralytics(results: Any) -> bool:
    return all(hasattr(results, name) for name in ("orig_shape", "boxes", "masks", "names"))


def from_ultralytics(results: Any) -> Predictions:
    """What ``Results`` of a segmentation model hold for an image.

    Masks have the size of the network's input, a padded and scaled image, unless they were
    predicted with ``retina_masks=True``, which gives finer outlines. They are brought back to the
    image's size.

    Args:
        results: with ``masks``; ``boxes`` for scores and class numbers.

    Raises:
        UserError: they have boxes alone.
    """
    size = tuple(results.orig_shape)
    boxes = results.boxes
    if results.masks is None:
        if boxes is not None and len(boxes):
            raise UserError("these Results have boxes alone: use a model that predicts masks")
        return Predictions(np.zeros((0, *size), bool))
    masks = [_of_image(mask, size) for mask in as_numpy(results.masks.data).astype(np.float32)]
    scores, classes = (None, None) if boxes is None else (boxes.conf, boxes.cls)
    return Predictions.of(np.reshape(masks, (len(masks), *size)), scores, classes)


def _of_image(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask of the network's input as one of the image, (H, W) bool.

    The image was scaled by one factor, so as to fit, and padded evenly on both sides.
    """
    if mask.shape == size:
        return mask > 0.5
    scale = min(mask.shape[0] / size[0], mask.shape[1] / size[1])
    part = []
    for given, wanted in zip(mask.shape, size, strict=True):
        length = max(round(wanted * scale), 1)
        start = round((given - length) / 2 - 0.1)  # of an odd padding more lies behind
        part.append(slice(start, start + length))
    inside = np.ascontiguousarray(mask[tuple(part)])
    return cv2.resize(inside, size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
