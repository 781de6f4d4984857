"""Runs PCNet-M over many (target, eraser) patches, in batches.

Shape shorthand: P: patches of a batch, S: side of a patch in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ...inference.network_runner import NetworkRunner, Sample
from ...structures import WindowMask


@dataclass(frozen=True, eq=False)
class Patch:
    """One input of PCNet-M.

    Attributes:
        target: (S, S) bool, the modal mask of the instance to complete.
        eraser: (S, S) bool, what may hide it.
        category_id: the target's category id.
        image: (S, S, 3) uint8 RGB, or None when the network uses no colours.
    """

    target: np.ndarray
    eraser: np.ndarray
    category_id: int
    image: np.ndarray | None = None


# Share of a patch up to which only a window is computed. Timed were windows of 1/8 of a patch
# (faster than the whole) and of all of it (slower); this value was not searched for.
_LARGEST_WINDOW = 0.4
# Patch pixels around the eraser that the bilinear way back into the image can reach.
_ERASER_MARGIN = 2


class Reduction(Protocol):
    """What is kept of completed patches, computed where the network runs.

    A frozen dataclass, see ``inference.network_runner.Operation``.
    """

    def __call__(self, probability: torch.Tensor, eraser: torch.Tensor) -> torch.Tensor:
        """(P, S, S) float in [0, 1] and bool -> (P, ...)."""


@dataclass(frozen=True)
class Completed:
    """The pixels whose probability is above a threshold: (P, S, S) bool."""

    threshold: float

    def __call__(self, probability: torch.Tensor, eraser: torch.Tensor) -> torch.Tensor:
        return probability > self.threshold


@dataclass(frozen=True)
class Unreduced:
    """The probability itself: (P, S, S) float32."""

    def __call__(self, probability: torch.Tensor, eraser: torch.Tensor) -> torch.Tensor:
        return probability


@dataclass(frozen=True)
class Increment:
    """|Delta| of eq. 3 in patch pixels: completed pixels inside the eraser, (P,) int64.

    The target was zeroed under the eraser, so each of them is new.
    """

    threshold: float

    def __call__(self, probability: torch.Tensor, eraser: torch.Tensor) -> torch.Tensor:
        return ((probability > self.threshold) & eraser).sum(dim=(1, 2))


@dataclass(frozen=True)
class _Complete:
    """Completes a batch of patches, and keeps what ``reduce`` makes of them."""

    reduce: Reduction
    under_eraser_only: bool

    def __call__(self, runner: PatchCompleter, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        eraser = batch["eraser"]
        near_only = self.under_eraser_only and runner.optimize and len(eraser) == 1
        window = _window_near(eraser[0].cpu().numpy()) if near_only else None
        if window is None:
            probability = runner.model(batch)["probability"]
        else:
            top, bottom, left, right = window
            probability = torch.zeros(eraser.shape, device=eraser.device)
            inside = runner.model(batch, window=window)["probability"]
            probability[:, top:bottom, left:right] = inside
        return self.reduce(probability, eraser.bool())


class PatchCompleter(NetworkRunner):
    """Completes patches with a trained PCNet-M.

    What a patch gives does not depend on the patches beside it. With ``optimize``, large patches
    are computed near the eraser only, on a CPU. See ``NetworkRunner`` for the arguments.
    """

    def run(
        self, patches: Iterable[Patch], reduce: Reduction, under_eraser_only: bool = False
    ) -> Iterator[np.ndarray]:
        """Complete patches and yield what ``reduce`` makes of each, in order.

        Args:
            patches: any number; they are taken a batch at a time.
            reduce: what it returns per patch is yielded as a numpy array.
            under_eraser_only: ``reduce`` and what follows use the probability under the eraser
                and next to it only; elsewhere it may be 0 then, and is not computed.
        """
        samples = (self._sample(patch) for patch in patches)
        return self.results(samples, _Complete(reduce, under_eraser_only))

    def _sample(self, patch: Patch) -> Sample:
        sample = {
            "modal_mask": patch.target,
            "eraser": patch.eraser,
            "category_id": np.asarray(patch.category_id, dtype=np.int64),
        }
        if self.uses_rgb:
            sample["image"] = patch.image
        return sample


def _window_near(eraser: np.ndarray) -> tuple[int, int, int, int] | None:
    """The part of a patch to compute where only what is near the eraser counts.

    Args:
        eraser: (S, S), non-zero is foreground.

    Returns:
        (top, bottom, left, right) in pixels; None where the whole patch is faster.
    """
    size = eraser.shape[0]
    # Few different windows: oneDNN prepares a kernel for every size.
    step = size // 8
    x0, y0, x1, y1 = WindowMask.from_array(eraser).box
    top, left = (max(v - _ERASER_MARGIN, 0) // step * step for v in (y0, x0))
    bottom, right = (min(-(-(v + _ERASER_MARGIN) // step) * step, size) for v in (y1, x1))
    if (bottom - top) * (right - left) > _LARGEST_WINDOW * size**2:
        return None
    return top, bottom, left, right
