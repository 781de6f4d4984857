"""3x3 convolutions by ncnn, which computes them on CPUs by Winograd's algorithm.

It takes up to 7 times fewer multiplications than torch's and OpenVINO's, in the same precision
(Lavin and Gray, arXiv 1509.09308): float32 comes near the speed of bfloat16.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import tempfile
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from .prepared import Prepared

# With fewer channels, such as the two of a U-Net's first layer, torch is faster.
_LEAST_CHANNELS = 16
# Rows are computed a strip at a time: about this many numbers of input, so that a core's second
# cache holds them with all that is made of them (large features: 1.2 to 1.5 times as fast), and a
# multiple of the rows of ncnn's tiles, 6 and 4.
_STRIP_NUMBERS = 160_000
_TILE_ROWS = 12


def has_ncnn() -> bool:
    """Whether ncnn is installed."""
    return importlib.util.find_spec("ncnn") is not None


def _ncnn() -> ModuleType:
    import ncnn

    return ncnn


@functools.cache
def _pools(process: int) -> tuple[Any, Any]:
    """What a process keeps of its memory for the next convolution: results, and work."""
    return _ncnn().PoolAllocator(), _ncnn().PoolAllocator()


def with_ncnn_convolutions(network: nn.Module) -> nn.Module:
    """Put ncnn's convolutions in the place of those that it gains for.

    Args:
        network: in evaluation, on the CPU, in float32; it is changed, or is a convolution itself.
    """
    if _gains(network):
        return NcnnConvolution(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if _gains(child):
                setattr(module, name, NcnnConvolution(child))
    return network


def _gains(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == (1, 1)
        and module.groups == 1
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and min(module.in_channels, module.out_channels) >= _LEAST_CHANNELS
    )


class NcnnConvolution(Prepared):
    """A 3x3 convolution with stride 1, for inputs of any size.

    Args:
        network: the convolution, on the CPU, in float32; its weights must not change any more.
    """

    def forward(
        self, x: torch.Tensor, padding: tuple[int, int, int, int] | None = None
    ) -> torch.Tensor:
        """As the convolution: (N, C, H, W) -> (N, C', H', W') float32.

        Args:
            padding: rows of zeros above and below, columns left and right; None: the convolution's.
        """
        made = self.made()
        if "net" not in made:
            made["net"] = self._net()
        if padding is None:
            rows, columns = self.network.padding
            padding = rows, rows, columns, columns
        above, below, left, right = padding
        count, channels, height, width = x.shape
        height, width = height + above + below, width + left + right
        result = x.new_empty((count, self.network.out_channels, height - 2, width - 2))
        tiles = max(_STRIP_NUMBERS // (channels * width * _TILE_ROWS), 1)
        for sample, out in zip(x, result, strict=True):
            for top in range(0, height - 2, tiles * _TILE_ROWS):
                bottom = min(top + tiles * _TILE_ROWS, height - 2)
                strip = _ncnn().Mat(width, bottom + 2 - top, channels)
                _copy_rows(sample, top - above, left, torch.from_numpy(np.asarray(strip)))
                extractor = made["net"].create_extractor()
                extractor.input("x", strip)
                _, part = extractor.extract("y")
                out[:, top:bottom].copy_(torch.from_numpy(np.asarray(part)))
        return result

    def _net(self) -> Any:
        conv = self.network
        net = _ncnn().Net()
        net.opt.num_threads = torch.get_num_threads()
        net.opt.blob_allocator, net.opt.workspace_allocator = _pools(os.getpid())
        # Halves are the default on some processors.
        for name in dir(net.opt):
            if name.startswith(("use_fp16", "use_bf16")):
                setattr(net.opt, name, False)
        # The format's number; counts of layers and of what they give; the layers. A convolution
        # has 0: channels out, 1: side of the kernel, 5: whether there is a bias, 6: weights.
        net.load_param_mem(
            "7767517\n2 2\nInput x 0 1 x\n"
            f"Convolution conv 1 1 x y 0={conv.out_channels} 1=3 5=1 6={conv.weight.numel()}\n"
        )
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
        with tempfile.TemporaryDirectory(prefix="deocclusion_d2_") as folder:
            path = os.path.join(folder, "weights.bin")
            with open(path, "wb") as f:
                # Zero: what follows is float32.
                for numbers in (np.zeros(1, np.int32), conv.weight, bias):
                    array = torch.as_tensor(numbers).detach().numpy()
                    f.write(np.ascontiguousarray(array).tobytes())
            net.load_model(path)
        return net


def _copy_rows(x: torch.Tensor, top: int, left: int, out: torch.Tensor) -> None:
    """Fill ``out`` with rows of x from ``top`` on, behind ``left`` columns; zeros where x has none.

    Args:
        x: (C, H, W).
        top: may be negative.
        out: (C, h, w).
    """
    _, height, width = x.shape
    first, last = max(top, 0), min(top + out.shape[1], height)
    if (last - first, width) != out.shape[1:]:
        out.zero_()
    out[:, first - top : last - top, left : left + width].copy_(x[:, first:last])
