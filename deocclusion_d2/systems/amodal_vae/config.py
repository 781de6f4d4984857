"""Amodal-VAE's config keys."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_config(cfg: CN) -> None:
    """Add Amodal-VAE's keys, in place."""
    cfg.MODEL.AMODAL_VAE = CN()
    # What is learnt: "full", "partial" or "joint", in this order, each from the weights of the one
    # before (MODEL.WEIGHTS).
    cfg.MODEL.AMODAL_VAE.STAGE = "full"
    # Side in pixels of the masks that go in and come out, a multiple of 4.
    cfg.MODEL.AMODAL_VAE.SIZE = 28
    # Numbers of the code.
    cfg.MODEL.AMODAL_VAE.LATENT = 64
    # Widening factor of all layers.
    cfg.MODEL.AMODAL_VAE.WIDTH = 1.0
    # Weight of the KL term of the first stage at iteration t:
    # FINAL - (FINAL - START) * ALPHA ** max(0, t - BEGIN). A last stage has FINAL.
    cfg.MODEL.AMODAL_VAE.KL_START = 0.01
    cfg.MODEL.AMODAL_VAE.KL_FINAL = 0.5
    cfg.MODEL.AMODAL_VAE.KL_ALPHA = 0.9995
    cfg.MODEL.AMODAL_VAE.KL_BEGIN = 2000
    # What the code of a partial mask is drawn to in the second stage: "full", that of the whole
    # mask, KL(q(z|whole) || q(z|part)), which covers all shapes that fit; "reverse", the same the
    # other way; "prior", a standard normal distribution. And the weight of that.
    cfg.MODEL.AMODAL_VAE.PARTIAL_KL = "full"
    cfg.MODEL.AMODAL_VAE.PARTIAL_KL_WEIGHT = 1.0
    # Weight of the box in the last stage.
    cfg.MODEL.AMODAL_VAE.BOX_WEIGHT = 1.0
    # Sides of the frame in which the last stage compares masks, as multiples of the modal box.
    cfg.MODEL.AMODAL_VAE.FRAME = 3.0
    # Share of training samples of which nothing is hidden.
    cfg.MODEL.AMODAL_VAE.UNHIDDEN_SHARE = 0.2
