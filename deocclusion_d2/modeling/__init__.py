"""Networks, losses and meta-architectures."""

from .meta_arch import PCNetM
from .unet import UNet

__all__ = ["PCNetM", "UNet"]
