"""The ensemble's config keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectron2.config import CfgNode


def add_config(cfg: CfgNode) -> None:
    """Add the ensemble's keys, in place."""
    cfg.DEOCCLUSION.ENSEMBLE = type(cfg)()
    # The completions that the completion "ensemble" is made of: "NAME", or "NAME=SOURCE" where the
    # network is not this config's own, SOURCE being what COMPLETION_CONFIG takes. Of such a member
    # the keys that systems add (AMODAL_THRESHOLD, RECENTRE, ...) are those of its own YAML,
    # whatever this config says: thresholds of several networks differ. All other keys of
    # DEOCCLUSION (CONSTRAIN, GAP, VIEWS, ...) are this config's for all members.
    cfg.DEOCCLUSION.ENSEMBLE.MEMBERS = ("og", "amodal_vae_og")
    # Who counts at a pixel of those that speak there: "mean", all of them, by the mean of their
    # probabilities over the mean of their thresholds; or "first", the first one in MEMBERS. A
    # completion that is grounded on the order speaks at what the order puts in front of an object.
    cfg.DEOCCLUSION.ENSEMBLE.RULE = "mean"
