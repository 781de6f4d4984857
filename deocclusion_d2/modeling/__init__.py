"""Networks, losses and meta-architectures."""

from .meta_arch import PCNetM
from .partial_conv_unet import PartialConvUNet
from .unet import UNet

__all__ = ["PCNetM", "PartialConvUNet", "UNet"]
