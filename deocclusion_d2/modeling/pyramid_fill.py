"""A smooth fill of holes without parameters: known colours averaged over ever wider windows."""

from __future__ import annotations

import torch
import torch.nn.functional as F


@torch.no_grad()
def pyramid_fill(image: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Fill holes from a pyramid of averages ("pull-push").

    Each level averages 2 x 2 pixels of the level below, colours and shares of known pixels. From
    the coarsest up, the share that a level does not know comes, bilinearly enlarged, from the
    coarser one.

    Args:
        image: (N, C, S, S) float, S a power of two times a whole number; what holes contain is not
            used.
        known: (N, 1, S, S) float, 1 where the image is known, else 0.

    Returns:
        (N, C, S, S) float32, equal to ``image`` where it is known; 0 where nothing is.
    """
    known = known.float()
    values = image.float().masked_fill(known == 0, 0) * known
    levels = [(values, known)]
    while min(values.shape[2:]) % 2 == 0 and min(values.shape[2:]) > 1:
        # Unknown pixels count as black here, and are made up for by the share that is not known.
        values, known = F.avg_pool2d(values, 2), F.avg_pool2d(known, 2)
        levels.append((values, known))
    values, known = levels.pop()
    filled = values.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1e-6)
    filled = torch.where(known > 0, values / known.clamp(min=1e-6), filled)
    for values, known in reversed(levels):
        filled = F.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
        filled = values + (1 - known) * filled
    return filled
