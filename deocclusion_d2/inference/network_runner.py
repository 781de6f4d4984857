"""Runs a network of this package over many samples, in batches.

Shape shorthand: P: samples of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import UserError
from ..modeling.category_ids import NO_CATEGORY_ID, KnownCategories, described_ids
from ..modeling.instance_network import InstanceNetwork
from ..modeling.precision import chosen_precision, plain_copy
from .engines import Engine, TorchEngine, chosen_engine, require_torch
from .weights import load_model

if TYPE_CHECKING:
    from .network_server import NetworkClient

# One input of a network: its batch's entries, without the batch dimension. Masks are bool, and
# uint8 to the network.
Sample = dict[str, np.ndarray]

# Bytes of the largest activation of a forward on a CPU. Beyond a core's cache every layer waits for
# memory: at 256 px and width 2, one patch at a time ran 1.5 to 2.6 times as fast as 8 to 64.
_CPU_ACTIVATION_BYTES = 4 << 20
# Samples of a forward on a CPU, at most: a call for one image fills it up.
_CPU_SAMPLES = 16


class Operation(Protocol):
    """What is made of a batch, where the network runs.

    Batches of equal operations may be put together; workers send them to the process that holds the
    network. So they are small frozen dataclasses.
    """

    def __call__(self, runner: NetworkRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """A batch of P samples on the network's device -> (P, ...)."""


