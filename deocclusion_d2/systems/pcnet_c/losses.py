"""Losses of PCNet-C: those of Liu et al. (partial convolutions, ECCV 2018).

Shape shorthand: N: samples, S: side of a patch. Colours are normalised by ImageNet's statistics.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F


def masked_l1(output: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """L1 of the pixels of a mask, divided by the number of all values, as in Liu et al.

    Args:
        output, target: (N, 3, S, S).
        mask: (N, 1, S, S) 0/1.
    """
    return ((output.float() - target.float()).abs() * mask).mean()


def total_variation(image: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of neighbouring pixels, across plus down.

    Args:
        image: (N, 3, S, S). Of the composited output only the hole and its border can change, which
            is where Liu et al. take it.
    """
    image = image.float()
    across = (image[..., 1:] - image[..., :-1]).abs().mean()
    return across + (image[..., 1:, :] - image[..., :-1, :]).abs().mean()


def feature_l1(outputs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> torch.Tensor:
    """Perceptual loss: L1 between features, summed over layers."""
    return sum(F.l1_loss(a.float(), b.float()) for a, b in zip(outputs, targets, strict=True))


def style_l1(outputs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> torch.Tensor:
    """Style loss: L1 between Gram matrices of features, summed over layers."""
    return sum(
        F.l1_loss(gram_matrix(a), gram_matrix(b)) for a, b in zip(outputs, targets, strict=True)
    )


def gram_matrix(features: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) features -> (N, C, C) float32 products of channels, divided by C * H * W."""
    n, c, h, w = features.shape
    # Not under autocast: the sums leave float16's range.
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().reshape(n, c, h * w)
        return flat @ flat.transpose(1, 2) / (c * h * w)
