"""Networks, losses and meta-architectures."""

from .meta_arch import AmodalUNet, ModalUNet, OrderNet, PCNetC, PCNetM
from .partial_conv_unet import PartialConvUNet
from .unet import UNet

__all__ = ["AmodalUNet", "ModalUNet", "OrderNet", "PCNetC", "PCNetM", "PartialConvUNet", "UNet"]
