"""Many masks in three flat arrays: the bytes of their RLE, which forked workers share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..structures.window_mask import WindowMask


class CompressedMasks:
    """N masks.

    Args:
        rles: compressed COCO RLE dicts (``size`` [H, W], ``counts`` bytes or str).
    """

    def __init__(self, rles: Sequence[dict]) -> None:
        counts = [_as_bytes(rle["counts"]) for rle in rles]
        self._sizes = np.array([rle["size"] for rle in rles], dtype=np.int32).reshape(-1, 2)
        self._offsets = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum([len(c) for c in counts], out=self._offsets[1:])
        self._counts = np.frombuffer(b"".join(counts), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int) -> WindowMask:
        """One mask, in image coordinates."""
        counts = self._counts[self._offsets[index] : self._offsets[index + 1]].tobytes()
        height, width = (int(v) for v in self._sizes[index])
        return WindowMask.from_rle({"size": [height, width], "counts": counts})


def _as_bytes(counts: bytes | str) -> bytes:
    return counts.encode("ascii") if isinstance(counts, str) else counts
