"""SeGAN's painter: pix2pix's U-Net from the coloured input to the whole object."""

from __future__ import annotations

import torch
from torch import nn

# Layers of the decoder that drop activations, from the bottom.
_DROPPING = 3
_MOST = 8  # times the first layer's channels


class Painter(nn.Module):
    """A U-Net of 4 x 4 convolutions that halves its input down to one pixel or a few.

    (N, 3, P, P) -> the same, values in [0, 1]. Convolutions have biases; all but the first and the
    last have batch norm, and the first three of the decoder drop half of their activations.

    Args:
        depth: how often it halves.
        channels: of the first layer, doubled up to eight times.
    """

    def __init__(self, depth: int = 8, channels: int = 64) -> None:
        super().__init__()
        widths = [channels * min(2**k, _MOST) for k in range(depth)]
        self.depth = depth
        self.channels = channels
        down, up = [], []
        for k, width in enumerate(widths):
            before = 3 if k == 0 else widths[k - 1]
            layers: list[nn.Module] = [] if k == 0 else [nn.LeakyReLU(0.2)]
            layers.append(nn.Conv2d(before, width, 4, 2, 1))
            if k > 0:
                layers.append(nn.BatchNorm2d(width))
            down.append(nn.Sequential(*layers))
            # The mirror image: it has what came from below and the skip, but for the bottom.
            given = width if k == depth - 1 else 2 * width
            back: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(given, before, 4, 2, 1)]
            if k > 0:
                back.append(nn.BatchNorm2d(before))
            if k >= depth - _DROPPING and k > 0:
                back.append(nn.Dropout(0.5))
            up.append(nn.Sequential(*back))
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class; ``x`` in [0, 1]."""
        x = 2 * x - 1
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        for k in range(self.depth - 1, -1, -1):
            x = self.up[k](x if k == self.depth - 1 else torch.cat([x, skips[k]], dim=1))
        return (torch.tanh(x.float()) + 1) / 2

    def peak_activations(self, size: int) -> int:
        """Numbers in the largest activation of one sample of a side."""
        return 2 * self.channels * (size // 2) ** 2
