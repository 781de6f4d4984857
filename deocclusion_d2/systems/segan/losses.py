"""SeGAN's losses and the painter's input, as pure functions.

Shape shorthand: N: samples, M: side of the mask, P: side of the painted box.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

# Eq. 1: what belongs to the object but is hidden, and what does not belong to it. Values in [0, 1].
HIDDEN_COLOUR, OUTSIDE_COLOUR = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def region_loss(
    logits: torch.Tensor,
    amodal: torch.Tensor,
    visible: torch.Tensor,
    weights: Sequence[float] = (1.0, 5.0, 3.0),
    least: int = 1,
) -> torch.Tensor:
    """Cross-entropy that balances background, visible and invisible pixels (eq. 2 and 3).

    Of each region the mean over its pixels, 0 where it has none; then the mean over samples.

    Args:
        logits: (N, M, M).
        amodal, visible: (N, M, M) 0/1, the whole object and its visible part inside of it.
        weights: of the three regions.
        least: pixels that a region is divided by at least.
    """
    whole = amodal.float()
    errors = F.binary_cross_entropy_with_logits(logits.float(), whole, reduction="none")
    seen = visible.float() * whole
    total = errors.new_zeros(len(logits))
    for region, weight in zip((1 - whole, seen, whole - seen), weights, strict=True):
        pixels = region.sum(dim=(1, 2))
        total = total + weight * (errors * region).sum(dim=(1, 2)) / pixels.clamp(min=least)
    return total.mean()


def coloured_input(image: torch.Tensor, visible: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What the painter sees (eq. 1): the visible part in its colours, red where the object is
    hidden, blue where it is not.

    As printed the equation makes blue negative on the visible part; this is what its text and the
    authors' code say. Soft masks mix the two colours.

    Args:
        image: (N, 3, P, P) in [0, 1].
        visible: (N, 1, P, P) 0/1.
        mask: (N, 1, P, P), probability that a pixel belongs to the object.
    """
    red, blue = (
        torch.tensor(colour, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
        for colour in (HIDDEN_COLOUR, OUTSIDE_COLOUR)
    )
    return image * visible + (red * mask + blue * (1 - mask)) * (1 - visible)


def straight_through(probability: torch.Tensor) -> torch.Tensor:
    """A mask cut at 0.5, 0 or 1, with the gradient of the probability."""
    cut = (probability >= 0.5).to(probability.dtype)
    return cut + probability - probability.detach()
