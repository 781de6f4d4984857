"""What the two layers make of regions, drawn as in the supplement's Fig. 4."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def draw_layers(parts: Sequence[np.ndarray], zoom: int = 3) -> np.ndarray:
    """Regions one below the other, what there is of each side by side, as heat maps.

    Args:
        parts: each (R, h, w): probabilities, or bool.
        zoom: pixels of the picture for one of a region.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    import cv2

    rows = [
        np.concatenate(
            [np.pad(part[k].astype(np.float32), 1, constant_values=1.0) for part in parts], axis=1
        )
        for k in range(len(parts[0]))
    ]
    levels = np.uint8(np.concatenate(rows) * 255)
    levels = levels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_JET)[:, :, ::-1])
