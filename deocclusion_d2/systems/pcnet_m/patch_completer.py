"""Runs PCNet-M over many (target, eraser) patches, in batches.

Shape shorthand: P: patches of a batch, S: side of a patch in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from ...inference.network_runner import NetworkRunner, Sample
from ...modeling.unet import UNet, foreground_probability
from ...modeling.unet_regions import RegionalUNet, Window
from ...structures import WindowMask
from .network import PCNetM


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
        if runner.regional is not None and len(eraser) == 1:
            probability = runner.near(batch, self.under_eraser_only)
        else:
            probability = runner.model(batch)["probability"]
        return self.reduce(probability, eraser.bool())


class PatchCompleter(NetworkRunner):
    """Completes patches with a trained PCNet-M.

    What a patch gives does not depend on the patches beside it. With ``optimize``, large patches
    are computed on a CPU in the part that counts: see ``RegionalUNet``. See ``NetworkRunner`` for
    the arguments.
    """

    def __init__(self, model: PCNetM, **options: Any) -> None:
        super().__init__(model, **options)
        self.regional = None
        network = self.model.network
        # Some engines have wrapped it.
        if self.optimize and isinstance(network, UNet) and self.model.device.type == "cpu":
            self.regional = RegionalUNet(network)

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

    def near(self, batch: dict[str, torch.Tensor], under_eraser_only: bool) -> torch.Tensor:
        """The probability of one patch: (1, S, S) float32, 0 where it does not count.

        Args:
            batch: of one sample.
            under_eraser_only: see ``run``.
        """
        eraser, target = (batch[key][0].cpu().numpy() for key in ("eraser", "modal_mask"))
        size = len(eraser)
        whole = (0, size, 0, size)
        probability = torch.zeros((1, size, size), device=self.model.device)
        wanted = _window_around(eraser, _ERASER_MARGIN) if under_eraser_only else whole
        if wanted is None:
            return probability
        # Colours are everywhere.
        content = whole if self.uses_rgb else _window_around(eraser | target)
        logits, (y0, y1, x0, x1) = self.regional(
            self.model.network_input(batch), wanted, content or whole
        )
        probability[:, y0:y1, x0:x1] = foreground_probability(logits)
        return probability

    def _sample(self, patch: Patch) -> Sample:
        sample = {
            "modal_mask": patch.target,
            "eraser": patch.eraser,
            "category_id": np.asarray(patch.category_id, dtype=np.int64),
        }
        if self.uses_rgb:
            sample["image"] = patch.image
        return sample


def _window_around(mask: np.ndarray, margin: int = 0) -> Window | None:
    """The window of a patch that holds a mask and some pixels around it; None for an empty mask.

    Args:
        mask: (S, S), non-zero is foreground.
    """
    x0, y0, x1, y1 = WindowMask.from_array(mask).box
    if x0 == x1:
        return None
    size = len(mask)
    top, left = max(y0 - margin, 0), max(x0 - margin, 0)
    return top, min(y1 + margin, size), left, min(x1 + margin, size)
