"""The baselines' config keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectron2.config import CfgNode


def add_config(cfg: CfgNode) -> None:
    """Add the baselines' keys, in place."""
    # Which instance the "area" ordering puts in front: True for KINS, False for COCOA.
    cfg.DEOCCLUSION.LARGER_IN_FRONT = True
