"""Roboflow's supervision: https://supervision.roboflow.com (MIT)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from .predictions import Predictions


def is_supervision(results: Any) -> bool:
    return all(hasattr(results, name) for name in ("xyxy", "mask", "confidence", "class_id"))


def from_supervision(detections: Any) -> Predictions:
    """What ``supervision.Detections`` hold; the package rfdetr's models predict these, too.

    Args:
        detections: with ``mask``, (N, H, W) bool or a ``CompactMask``; ``confidence`` and
            ``class_id`` where there are some.

    Raises:
        UserError: they have boxes alone.
    """
    masks = detections.mask
    if masks is None:
        if len(detections.xyxy):
            raise UserError("these Detections have boxes alone: use a model that predicts masks")
        masks = np.zeros((0, 0, 0), bool)
    return Predictions.of(masks, detections.confidence, detections.class_id)
