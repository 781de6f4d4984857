"""What the four outputs of BCNet learn, as pure functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F

BALANCES = ("random", "code", "all")


def boundaries(masks: torch.Tensor) -> torch.Tensor:
    """The boundaries of masks: dilation XOR erosion by the 3 x 3 cross.

    It is one pixel wide inside and one outside. What lies beyond the region counts as the object's
    for the erosion: an object that fills the region has no boundary at its edge.

    Args:
        masks: (N, H, W) bool.

    Returns:
        (N, H, W) bool.
    """
    return _with_neighbours(masks, False).any(dim=0) ^ _with_neighbours(masks, True).all(dim=0)


def _with_neighbours(masks: torch.Tensor, beyond: bool) -> torch.Tensor:
    """(5, N, H, W) bool: every pixel and the four that share an edge with it.

    Args:
        beyond: what lies outside of the region.
    """
    padded = F.pad(masks.to(torch.uint8), (1, 1, 1, 1), value=int(beyond)).bool()
    above, below = padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]
    left, right = padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]
    return torch.stack([masks, above, below, left, right])


def judged_regions(is_occluded: torch.Tensor, balance: str) -> torch.Tensor:
    """Which regions the losses of the occluder's layer are about.

    Most regions have no occluder; in the paper a part of those is dropped, so that half of the rest
    have one.

    Args:
        is_occluded: (R,) bool, the regions with an occluder.
        balance: one of ``BALANCES``: "random": all n with an occluder and n of the others, drawn
            by torch's random numbers, or all where there are fewer; "code": all n and the first n
            regions of all, as in the authors' code, so that a region may count twice; "all".

    Returns:
        (K,) int64 rows; none where no region has an occluder and ``balance`` is not "all".
    """
    if balance == "all":
        return torch.arange(len(is_occluded), device=is_occluded.device)
    occluded = is_occluded.nonzero()[:, 0]
    if balance == "code":
        others = torch.arange(len(occluded), device=is_occluded.device)
    else:
        free = (~is_occluded).nonzero()[:, 0]
        others = free[torch.randperm(len(free), device=free.device)[: len(occluded)]]
    return torch.cat([occluded, others])


def mask_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over all pixels of all regions; 0, with a graph, for none.

    Args:
        logits: (R, H, W).
        masks: (R, H, W) bool.
    """
    if not len(logits):
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits.float(), masks.float())
