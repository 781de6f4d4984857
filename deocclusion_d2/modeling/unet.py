"""The U-Net of PCNet-M and of other networks over patches.

Shape shorthand: N: patches, C: channels, S: side of the patch in pixels (a multiple of 16).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import UserError


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

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Features of all levels, finest first: (N, in_channels, S, S) -> LEVELS + 1 tensors."""
        features = [self.stem(x)]
        for down in self.down:
            features.append(down(halved(features[-1])))
        return features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, S, S) float -> (N, num_classes, S, S) logits."""
        skips = self.encode(x)
        x = skips.pop()
        for up in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = up(torch.cat([skips.pop(), x], dim=1))
        return self.head(x)


def halved(x: torch.Tensor) -> torch.Tensor:
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
