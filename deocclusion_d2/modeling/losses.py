"""Loss functions that several networks have. Pure functions of tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def mask_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Pixel-wise cross entropy of a mask, all pixels alike.

    Args:
        logits: (N, 2, S, S) background and foreground logits.
        target: (N, S, S) 0/1.

    Returns:
        Scalar: the mean over pixels.
    """
    return F.cross_entropy(logits.float(), target.long())


def looks_real_loss(logits: torch.Tensor) -> torch.Tensor:
    """-log of the discriminator's probability of "real": the generator's non-saturating loss."""
    return F.softplus(-logits.float()).mean()


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy of the discriminator, mean over real and fake ones.

    Args:
        real, fake: its logits.
    """
    return (F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()) / 2
