"""The U-Net of PCNet-M and of other networks over patches.

Shape shorthand: N: patches, C: channels, S: side of the patch in pixels (a multiple of 16).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import UserError

# (y0, y1, x0, x1) in pixels, y1 and x1 exclusive.
Window = tuple[int, int, int, int]


class DoubleConv(nn.Sequential):
    """Twice: 3x3 convolution, batch norm, ReLU. (N, C_in, S, S) -> (N, C_out, S, S)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """U-Net of 4 levels: max-pool down, bilinear (align_corners) up, 1x1 head.

    Channels per level are 16 w, 32 w, 64 w, 128 w, 128 w (supplement A; w = 2 there). The order and
    shapes of the parameters are those of the released PCNet-M.

    Args:
        in_channels: channels of the input.
        width: the widening factor w, 0.25 or more.
        num_classes: channels of the output.
    """

    LEVELS = 4
    SIZE_DIVISIBILITY = 2**LEVELS

    def __init__(self, in_channels: int, width: float = 2.0, num_classes: int = 2) -> None:
        super().__init__()
        channels = [int(c * width) for c in (16, 32, 64, 128, 128)]
        if min(channels) < 4:
            raise UserError(
                f"width {width} leaves a level with fewer than 4 channels: use 0.25 or more"
            )
        self.stem = DoubleConv(in_channels, channels[0])
        self.down = nn.ModuleList(
            DoubleConv(channels[i], channels[i + 1]) for i in range(self.LEVELS)
        )
        # From the coarsest level up: each takes the upsampled features and the skip connection.
        ups = []
        below = channels[-1]
        for i in reversed(range(self.LEVELS)):
            out = channels[max(i - 1, 0)]
            ups.append(DoubleConv(below + channels[i], out))
            below = out
        self.up = nn.ModuleList(ups)
        self.head = nn.Conv2d(below, num_classes, kernel_size=1)

    def peak_activations(self, size: int) -> int:
        """Numbers in the largest activation of one patch of ``size`` x ``size`` pixels."""
        return size**2 * self.head.in_channels

    def forward(self, x: torch.Tensor, window: Window | None = None) -> torch.Tensor:
        """Logits of a patch, or of a window of it.

        Args:
            x: (N, in_channels, S, S) float.
            window: (y0, y1, x0, x1) in pixels of the patch; evaluation only. The result equals
                that part of the whole, to rounding; the decoder computes little else.

        Returns:
            (N, num_classes, S, S) logits, or (N, num_classes, y1 - y0, x1 - x0).
        """
        skips = [self.stem(x)]
        for down in self.down:
            skips.append(down(_halved(skips[-1])))
        x = skips.pop()
        if window is not None:
            return self.head(self._decode_window(x, skips, len(skips) - 1, window))
        for up in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = up(torch.cat([skips.pop(), x], dim=1))
        return self.head(x)

    def _decode_window(
        self, deepest: torch.Tensor, skips: list[torch.Tensor], depth: int, window: Window
    ) -> torch.Tensor:
        """Decoder features in a window of the level that ``depth`` levels lie below.

        Args:
            deepest: features of the coarsest level.
            skips: features of all other levels, finest first.
            depth: how many of ``skips`` are coarser than the wanted level.
            window: of the wanted level.
        """
        level = len(skips) - 1 - depth
        skip = skips[level]
        height, width = skip.shape[2:]
        y0, y1, x0, x1 = window
        # Two 3x3 convolutions see two pixels around; where the region is cut, those are discarded.
        top, bottom = max(y0 - 2, 0), min(y1 + 2, height)
        left, right = max(x0 - 2, 0), min(x1 + 2, width)
        rows = _upsampled_rows(top, bottom, height)
        columns = _upsampled_rows(left, right, width)
        if depth == 0:
            coarse = deepest
        else:
            coarse = self._decode_window(deepest, skips, depth - 1, (*rows.needed, *columns.needed))
            rows, columns = rows.shifted(), columns.shifted()
        upsampled = columns.apply(rows.apply(coarse, dim=2), dim=3).to(skip.dtype)
        x = torch.cat([skip[:, :, top:bottom, left:right], upsampled], dim=1)
        x = self.up[depth](x.contiguous(memory_format=torch.channels_last))
        return x[:, :, y0 - top : y1 - top, x0 - left : x1 - left]


def _halved(x: torch.Tensor) -> torch.Tensor:
    """Max-pooling by 2: (N, C, S, S) -> (N, C, S / 2, S / 2)."""
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return F.max_pool2d(x, 2)
    # The same numbers, on a CPU in a third of the time. Gradients of equal numbers would differ.
    rows = torch.maximum(x[:, :, ::2], x[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def foreground_probability(logits: torch.Tensor) -> torch.Tensor:
    """(N, 2, ...) background and foreground logits -> (N, ...) float32 probability."""
    # Two classes: the softmax is the logistic function of the difference.
    logits = logits.float()
    return torch.sigmoid(logits[:, 1] - logits[:, 0])


@dataclass(frozen=True)
class _Upsampling:
    """Some rows (or columns) of a bilinear (align_corners) doubling.

    Attributes:
        low, high: (n,) int64, the two source rows of each.
        weight: (n,) float32, share of ``high``.
    """

    low: torch.Tensor
    high: torch.Tensor
    weight: torch.Tensor

    @property
    def needed(self) -> tuple[int, int]:
        """First source row, and one past the last."""
        return int(self.low[0]), int(self.high[-1]) + 1

    def shifted(self) -> _Upsampling:
        """For a source that starts at its first needed row."""
        first = self.low[0]
        return _Upsampling(self.low - first, self.high - first, self.weight)

    def apply(self, x: torch.Tensor, dim: int) -> torch.Tensor:
        shape = [1] * x.ndim
        shape[dim] = -1
        low = x.index_select(dim, self.low.to(x.device)).float()
        high = x.index_select(dim, self.high.to(x.device)).float()
        return torch.lerp(low, high, self.weight.to(x.device).view(shape))


@functools.lru_cache(maxsize=1024)
def _upsampled_rows(start: int, stop: int, size: int) -> _Upsampling:
    """Rows start..stop of the doubling of ``size // 2`` rows."""
    source = size // 2
    position = torch.arange(start, stop, dtype=torch.float64) * ((source - 1) / (size - 1))
    low = position.floor().long().clamp(max=source - 1)
    high = (low + 1).clamp(max=source - 1)
    return _Upsampling(low, high, (position - low).float())
