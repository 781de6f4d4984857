"""One picture of several detectors: what each of them sees of the same hidden objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .canvas import captions, side_by_side
from .object_cells import CellStyle, FoundObject
from .palette import instance_color

_STYLE = CellStyle(height=180, width=240)
_MARGIN, _TITLE = 6, 30


def draw_found_objects(objects: Sequence[FoundObject], detectors: Sequence[str]) -> np.ndarray:
    """A row per object: the truth, its hidden part hatched; then the mask of every detector.

    The true amodal outline is dashed in all cells; the number is the IoU with it.

    Args:
        objects: at least one, with a mask, or None, of each detector.
        detectors: their names.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    rows = [captions(["Truth", *detectors], _STYLE.width, _TITLE)]
    for number, item in enumerate(objects):
        color = instance_color(number)
        masks = [_STYLE.mask(item, mask, color) for mask in item.found]
        rows.append([_STYLE.truth(item, color), *masks])
    return np.concatenate([side_by_side(cells, _MARGIN) for cells in rows])
