"""What computes a trained network: torch, torch's compiler, ncnn, or OpenVINO.

A runner gives an engine batches of one shape, so whatever is prepared for a shape is prepared once.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import sys
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..errors import UserError
from ..registry import Registry
from .ncnn_convolution import has_ncnn, with_ncnn_convolutions
from .prepared import Prepared

# Installed packages may bring engines: entry points of this group, each the name of a class.
ENTRY_POINTS = "deocclusion_d2.engines"
AUTO = "auto"


class Engine(ABC):
    """Computes networks in its own way.

    Attributes:
        name: key in ``ENGINES``, and value of ``DEOCCLUSION.ENGINE``.
        precisions: in which it computes, the best first.
    """

    name: str
    precisions: tuple[str, ...] = ("float32", "bfloat16")

    def require(self, device: torch.device) -> None:  # noqa: B027
        """Refuse a machine that it cannot use.

        Raises:
            UserError: saying what is missing.
        """

    @abstractmethod
    def prepare(self, network: nn.Module, precision: str) -> nn.Module:
        """A network that gives the same to rounding; the given one is not used any more.

        Args:
            network: in evaluation, tensors -> tensor.
            precision: "float32" or "bfloat16".

        Returns:
            A module. The dtype of its parameters is what its inputs have to have.
        """


ENGINES: Registry[Engine] = Registry("engine", Engine, ENTRY_POINTS)
register_engine = ENGINES.register


@register_engine
class TorchEngine(Engine):
    """Torch as it is. The layout is what tensor cores and oneDNN are fastest in."""

    name = "torch"

    def prepare(self, network: nn.Module, precision: str) -> nn.Module:
        return network.to(dtype=getattr(torch, precision), memory_format=torch.channels_last)


@register_engine
class CompileEngine(TorchEngine):
    """Torch's compiler, for the shapes that come; the first batch of each waits for it."""

    name = "compile"

    def prepare(self, network: nn.Module, precision: str) -> nn.Module:
        return _Compiled(super().prepare(network, precision))


@register_engine
class OpenVINOEngine(Engine):
    """OpenVINO on a CPU (the extra ``openvino``)."""

    name = "openvino"

    def require(self, device: torch.device) -> None:
        _require_library(self.name, device, has_openvino())

    def prepare(self, network: nn.Module, precision: str) -> nn.Module:
        return _OpenVINONetwork(network, precision)


@register_engine
class NcnnEngine(Engine):
    """Torch with ncnn's 3x3 convolutions, in float32 on a CPU (the extra ``ncnn``)."""

    name = "ncnn"
    precisions = ("float32",)

    def require(self, device: torch.device) -> None:
        _require_library(self.name, device, has_ncnn())

    def prepare(self, network: nn.Module, precision: str) -> nn.Module:
        # It wants a channel's pixels next to each other.
        return with_ncnn_convolutions(network.to(memory_format=torch.contiguous_format))


def _require_library(name: str, device: torch.device, installed: bool) -> None:
    """Of an engine for CPUs, an extra of the same name."""
    if device.type != "cpu":
        raise UserError(
            f"DEOCCLUSION.ENGINE = {name!r} computes on the CPU, and MODEL.DEVICE is {device}: set "
            f"MODEL.DEVICE cpu, or another engine"
        )
    if not installed:
        raise UserError(
            f"DEOCCLUSION.ENGINE = {name!r} needs another library: pip install "
            f"'deocclusion_d2[{name}]'"
        )


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def _openvino() -> ModuleType:
    # Its statistics of use go out by threads of their own, and nobody here asked for them.
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


@functools.cache
def _openvino_core() -> Any:
    """One for as long as the process lasts: what it has loaded must not go before the next fork."""
    return _openvino().Core()


