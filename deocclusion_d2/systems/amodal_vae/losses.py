"""Losses of Amodal-VAE. Pure functions of tensors.

Sums, not means, over pixels and over the code: with means the KL term would outweigh the masks some
hundred times, and the code would say nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

# Of targets: pixels of which nobody knows whether they are the object's.
UNKNOWN = 255
# Units of the box's loss, as in Detectron2's box heads: a tenth of a side, a fifth of a logarithm.
# In whole ones most errors would be so small that their square says nothing.
_BOX_UNITS = (10.0, 10.0, 5.0, 5.0)


def kl_weight(step: int, start: float, final: float, alpha: float, begin: int) -> float:
    """Annealed weight of the KL term (supplement, Sec. 3.1).

    Args:
        step: t, training steps done.

    Example:
        >>> round(kl_weight(3000, 0.01, 0.5, 0.9995, 2000), 5)
        0.20284
    """
    return final - (final - start) * alpha ** max(0, step - begin)


def kl_to_standard_normal(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1 - ln s^2) / 2, over the code: (N,) float32.

    Args:
        mean, log_variance: (N, L).
    """
    mean, log_variance = mean.float(), log_variance.float()
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return kl.sum(dim=1)


def kl_between_normals(
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    other_mean: torch.Tensor,
    other_log_variance: torch.Tensor,
) -> torch.Tensor:
    """KL(N(a, s^2) || N(b, r^2)) = ln(r / s) + (s^2 + (a - b)^2) / (2 r^2) - 1/2.

    Summed over the code: (N,) float32.

    Args:
        mean, log_variance, other_mean, other_log_variance: (N, L).
    """
    a, s, b, r = (t.float() for t in (mean, log_variance, other_mean, other_log_variance))
    kl = 0.5 * (r - s) + 0.5 * (s.exp() + (a - b) ** 2) / r.exp() - 0.5
    return kl.sum(dim=1)


def reconstruction_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy of whole masks, summed over pixels; mean over the batch.

    Args:
        logits: (N, M, M).
        target: (N, M, M) 0/1.
    """
    loss = F.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
    return loss.flatten(1).sum(dim=1).mean()


def framed_loss(logits: torch.Tensor, target: torch.Tensor, scale: float) -> torch.Tensor:
    """Binary cross entropy of masks that were placed in a frame; mean over the batch.

    Args:
        logits: (N, T, T).
        target: (N, T, T) uint8 0, 1 or ``UNKNOWN``; pixels of those lose nothing.
        scale: pixels of the masks that a pixel of the frame stands for.
    """
    loss = F.binary_cross_entropy_with_logits(
        logits.float(), (target == 1).float(), reduction="none"
    )
    return scale * (loss * (target != UNKNOWN)).flatten(1).sum(dim=1).mean()


def box_loss(box: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Smooth L1 of a box, summed over its four numbers, in units of boxes: (N,) float32.

    Args:
        box, target: (N, 4), see ``transformer.py``.
    """
    units = box.new_tensor(_BOX_UNITS, dtype=torch.float32)
    difference = (box.float() - target.float()) * units
    return F.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none").sum(dim=1)
