"""Meta-architectures, one file each. Importing this registers them with Detectron2."""

from .amodal_unet import AmodalUNet
from .modal_unet import ModalUNet
from .order_net import OrderNet
from .pcnet_c import PCNetC
from .pcnet_m import PCNetM

__all__ = ["AmodalUNet", "ModalUNet", "OrderNet", "PCNetC", "PCNetM"]
