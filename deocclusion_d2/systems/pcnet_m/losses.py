"""The loss of PCNet-M (eq. 1). A pure function of tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def partial_completion_loss(
    logits: torch.Tensor, target: torch.Tensor, eraser: torch.Tensor, weight_in_eraser: float
) -> torch.Tensor:
    """Eq. 1: pixel-wise cross entropy of the completed mask, heavier where the eraser lies.

    Args:
        logits: (N, 2, S, S) background and foreground logits.
        target: (N, S, S) 0/1, the modal mask of A before it was erased.
        eraser: (N, S, S) 0/1.
        weight_in_eraser: weight of the eraser's pixels; all others weigh 1.

    Returns:
        Scalar: the weighted sum over pixels, divided by N * S * S.
    """
    per_pixel = F.cross_entropy(logits.float(), target.long(), reduction="none")
    weights = 1.0 + (weight_in_eraser - 1.0) * eraser.to(per_pixel.dtype)
    return (per_pixel * weights).mean()
