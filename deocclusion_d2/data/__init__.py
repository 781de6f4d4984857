"""From annotation files to training samples and scenes."""

from .loaders import build_scene_test_loader
from .train_loaders import (
    build_amodal_unet_train_loader,
    build_modal_unet_train_loader,
    build_order_net_train_loader,
    build_pcnet_c_train_loader,
    build_pcnet_m_train_loader,
)

__all__ = [
    "build_amodal_unet_train_loader",
    "build_modal_unet_train_loader",
    "build_order_net_train_loader",
    "build_pcnet_c_train_loader",
    "build_pcnet_m_train_loader",
    "build_scene_test_loader",
]
