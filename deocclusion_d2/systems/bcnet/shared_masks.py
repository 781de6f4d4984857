"""Masks of an image's objects that many regions share."""

from __future__ import annotations

import torch
from detectron2.layers import ROIAlign


class SharedMasks:
    """``BitMasks`` of which selecting rows copies no mask.

    Detectron2 selects the masks of every sampled region, 512 of an image; as ``BitMasks`` that is a
    full mask each.

    Args:
        masks: (N, H, W) bool.
        rows: (R,) int64, which of them this holds; None for all.
    """

    def __init__(self, masks: torch.Tensor, rows: torch.Tensor | None = None) -> None:
        self.masks = masks
        self.rows = torch.arange(len(masks), device=masks.device) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int | slice | torch.Tensor) -> SharedMasks:
        rows = self.rows[item]
        return SharedMasks(self.masks, rows[None] if rows.dim() == 0 else rows)

    def to(self, *args, **kwargs) -> SharedMasks:
        return SharedMasks(self.masks.to(*args, **kwargs), self.rows.to(*args, **kwargs))

    @property
    def tensor(self) -> torch.Tensor:
        """(R, H, W) bool, a copy."""
        return self.masks[self.rows]

    def crop_and_resize(self, boxes: torch.Tensor, mask_size: int) -> torch.Tensor:
        """What ``BitMasks.crop_and_resize`` gives.

        Args:
            boxes: (R, 4) of (x0, y0, x1, y1).
            mask_size: side of the result.

        Returns:
            (R, mask_size, mask_size) bool.
        """
        if not len(self):
            return self.masks.new_zeros((0, mask_size, mask_size))
        boxes = boxes.to(self.masks.device)
        used, place = self.rows.unique(return_inverse=True)
        regions = torch.cat([place[:, None].to(boxes.dtype), boxes], dim=1)
        align = ROIAlign((mask_size, mask_size), 1.0, 0, aligned=True)
        return align(self.masks[used, None].to(boxes.dtype), regions)[:, 0] >= 0.5
