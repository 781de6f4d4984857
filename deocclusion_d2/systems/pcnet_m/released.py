"""The released PCNet-M: its tensors have the names of the authors' U-Net."""

from __future__ import annotations

from pathlib import Path

from ...modeling import UNet
from ...modeling.released import Module, NetworkShape, ReleasedLayout


class ReleasedPCNetM(ReleasedLayout):
    """See ``ReleasedLayout``; nothing but names differs from ours."""

    name = "PCNet-M"
    takes_category_ids = True
    example = """\
  a released PCNet-M, then pseudo-amodal labels with it:
    %(prog)s released/KINS_pcnet_m.pth.tar pcnet_m_kins.pth
    deocclusion-d2 convert --config-file configs/pcnet_m_kins.yaml \\
        --weights pcnet_m_kins.pth --input KINS/instances_train.json --output amodal.json
"""
    released = NetworkShape(in_channels=2, width=2.0)
    # The masks, with or without RGB.
    in_channels = (2, 5)
    first = "inc.conv.conv.0.weight"
    # The widest level: where 16 w is not an integer, this one tells w best.
    widest = "down4.mpconv.1.conv.4.weight"
    channels_per_width = 128
    # Levels with fewer than 4 channels are refused, and the first has an eighth of the widest's.
    narrowest = 32

    def build(self, shape: NetworkShape) -> UNet:
        return UNet(shape.in_channels, width=shape.width)

    def modules(self) -> list[Module]:
        stages = [("stem", "inc.conv.conv")]
        stages += [(f"down.{i}", f"down{i + 1}.mpconv.1.conv") for i in range(UNet.LEVELS)]
        stages += [(f"up.{i}", f"up{i + 1}.conv.conv") for i in range(UNet.LEVELS)]
        # Convolution, batch norm, (ReLU,) convolution, batch norm.
        parts = [
            Module(f"{ours}.{k}", f"{official}.{k}")
            for ours, official in stages
            for k in (0, 1, 3, 4)
        ]
        return [*parts, Module("head", "outc.conv")]

    def how_to_use(self, shape: NetworkShape, weights: Path) -> str:
        overrides = f" MODEL.PCNET_M.WIDTH {shape.width}" if shape.width != 2 else ""
        overrides += " MODEL.PCNET_M.USE_RGB True" if shape.in_channels == 5 else ""
        return (
            "config: configs/pcnet_m_kins.yaml for KINS, configs/pcnet_m_cocoa.yaml for COCOA"
            + (f", with{overrides}" if overrides else "")
            + "\nnext: deocclusion-d2 convert --config-file configs/pcnet_m_kins.yaml "
            f"--weights {weights} --input MODAL.json --output AMODAL.json{overrides}"
        )
