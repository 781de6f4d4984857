"""Networks, losses and meta-architectures."""

from .meta_arch import AmodalUNet, ModalUNet, OrderNet, PCNetM
from .unet import UNet

__all__ = ["AmodalUNet", "ModalUNet", "OrderNet", "PCNetM", "UNet"]
