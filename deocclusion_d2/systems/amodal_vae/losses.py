"""Losses of Amodal-VAE. Pure functions of tensors; all are means over the batch.

Sums, not means, over pixels and over the code: with means the KL term would outweigh the masks some
hundred times, and the code would say nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

# Keeps the logarithms of probabilities that were resampled finite.
_LEAST_PROBABILITY = 1e-6


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
    """KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1 - ln s^2) / 2, summed over the code.

    Args:
        mean, log_variance: (N, L).
    """
    mean, log_variance = mean.float(), log_variance.float()
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return kl.sum(dim=1).mean()


def kl_between_normals(
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    other_mean: torch.Tensor,
    other_log_variance: torch.Tensor,
) -> torch.Tensor:
    """KL(N(a, s^2) || N(b, r^2)) = ln(r / s) + (s^2 + (a - b)^2) / (2 r^2) - 1/2, over the code.

    Args:
        mean, log_variance, other_mean, other_log_variance: (N, L).
    """
    a, s, b, r = (t.float() for t in (mean, log_variance, other_mean, other_log_variance))
    kl = 0.5 * (r - s) + 0.5 * (s.exp() + (a - b) ** 2) / r.exp() - 0.5
    return kl.sum(dim=1).mean()


def reconstruction_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy of whole masks, summed over pixels.

    Args:
        logits: (N, M, M).
        target: (N, M, M) 0/1.
    """
    loss = F.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
    return loss.flatten(1).sum(dim=1).mean()


def framed_loss(probability: torch.Tensor, target: torch.Tensor, scale: float) -> torch.Tensor:
    """Binary cross entropy of probabilities that were placed in a frame.

    Args:
        probability: (N, T, T) in [0, 1].
        target: (N, T, T) 0/1.
        scale: pixels of the masks that a pixel of the frame stands for.
    """
    # A logarithm of what was resampled; autocast refuses it otherwise.
    probability = probability.float().clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    target = target.float()
    loss = target * probability.log() + (1 - target) * (1 - probability).log()
    return -scale * loss.flatten(1).sum(dim=1).mean()


def box_loss(box: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Smooth L1 of a box, summed over its four numbers.

    Args:
        box, target: (N, 4), see ``transformer.py``.
    """
    return F.smooth_l1_loss(box.float(), target.float(), reduction="none").sum(dim=1).mean()
