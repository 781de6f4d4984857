"""The released PCNet-C: its tensors have the names of the authors' network of partial convolutions.

That network keeps constant ones as ``mask_conv.weight``; ours does without, and keeps a ``gain``
for each (see ``PartialConv2d``), which is 1 in a released network. The discriminator that trained
it is a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...modeling.released import Module, NetworkShape, ReleasedLayout, State
from .partial_conv_unet import PartialConvUNet

_DISCRIMINATOR = {f"conv{i}.0.weight_orig" for i in range(1, 6)}


class ReleasedPCNetC(ReleasedLayout):
    """See ``ReleasedLayout``.

    An inpainting network of partial convolutions in the same layout, which takes RGB alone, becomes
    a PCNet-C that ignores the mask: where to start training (supplement A).
    """

    name = "PCNet-C"
    takes_category_ids = True
    example = """\
  a released PCNet-C (the network, not the discriminator beside it), or the inpainting network of
  partial convolutions that its training starts from (RGB alone; it gets a channel for the mask):
    %(prog)s released/KINS_pcnet_c.pth.tar pcnet_c_kins.pth
"""
    released = NetworkShape(in_channels=4, width=1.0)
    # RGB, with or without a mask.
    in_channels = (3, 4)
    first = "enc_1.conv.input_conv.weight"
    widest = "enc_7.bn.weight"
    channels_per_width = 512
    # Levels with fewer than 4 channels are refused, and the first has an eighth of the widest's.
    narrowest = 32

    def build(self, shape: NetworkShape) -> PartialConvUNet:
        return PartialConvUNet(shape.in_channels, width=shape.width)

    def modules(self) -> list[Module]:
        levels = PartialConvUNet.LEVELS
        # Released blocks are numbered by level, ours in the order of computation.
        blocks = [(f"encoder.{i}", f"enc_{i + 1}") for i in range(levels)]
        blocks += [(f"decoder.{levels - k}", f"dec_{k}") for k in (5, 6, 7, 4, 3, 2, 1)]
        parts = []
        for ours, official in blocks:
            conv = f"{official}.conv"
            parts.append(Module(f"{ours}.conv", f"{conv}.input_conv", ones=f"{conv}.mask_conv"))
            parts.append(Module(f"{ours}.norm", f"{official}.bn"))
        return parts

    def how_to_use(self, shape: NetworkShape, weights: Path) -> str:
        overrides = f", with MODEL.PCNET_C.WIDTH {shape.width}" if shape.width != 1 else ""
        return (
            f"config: configs/pcnet_c_kins.yaml or configs/pcnet_c_cocoa.yaml{overrides}\n"
            "next: deocclusion-d2 deocclude --image PHOTO --masks JSON --output FOLDER "
            f"--content-config configs/pcnet_c_kins.yaml --content-weights {weights}; or "
            f"fine-tune it: deocclusion-d2 train --config-file configs/pcnet_c_kins.yaml "
            f"MODEL.WEIGHTS {weights}"
        )

    def after_import(self, state: State) -> State:
        """With gains, and with the mask's channel."""
        state = state | {name: torch.tensor(1) for name in self._gains()}
        levels = PartialConvUNet.LEVELS
        blocks = ("encoder.0", f"decoder.{levels - 1}")
        first, last = (f"{self.our_prefix}{block}.conv.weight" for block in blocks)
        if state[first].shape[1] == 3:
            for name in (first, last):
                state[name] = _with_a_channel(state[name])
        return state

    def before_export(self, model_state: Mapping[str, Any]) -> State:
        """Without the discriminator; weights are multiplied by their gains."""
        state = {n: v for n, v in model_state.items() if not n.startswith("discriminator.")}
        for name in self._gains():
            weight = name.removesuffix("gain") + "weight"
            gain = state.pop(name, None)
            if isinstance(gain, torch.Tensor) and isinstance(state.get(weight), torch.Tensor):
                state[weight] = state[weight] * gain.to(state[weight].dtype)
        return state

    def refusal(self, state: Mapping[str, Any]) -> str:
        if _DISCRIMINATOR.isdisjoint(state):
            return ""
        return (
            "this is the discriminator of PCNet-C, which only training uses: name the file of the "
            "network itself"
        )

    def _gains(self) -> list[str]:
        """Names of the gains in our model's state; only partial convolutions have one."""
        return [f"{self.our_prefix}{m.ours}.gain" for m in self.modules() if m.ones]


def _with_a_channel(weight: torch.Tensor) -> torch.Tensor:
    """(C_out, C, K, K) -> (C_out, C + 1, K, K); the new channel changes nothing."""
    # Its values count in the sum that the layer divides by.
    weight = weight * ((weight.shape[1] + 1) / weight.shape[1])
    return torch.cat([weight, torch.zeros_like(weight[:, :1])], dim=1)
