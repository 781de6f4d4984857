"""Many masks as bits in one flat array, which any pixel is looked up in."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from ..structures.window_mask import WindowMask


class PackedMasks:
    """The windows of N masks, one bit a pixel.

    A window is packed row by row, and each row begins a new byte: pixel (x, y) of a window of width
    w is bit ``x % 8``, counted from the least, of byte ``offset + y * ceil(w / 8) + x // 8``.

    Attributes:
        bits: (B,) uint8, all windows.
        offsets: (N,) int64, first byte of each.
        boxes: (N, 4) int32 of (x0, y0, x1, y1), the windows in their images, in pixels.
    """

    def __init__(self, masks: Iterable[WindowMask]) -> None:
        # Grown in place: the masks of a large data set need not fit in memory twice.
        bits, boxes, offsets = bytearray(), array("i"), array("q")
        for mask in masks:
            offsets.append(len(bits))
            boxes.extend(mask.box)
            bits += np.packbits(mask.array, axis=1, bitorder="little").tobytes()
        self.bits = np.frombuffer(bits, np.uint8)
        self.offsets = np.array(offsets, np.int64)
        self.boxes = np.array(boxes, np.int32).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self.offsets)
