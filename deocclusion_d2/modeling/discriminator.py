"""A critic of filled-in colours: which patches of an image look real, given a mask.

It is that of PCNet-C (supplement A of "Self-Supervised Scene De-occlusion").
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Five 4x4 convolutions with spectral normalisation and leaky ReLU (slope 0.2).

    Channels 64, 128, 256, 512, 1 (times ``width``); the first three halve the size. Without bias,
    as in the released runs.

    Args:
        in_channels: channels of the input (RGB, modal mask).
        width: multiplies the channels.
    """

    def __init__(self, in_channels: int = 4, width: float = 1.0) -> None:
        super().__init__()
        channels = [in_channels, *(int(c * width) for c in (64, 128, 256, 512)), 1]
        if min(channels[1:-1]) < 4:
            raise ValueError(f"width {width} leaves a layer with fewer than 4 channels")
        self.layers = nn.ModuleList(
            spectral_norm(
                nn.Conv2d(
                    channels[i],
                    channels[i + 1],
                    kernel_size=4,
                    stride=2 if i < 3 else 1,
                    padding=1,
                    bias=False,
                )
            )
            for i in range(5)
        )

    def forward(self, x: torch.Tensor, frozen: bool = False) -> torch.Tensor:
        """Logits, positive for real.

        Args:
            x: (N, in_channels, S, S).
            frozen: the weights are constants: gradients reach ``x`` only.

        Returns:
            (N, 1, S / 8 - 2, S / 8 - 2).
        """
        for i, layer in enumerate(self.layers):
            # Frozen, the weights are those of the last step: the norm's estimate stays, too.
            weight = self._frozen_weight(layer) if frozen else layer.weight
            x = F.conv2d(x, weight, None, layer.stride, layer.padding)
            if i < len(self.layers) - 1:
                x = F.leaky_relu(x, 0.2)
        return x

    @staticmethod
    def _frozen_weight(layer: nn.Module) -> torch.Tensor:
        normalise = layer.parametrizations.weight
        was_training = normalise.training
        normalise.eval()
        with torch.no_grad():
            weight = layer.weight
        normalise.train(was_training)
        return weight
