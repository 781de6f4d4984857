"""Runs a network of this package over many samples, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import UserError
from ..modeling.instance_network import InstanceNetwork
from ..modeling.precision import has_bfloat16, plain_copy
from .weights import load_model

# One input of a network: its batch's entries, without the batch dimension.
Sample = dict[str, np.ndarray]

# Bytes of the largest activation of a forward on a CPU. Beyond a core's cache every layer waits for
# memory: at 256 px and width 2, one patch at a time ran 1.5 to 2.6 times as fast as 8 to 64.
_CPU_ACTIVATION_BYTES = 4 << 20
# Samples of a forward on a CPU, at most: a call for one image fills it up.
_CPU_SAMPLES = 16


class NetworkRunner:
    """Runs a trained network over instance crops.

    What a sample gives does not depend on the samples beside it: see ``forward_size``.

    Args:
        model: trained. It is not changed: the runner works on a copy.
        batch_size: samples per forward on a GPU.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the hardware computes it.
        optimize: fold the batch norms into the convolutions. False: the network as it was trained.
    """

    def __init__(
        self,
        model: InstanceNetwork,
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
        for part in self.model.inference_parts():
            if optimize:
                fold_batch_norms(part)
            part.to(dtype=getattr(torch, precision), memory_format=torch.channels_last)
        self.batch_size = batch_size
        self.optimize = optimize
        self.precision = precision
        self.uses_rgb = model.use_rgb
        self.uses_category = model.use_category

    @classmethod
    def from_config(
        cls, cfg, model: InstanceNetwork | None = None, *, protocol: bool = True
    ) -> NetworkRunner:
        """What runs the network of a config.

        Args:
            model: trained; without it the config's is built and ``cfg.MODEL.WEIGHTS`` loaded.
            protocol: whether ``DEOCCLUSION.PAPER_PROTOCOL`` is about this network.

        Raises:
            UserError: missing weights, or weights that don't fit.
        """
        paper = protocol and cfg.DEOCCLUSION.PAPER_PROTOCOL
        return cls(
            load_model(cfg) if model is None else model,
            batch_size=cfg.DEOCCLUSION.PATCHES_PER_BATCH,
            precision="float32" if paper else cfg.DEOCCLUSION.PRECISION,
            optimize=not paper,
        )

    @torch.inference_mode()
    def outputs(self, samples: Iterable[Sample], key: str) -> Iterator[np.ndarray]:
        """One entry of the model's result for each sample, in order.

        Args:
            samples: any number; they are taken a batch at a time.
            key: of the result, such as "probability".
        """
        for chunk, batch in self.batches(samples):
            yield from self.model(batch)[key][: len(chunk)].cpu().numpy()

    def batches(
        self, samples: Iterable[Sample]
    ) -> Iterator[tuple[list[Sample], dict[str, torch.Tensor]]]:
        """Samples of a forward, and the batch that holds them, maybe followed by empty ones."""
        samples = iter(samples)
        first = next(samples, None)
        if first is None:
            return
        samples = chain([first], samples)
        patch_size = max(value.shape[0] for value in first.values() if value.ndim)
        size = self.forward_size(patch_size)
        while chunk := list(islice(samples, size)):
            yield chunk, self._stack(chunk, size)

    def forward_size(self, patch_size: int) -> int:
        """Samples of every forward; the last one is filled up with empty ones.

        Libraries choose their kernels, and with them the last bits of the result, by the shape of
        the batch, on GPUs and on CPUs. In batches of one size a sample's result is the same to the
        bit at every place. On a CPU the cache decides that size, not ``batch_size``.
        """
        if self.model.device.type == "cuda":
            return self.batch_size
        size = self.model.peak_activations(patch_size) * self.model.dtype.itemsize
        fitting = _CPU_ACTIVATION_BYTES // size
        return max(1, min(fitting, _CPU_SAMPLES))

    def _stack(self, chunk: list[Sample], count: int) -> dict[str, torch.Tensor]:
        batch = {}
        for key, value in chunk[0].items():
            stacked = np.zeros((count, *value.shape), dtype=value.dtype)
            for k, sample in enumerate(chunk):
                stacked[k] = sample[key]
            batch[key] = torch.from_numpy(stacked).to(self.model.device, non_blocking=True)
        return batch


def fold_batch_norms(module: nn.Module) -> None:
    """Fold every batch norm that follows a convolution in a Sequential into it, in place."""
    for sequence in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        for k in range(len(sequence) - 1):
            if isinstance(sequence[k], nn.Conv2d) and isinstance(sequence[k + 1], nn.BatchNorm2d):
                sequence[k] = fuse_conv_bn_eval(sequence[k], sequence[k + 1])
                sequence[k + 1] = nn.Identity()
