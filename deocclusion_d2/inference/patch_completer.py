"""Runs PCNet-M over many (target, eraser) patches, in batches.

Shape shorthand: P: patches of a batch, S: side of a patch in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import UserError
from ..modeling.precision import has_bfloat16, plain_copy
from ..structures import WindowMask


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


# Bytes of the largest activation of a forward on a CPU. Beyond a core's cache every layer waits for
# memory: at 256 px and width 2, one patch at a time ran 1.5 to 2.6 times as fast as 8 to 64.
_CPU_ACTIVATION_BYTES = 4 << 20

# Share of a patch up to which only a window is computed. Timed were windows of 1/8 of a patch
# (faster than the whole) and of all of it (slower); this value was not searched for.
_LARGEST_WINDOW = 0.4
# Patch pixels around the eraser that the bilinear way back into the image can reach.
_ERASER_MARGIN = 2

# (probability, target, eraser), each (P, S, S) -> (P, ...), computed where the network runs.
Reduction = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class PatchCompleter:
    """Completes patches with a trained PCNet-M.

    What a patch gives does not depend on the patches beside it: see ``_forward_sizes``.

    Args:
        model: a trained PCNet-M. It is not changed: the completer works on a copy.
        batch_size: patches per forward, at most.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the hardware computes it.
        optimize: fold the batch norms into the convolutions, and compute large patches near the
            eraser only. False: the network as it was trained.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        batch_size: int = 64,
        precision: str = "auto",
        optimize: bool = True,
    ) -> None:
        if precision == "auto":
            precision = "bfloat16" if has_bfloat16(model.device) else "float32"
        if precision not in ("float32", "bfloat16"):
            raise UserError(f"DEOCCLUSION.PRECISION = {precision!r}: use auto, float32 or bfloat16")
        if batch_size < 1:
            raise UserError(f"DEOCCLUSION.PATCHES_PER_BATCH = {batch_size}: use 1 or more")
        self.model = plain_copy(model)
        if optimize:
            fold_batch_norms(self.model.network)
        self.model.network.to(dtype=getattr(torch, precision), memory_format=torch.channels_last)
        self.batch_size = batch_size
        self.optimize = optimize
        self.precision = precision
        self.uses_rgb = model.use_rgb
        self.uses_category = model.use_category

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
        patches = iter(patches)
        first = next(patches, None)
        if first is None:
            return
        patches = chain([first], patches)
        size, smallest = self._forward_sizes(first.target.shape[0])
        while chunk := list(islice(patches, size)):
            batch = self._stack(chunk, max(len(chunk), smallest))
            if under_eraser_only and self.optimize and smallest == 1:
                probability = self._probability_near(chunk[0].eraser, batch)
            else:
                probability = self.model(batch)["probability"]
            out = reduce(
                probability,
                batch["modal_mask"].bool(),
                batch["eraser"].bool(),
            )
            yield from out[: len(chunk)].cpu().numpy()

    def _forward_sizes(self, patch_size: int) -> tuple[int, int]:
        """Patches of a forward: at most, and at least (filled up with empty ones).

        GPU libraries choose their kernels, and with them the last bits of the result, by the shape
        of the batch, so a GPU always gets a full one. On a CPU the result is the same to the bit
        for every size but 1, where another kernel is taken: a patch is alone always or never.
        """
        if self.model.device.type == "cuda":
            return self.batch_size, self.batch_size
        weight = self.model.network.head.weight
        fitting = _CPU_ACTIVATION_BYTES // (patch_size**2 * weight.shape[1] * weight.element_size())
        return max(1, min(self.batch_size, fitting)), 1 if fitting <= 1 else 2

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

    def _stack(self, chunk: list[Patch], count: int) -> dict[str, torch.Tensor]:
        """The batch of some patches, filled up with empty ones to ``count``."""
        size = chunk[0].target.shape[0]
        masks = np.zeros((2, count, size, size), dtype=np.uint8)
        categories = np.ones(count, dtype=np.int64)
        for k, patch in enumerate(chunk):
            masks[0, k], masks[1, k] = patch.target, patch.eraser
            categories[k] = patch.category_id
        batch = {
            "modal_mask": torch.from_numpy(masks[0]),
            "eraser": torch.from_numpy(masks[1]),
            "category_id": torch.from_numpy(categories),
        }
        if self.uses_rgb:
            images = np.zeros((count, size, size, 3), dtype=np.uint8)
            for k, patch in enumerate(chunk):
                images[k] = patch.image
            batch["image"] = torch.from_numpy(images)
        return {k: v.to(self.model.device, non_blocking=True) for k, v in batch.items()}


def fold_batch_norms(module: nn.Module) -> None:
    """Fold every batch norm that follows a convolution in a Sequential into it, in place."""
    for sequence in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        for k in range(len(sequence) - 1):
            if isinstance(sequence[k], nn.Conv2d) and isinstance(sequence[k + 1], nn.BatchNorm2d):
                sequence[k] = fuse_conv_bn_eval(sequence[k], sequence[k + 1])
                sequence[k + 1] = nn.Identity()
