"""One sheet of several systems: the same objects, and what each system makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import captions, side_by_side
from .object_cells import CellStyle, FoundObject
from .palette import PAPER, instance_color

_STYLE = CellStyle(height=108, width=144)
_MARGIN, _NAME_WIDTH, _NAME_HEIGHT = 3, 150, 26


@dataclass(frozen=True, eq=False)
class SheetRow:
    """A row of a sheet: the true masks where it has neither masks nor pictures.

    Attributes:
        name: stands in front.
        masks: of every object; None where the method has found nothing.
        pictures: for every object (H, W, 3) uint8 RGB, of its image's size; None where there is
            none.
    """

    name: str
    masks: Sequence | None = None
    pictures: Sequence[np.ndarray | None] | None = None


def draw_system_sheet(objects: Sequence[FoundObject], rows: Sequence[SheetRow]) -> np.ndarray:
    """A column per object, a row per system.

    Args:
        objects: at least one; what they hold as ``found`` is not looked at.
        rows: at least one.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    names = captions([row.name for row in rows], _NAME_WIDTH, _NAME_HEIGHT)
    room = _STYLE.height - _NAME_HEIGHT
    around = (room // 2, room - room // 2, 0, 0)
    lines = []
    for name, row in zip(names, rows, strict=True):
        title = cv2.copyMakeBorder(name, *around, cv2.BORDER_CONSTANT, value=PAPER)
        cells = [_cell(item, row, number) for number, item in enumerate(objects)]
        lines.append(side_by_side([title, *cells], _MARGIN))
    return np.concatenate(lines)


def _cell(item: FoundObject, row: SheetRow, number: int) -> np.ndarray:
    color = instance_color(number)
    if row.masks is not None:
        return _STYLE.mask(item, row.masks[number], color)
    if row.pictures is not None:
        return _STYLE.picture(item, row.pictures[number])
    return _STYLE.truth(item, color)
