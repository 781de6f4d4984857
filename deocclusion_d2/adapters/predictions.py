"""Predicted masks of an image, whatever library they are from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """N predicted masks of an image.

    Attributes:
        masks: (N, H, W) bool, of the image's size; of shape (0, 0, 0) where there are none and
            nothing tells the size.
        scores: (N,) float64; None where there are none.
        classes: N class numbers of the detector, not category ids; None where there are none.
        other_size: what to do where the masks are not of the image's size.
    """

    masks: np.ndarray
    scores: np.ndarray | None = None
    classes: list[int] | None = None
    other_size: str = ""

    @classmethod
    def of(cls, masks: Any, scores: Any, classes: Any, other_size: str = "") -> Predictions:
        """From arrays or tensors of any library, None where there are none."""
        return cls(
            as_numpy(masks).astype(bool),
            None if scores is None else as_numpy(scores).astype(np.float64),
            None if classes is None else as_numpy(classes).astype(np.int64).tolist(),
            other_size,
        )


def as_numpy(values: Any) -> np.ndarray:
    """An array of what may be a tensor, on any device, without its gradient."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):  # NumPy has none
            values = values.float()
        return values.numpy()
    return np.asarray(values)