@dataclass(frozen=True)
class Entry:
    """One entry of the model's result.

    Attributes:
        key: such as "probability".
    """

    key: str

    def __call__(self, runner: NetworkRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return runner.model(batch)[self.key]


class NetworkRunner:
    """Runs a trained network over instance crops.

    What a sample gives does not depend on the samples beside it: see ``forward_size``.

    Args:
        model: trained. It is not changed: the runner works on a copy.
        batch_size: samples per forward on a GPU.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the hardware computes it.
        optimize: fold the batch norms into the convolutions. False: the network as it was trained.
        categories: the ids that samples may have; None: those that the model was trained with.
        engine: what computes the network: a name of ``ENGINES``, or "auto".
        patch_size: side of the patches in pixels, by which "auto" chooses.

    Raises:
        UserError: a precision or an engine that there is not, or that this network or machine
            cannot use.
    """

    def __init__(
        self,
        model: InstanceNetwork,
        *,
        batch_size: int = 64,
        precision: str = "auto",
        optimize: bool = True,
        categories: KnownCategories | None = None,
        engine: str = TorchEngine.name,
        patch_size: int | None = None,
    ) -> None:
        wanted, precision = precision, chosen_precision(precision, model.device)
        if batch_size < 1:
            raise UserError(f"DEOCCLUSION.PATCHES_PER_BATCH = {batch_size}: use 1 or more")
        self.model = plain_copy(model)
        self.batch_size = batch_size
        self.optimize = optimize
        self.precision = precision
        parts = self.model.inference_parts()
        if optimize:
            for part in parts:
                fold_batch_norms(part)
        chosen = self._chosen_engine(engine, patch_size)
        if precision not in chosen.precisions:
            best = chosen.precisions[0]
            if wanted == precision:
                raise UserError(
                    f"DEOCCLUSION.PRECISION = {wanted!r}: the engine {chosen.name!r} computes in "
                    f"{best}; set DEOCCLUSION.PRECISION {best}, or another DEOCCLUSION.ENGINE"
                )
            self.precision = precision = best
        if chosen.name == TorchEngine.name:
            for part in parts:
                chosen.prepare(part, precision)
        else:
            self.model.network = chosen.prepare(self.model.network, precision)
        self.engine = chosen.name
        self.uses_rgb = model.use_rgb
        self.uses_category = model.use_category
        self.categories = categories or KnownCategories(model.trained_on.category_ids)
        # In a worker whose network is in another process: the way to it.
        self.client: NetworkClient | None = None

    @classmethod
    def from_config(
        cls, cfg, model: InstanceNetwork | None = None, *, protocol: bool = True
    ) -> NetworkRunner:
        """What runs the network of a config.

        Args:
            model: trained; without it the config's is built and ``cfg.MODEL.WEIGHTS`` loaded.
            protocol: whether ``DEOCCLUSION.PAPER_PROTOCOL`` is about this network.

        Raises:
            UserError: missing weights, weights that don't fit or were trained with category ids
                that the config does not use, or a map of ids that the network does not know.
        """
        paper = protocol and cfg.DEOCCLUSION.PAPER_PROTOCOL
        model = load_model(cfg) if model is None else model
        trained = model.trained_on.category_ids
        if not model.use_category and (trained or {NO_CATEGORY_ID}) != {NO_CATEGORY_ID}:
            raise UserError(
                f"MODEL.WEIGHTS: the network was trained with masks multiplied by the category ids "
                f"{described_ids(trained)}, but the config multiplies by none: set USE_CATEGORY "
                f"of {cfg.MODEL.META_ARCHITECTURE} True"
            )
        categories = KnownCategories(trained)
        if model.use_category:
            categories = KnownCategories.read(cfg.DEOCCLUSION.CATEGORY_MAP, trained)
        return cls(
            model,
            batch_size=cfg.DEOCCLUSION.PATCHES_PER_BATCH,
            precision="float32" if paper else cfg.DEOCCLUSION.PRECISION,
            optimize=not paper,
            categories=categories,
            engine=TorchEngine.name if paper else cfg.DEOCCLUSION.ENGINE,
            patch_size=cfg.INPUT.INSTANCE_CROP.SIZE,
        )

    def _chosen_engine(self, name: str, patch_size: int | None) -> Engine:
        parts = self.model.inference_parts()
        if len(parts) > 1 or parts[0] is not getattr(self.model, "network", None):
            # The compilers take a network as a whole.
            require_torch(name, type(self.model).__name__)
            name = TorchEngine.name
        alone = patch_size is not None and self.forward_size(patch_size) == 1
        return chosen_engine(name, self.model.device, self.precision, alone=alone)

    def describe(self) -> dict[str, str]:
        """How it computes; torch, which was the only engine once, goes without saying."""
        named = {} if self.engine == TorchEngine.name else {"engine": self.engine}
        return {"precision": self.precision, **named}

    def outputs(self, samples: Iterable[Sample], key: str) -> Iterator[np.ndarray]:
        """One entry of the model's result for each sample, in order; see ``results``."""
        return self.results(samples, Entry(key))

    def results(self, samples: Iterable[Sample], operation: Operation) -> Iterator[np.ndarray]:
        """What an operation makes of each sample, in order.

        Args:
            samples: any number; they are taken a batch at a time.
        """
        chunks = self._chunks(samples)
        if self.client is not None:
            yield from self.client.results(chunks, operation)
            return
        for chunk in chunks:
            yield from self.compute(chunk, operation)

    @torch.inference_mode()
    def compute(
        self, chunk: dict[str, np.ndarray | torch.Tensor], operation: Operation
    ) -> np.ndarray:
        """One forward of at most ``forward_size`` samples.

        Args:
            chunk: a batch's entries, each (P, ...); tensors are on the network's device.

        Returns:
            (P, ...).
        """
        count = len(next(iter(chunk.values())))
        size = self.forward_size(_patch_size(chunk, 1))
        batch = {key: self._filled_up(values, size) for key, values in chunk.items()}
        return operation(self, batch)[:count].cpu().numpy()

    def _chunks(self, samples: Iterable[Sample]) -> Iterator[dict[str, np.ndarray]]:
        """The samples of each forward, stacked."""
        samples = iter(samples)
        first = next(samples, None)
        if first is None:
            return
        samples = chain([first], samples)
        size = self.forward_size(_patch_size(first, 0))
        while chunk := list(islice(samples, size)):
            stacked = {key: np.stack([sample[key] for sample in chunk]) for key in first}
            if self.uses_category:
                stacked["category_id"] = self.categories.of(stacked["category_id"])
            yield stacked

    def _filled_up(self, values: np.ndarray | torch.Tensor, size: int) -> torch.Tensor:
        """On the network's device, and empty samples behind up to ``size``."""
        if isinstance(values, np.ndarray):
            if values.dtype == bool:
                values = values.view(np.uint8)
            values = torch.from_numpy(values).to(self.model.device, non_blocking=True)
        if len(values) == size:
            return values
        filled = values.new_zeros((size, *values.shape[1:]))
        filled[: len(values)] = values
        return filled

    def forward_size(self, patch_size: int) -> int:
        """Samples of every forward; the last one is filled up with empty ones.

        Libraries choose their kernels, and with them the last bits of the result, by the shape of
        the batch, on GPUs and on CPUs. In batches of one size a sample's result is the same to the
        bit at every place. On a CPU the cache decides that size, not ``batch_size``.
        """
        if self.model.device.type == "cuda":
            return self.batch_size
        size = self.model.peak_activations(patch_size) * getattr(torch, self.precision).itemsize
        fitting = _CPU_ACTIVATION_BYTES // size
        return max(1, min(fitting, _CPU_SAMPLES))


def _patch_size(entries: Mapping[str, np.ndarray | torch.Tensor], axis: int) -> int:
    """The longest side of the entries along an axis."""
    return max(value.shape[axis] for value in entries.values() if value.ndim > axis)


def fold_batch_norms(module: nn.Module) -> None:
    """Fold every batch norm that follows a convolution in a Sequential into it, in place."""
    for sequence in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        for k in range(len(sequence) - 1):
            if isinstance(sequence[k], nn.Conv2d) and isinstance(sequence[k + 1], nn.BatchNorm2d):
                sequence[k] = fuse_conv_bn_eval(sequence[k], sequence[k + 1])
                sequence[k + 1] = nn.Identity()
