"""OrderNet's config keys. Its backbone is Detectron2's: MODEL.BACKBONE and MODEL.RESNETS."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_config(cfg: CN) -> None:
    """Add OrderNet's keys, in place."""
    cfg.MODEL.ORDER_NET = CN()
    # Look at the image beside the two masks: OrderNet^{M+I} instead of OrderNet^M.
    cfg.MODEL.ORDER_NET.USE_RGB = False
