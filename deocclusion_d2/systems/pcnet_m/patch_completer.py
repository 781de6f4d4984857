"""Runs PCNet-M over many (target, eraser) patches, in batches.

Shape shorthand: P: patches of a batch, S: side of a patch in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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

# (probability, target, eraser), each (P, S, S) -> (P, ...), computed where the network runs.
Reduction = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class PatchCompleter(NetworkRunner):
    """Completes patches with a trained PCNet-M.

    What a patch gives does not depend on the patches beside it. With ``optimize``, large patches
    are computed near the eraser only, on a CPU. See ``NetworkRunner`` for the arguments.
    """

    @torch.inference_mode()
    def run(
        self, patches: Iterable[Patch], reduce: Reduction, under_eraser_only: bool = False
    ) -> Iterator[np.ndarray]:
        """Complete patches and yield what ``reduce`` makes of each, in order.

        Args:
            patches: any number; they are taken a batch at a time.
            reduce: see ``Reduction``; what it returns per patch is yielded as a numpy array.
            under_eraser_only: ``reduce`` and what follows use the probability under the eraser
                and next to it only; elsewhere it may be 0 then, and is not computed.
        """
        for chunk, batch in self.batches(self._sample(patch) for patch in patches):
            if under_eraser_only and self.optimize and len(batch["eraser"]) == 1:
                probability = self._probability_near(chunk[0]["eraser"], batch)
            else:
                probability = self.model(batch)["probability"]
            out = reduce(
                probability,
                batch["modal_mask"].bool(),
                batch["eraser"].bool(),
            )
            yield from out[: len(chunk)].cpu().numpy()

    def _sample(self, patch: Patch) -> Sample:
        sample = {
            "modal_mask": patch.target.view(np.uint8),
            "eraser": patch.eraser.view(np.uint8),
            "category_id": np.asarray(patch.category_id, dtype=np.int64),
        }
        if self.uses_rgb:
            sample["image"] = patch.image
        return sample

    def _probability_near(self, eraser: np.ndarray, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """(1, S, S) probability of one patch, 0 far from the eraser."""
        size = eraser.shape[0]
        # Few different windows: oneDNN prepares a kernel for every size.
        step = size // 8
        x0, y0, x1, y1 = WindowMask.from_array(eraser).box
        window = [
            max(v - _ERASER_MARGIN, 0) // step * step
            if k % 2 == 0
            else min(-(-(v + _ERASER_MARGIN) // step) * step, size)
            for k, v in enumerate((y0, y1, x0, x1))
        ]
        top, bottom, left, right = window
        if (bottom - top) * (right - left) > _LARGEST_WINDOW * size**2:
            return self.model(batch)["probability"]
        probability = torch.zeros((1, size, size), device=self.model.device)
        inside = self.model(batch, window=tuple(window))["probability"]
        probability[:, top:bottom, left:right] = inside
        return probability
