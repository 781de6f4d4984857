"""ModalUNet's config keys."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_config(cfg: CN) -> None:
    """Add ModalUNet's keys, in place."""
    cfg.MODEL.MODAL_UNET = CN()
    # Widening factor of the U-Net.
    cfg.MODEL.MODAL_UNET.WIDTH = 2.0
