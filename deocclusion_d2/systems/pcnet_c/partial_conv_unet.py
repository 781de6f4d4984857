"""The network of PCNet-C: a U-Net of partial convolutions.

The layer is of Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions" (ECCV
2018); PCNet-C takes their network with one more input channel, the modal mask (supplement A).

Shape shorthand: N: patches, C: channels, H, W: sides of a patch in pixels (multiples of 128).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class PartialConv2d(nn.Conv2d):
    """A convolution that sees valid values only, with padding that keeps the size at stride 1.

    With M the valid values in the window of an output pixel (of all channels; padding is not
    valid)::

        out = conv(x * M) * gain / sum(M) + bias    where sum(M) > 0
        out = 0                                     elsewhere

    Liu et al.'s ``gain`` is the number of values in the window, which makes a window without holes
    an ordinary convolution. The public PyTorch implementation that the authors built on
    (naoto0804/pytorch-inpainting-with-partial-conv) has none, and the released weights were learnt
    that way: they come with a gain of 1. Their outputs are small, and what batch norm adds to the
    variance (its ``eps``) is a part of that network. The gain is kept with the weights, so that
    both kinds run alike.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=bias
        )
        # An integer, so that changing the weights' precision leaves it alone.
        self.register_buffer("gain", torch.tensor(in_channels * kernel_size**2))

    def forward(self, x: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            x: (N, C_in, H, W) float, zero wherever it is not valid.
            valid: (N, 1, H, W) float32, how many channels are valid at each pixel, 0 to C_in.
                The sum of a window needs no more, even if the channels' masks differ.

        Returns:
            (N, C_out, H', W') result, and (N, 1, H', W') bool, where anything was valid.
        """
        # A pooling that does not divide: the sum over the window, in float32 under autocast too.
        count = F.avg_pool2d(valid, self.kernel_size, self.stride, self.padding, divisor_override=1)
        filled = count > 0
        out = F.conv2d(x, self.weight, None, self.stride, self.padding)
        out = out * (self.gain / count.clamp(min=1)).to(out.dtype)
        if self.bias is not None:
            out = out + self.bias.to(out.dtype).view(1, -1, 1, 1) * filled
        return out, filled


class PartialConvBlock(nn.Module):
    """Partial convolution, batch norm, activation; what is still a hole is zero afterwards."""

    def __init__(self, conv: PartialConv2d, norm: nn.Module, activation: nn.Module) -> None:
        """
        Args:
            conv: the convolution.
            norm: what follows it, ``nn.Identity()`` for nothing.
            activation: what follows that.
        """
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.activation = activation

    def forward(self, x: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``PartialConv2d.forward``, but the second result counts channels, as ``valid`` does."""
        x, filled = self.conv(x, valid)
        x = self.activation(self.norm(x)).masked_fill(~filled, 0)
        return x, filled.to(valid.dtype) * self.conv.out_channels


class PartialConvUNet(nn.Module):
    """U-Net of partial convolutions: 7 levels of stride 2, nearest upsampling, skip connections.

    Encoder: 64, 128, 256, 512, 512, 512, 512 channels, kernels 7, 5, 5, 3, 3, 3, 3, ReLU. Decoder,
    from the coarsest level up: 512, 512, 512, 256, 128, 64 channels and the output, kernel 3, leaky
    ReLU (0.2). Batch norm everywhere but in the first and the last block; the last block alone has
    a bias, and no activation. Parameters have the shapes of the released PCNet-C's. Weights start
    for a gain that is the window's size, as Liu et al. have it.

    Features that hold holes are zero there, and one tensor counts the valid channels of a pixel:
    behind the first convolution all channels share their mask.

    Args:
        in_channels: channels of the input (PCNet-C: RGB, modal mask).
        width: multiplies the channels; 1 is the paper's.
        out_channels: channels of the output.
    """

    LEVELS = 7
    SIZE_DIVISIBILITY = 2**LEVELS

    def __init__(self, in_channels: int = 4, width: float = 1.0, out_channels: int = 3) -> None:
        super().__init__()
        channels = [int(c * width) for c in (64, 128, 256, 512, 512, 512, 512)]
        if min(channels) < 4:
            raise ValueError(f"width {width} leaves a level with fewer than 4 channels")
        kernels = (7, 5, 5, 3, 3, 3, 3)
        inputs = [in_channels, *channels[:-1]]
        self.encoder = nn.ModuleList(
            PartialConvBlock(
                PartialConv2d(inputs[i], channels[i], kernels[i], stride=2),
                nn.BatchNorm2d(channels[i]) if i > 0 else nn.Identity(),
                nn.ReLU(inplace=True),
            )
            for i in range(self.LEVELS)
        )
        # From the coarsest level up: each takes the upsampled features and the skip connection,
        # and gives as many channels as the skip connection has.
        self.decoder = nn.ModuleList(
            PartialConvBlock(
                PartialConv2d(channels[i] + inputs[i], inputs[i], 3),
                nn.BatchNorm2d(inputs[i]),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for i in range(self.LEVELS - 1, 0, -1)
        )
        last = PartialConv2d(channels[0] + in_channels, out_channels, 3, bias=True)
        self.decoder.append(PartialConvBlock(last, nn.Identity(), nn.Identity()))
        for block in (*self.encoder, *self.decoder):
            nn.init.kaiming_normal_(block.conv.weight, nonlinearity="relu")
        nn.init.zeros_(last.bias)

    @property
    def head(self) -> PartialConv2d:
        """The last convolution."""
        return self.decoder[-1].conv

    def peak_activations(self, size: int) -> int:
        """Numbers in the largest activation, the last convolution's input, of one patch."""
        return size**2 * self.head.in_channels

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Fill the holes of a patch.

        Args:
            x: (N, in_channels, H, W) float; what holes contain has no influence.
            mask: (N, in_channels, H, W), or (N, 1, H, W) for all channels; 1 or True is valid, 0 or
                False a hole.

        Returns:
            (N, out_channels, H, W), 0 where no valid value is in reach.

        Raises:
            ValueError: a side is not a multiple of 128.
        """
        if any(side % self.SIZE_DIVISIBILITY for side in x.shape[2:]):
            sides = " x ".join(map(str, x.shape[2:]))
            raise ValueError(f"a patch of {sides} px: use multiples of {self.SIZE_DIVISIBILITY}")
        is_valid = (mask != 0).expand_as(x)
        x = x.masked_fill(~is_valid, 0)
        valid = is_valid.sum(dim=1, keepdim=True, dtype=torch.float32)
        skips = []
        for block in self.encoder:
            skips.append((x, valid))
            x, valid = block(x, valid)
        for block in self.decoder:
            skip, skip_valid = skips.pop()
            x = torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1)
            valid = F.interpolate(valid, scale_factor=2, mode="nearest") + skip_valid
            x, valid = block(x, valid)
        return x
