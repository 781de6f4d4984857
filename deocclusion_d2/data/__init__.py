"""From annotation files to training samples and scenes."""

from .loaders import build_pcnet_m_train_loader, build_scene_test_loader

__all__ = ["build_pcnet_m_train_loader", "build_scene_test_loader"]
