"""AmodalUNet's config keys."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_config(cfg: CN) -> None:
    """Add AmodalUNet's keys, in place."""
    cfg.MODEL.AMODAL_UNET = CN()
    # Widening factor of the U-Net (supplement A: 2).
    cfg.MODEL.AMODAL_UNET.WIDTH = 2.0
    # Multiply the mask by its category id. Off for data sets without categories.
    cfg.MODEL.AMODAL_UNET.USE_CATEGORY = True