def chosen_engine(name: str, device: torch.device, precision: str, *, alone: bool) -> Engine:
    """What ``DEOCCLUSION.ENGINE`` means.

    "auto" is torch, but ncnn where it is installed and gains: in float32 on a CPU, for patches that
    come alone. OpenVINO gains little anywhere beside the seconds that converting a network takes.

    Args:
        name: in ``ENGINES``, or "auto".
        device: of the network.
        precision: "float32" or "bfloat16".
        alone: whether patches come alone.

    Raises:
        UserError: there is none of that name, or this machine lacks what it needs.
    """
    if name == AUTO:
        gains = device.type == "cpu" and precision == "float32" and alone
        name = NcnnEngine.name if gains and has_ncnn() else TorchEngine.name
    if name not in ENGINES:
        raise UserError(f"DEOCCLUSION.ENGINE = {name!r}: use {', '.join((AUTO, *ENGINES))}")
    engine = ENGINES[name]
    engine.require(device)
    return engine


def installed_engines(device: torch.device) -> list[str]:
    """Those that are there and need no compiler, torch first."""
    names = [TorchEngine.name]
    if device.type == "cpu":
        names += [NcnnEngine.name] * has_ncnn() + [OpenVINOEngine.name] * has_openvino()
    return names


def require_torch(name: str, network: str) -> None:
    """Refuse another engine for a network that only torch computes.

    Args:
        name: ``DEOCCLUSION.ENGINE``.
        network: what the message calls it.

    Raises:
        UserError: likewise.
    """
    if name not in (AUTO, TorchEngine.name):
        raise UserError(
            f"DEOCCLUSION.ENGINE = {name!r}: {network} is computed by {TorchEngine.name} alone"
        )


class _Compiled(Prepared):
    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        made = self.made()
        if "call" not in made:
            # In this process: others of its own would be started by every worker. And without a
            # warning where CUDA's compiler is there, and no GPU.
            os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
            made["call"] = torch.compile(self.network, dynamic=False)
        try:
            return made["call"](*inputs)
        except Exception as error:
            # Of some other kind with every release of torch.
            if "ompiler" not in f"{type(error).__name__}{error}":
                raise
            raise UserError(
                "DEOCCLUSION.ENGINE = 'compile': torch found no compiler that works (a C++ one for "
                "CPUs): install one, or set the engine 'torch'"
            ) from None


class _OpenVINONetwork(Prepared):
    """Converted by ``torch.export`` for every shape that comes."""

    def __init__(self, network: nn.Module, precision: str) -> None:
        super().__init__(network.to(dtype=torch.float32))
        self.precision = precision
        # By the shapes of the inputs; forked processes use it, too.
        self._models: dict[tuple[torch.Size, ...], Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_models": {}}

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        made = self.made()
        shapes = tuple(x.shape for x in inputs)
        if shapes not in made:
            made[shapes] = self._request(inputs, shapes)
        try:
            results = made[shapes].infer([x.contiguous().numpy() for x in inputs])
            result = torch.from_numpy(next(iter(results.values())))
        except RuntimeError:
            if self.precision == "float32":
                raise
            result = torch.empty(0)
        if len(result) != len(inputs[0]):
            # On some processors without bfloat16 it fails, or gives nothing without a word.
            raise UserError(
                f"DEOCCLUSION.PRECISION = {self.precision!r}: OpenVINO computes nothing in it on "
                "this processor: set DEOCCLUSION.PRECISION float32, or DEOCCLUSION.ENGINE torch"
            )
        return result

    def _request(self, inputs: tuple[torch.Tensor, ...], shapes: tuple[torch.Size, ...]) -> Any:
        if shapes not in self._models:
            with torch.inference_mode(False), torch.no_grad():
                examples = tuple(torch.zeros(shape) for shape in shapes)
                exported = torch.export.export(self.network, examples)
            self._models[shapes] = _openvino().convert_model(exported)
        options = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[self.precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
        }
        compiled = _openvino_core().compile_model(self._models[shapes], "CPU", options)
        return compiled.create_infer_request()
