"""PCNet-C's config keys."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_config(cfg: CN) -> None:
    """Add PCNet-C's keys, in place."""
    cfg.MODEL.PCNET_C = CN()
    # Multiplies the channels of the partial-convolution U-Net and of the discriminator.
    cfg.MODEL.PCNET_C.WIDTH = 1.0
    # Multiply the modal mask by its category id. Off for data sets without categories.
    cfg.MODEL.PCNET_C.USE_CATEGORY = True
    # The network adds to a smooth fill of the hole, made without parameters, instead of making
    # colours from nothing. Not in the paper; trainings from scratch get far in little time by it.
    cfg.MODEL.PCNET_C.PREFILL = False
    # Weights of the losses (Liu et al., and the released runs); 0 leaves a loss out. L1 outside and
    # inside the hole, total variation, VGG-16's features and their Gram matrices, discriminator.
    cfg.MODEL.PCNET_C.VALID_WEIGHT = 1.0
    cfg.MODEL.PCNET_C.HOLE_WEIGHT = 6.0
    cfg.MODEL.PCNET_C.TV_WEIGHT = 0.1
    cfg.MODEL.PCNET_C.PERCEPTUAL_WEIGHT = 0.1
    cfg.MODEL.PCNET_C.STYLE_WEIGHT = 250.0
    cfg.MODEL.PCNET_C.ADVERSARIAL_WEIGHT = 0.1
    # A state dict of torchvision's VGG-16. Empty: torchvision downloads it.
    cfg.MODEL.PCNET_C.VGG_WEIGHTS = ""
    # The discriminator's learning rate as a share of SOLVER.BASE_LR, and its betas.
    cfg.MODEL.PCNET_C.DISCRIMINATOR_LR_FACTOR = 0.1
    cfg.MODEL.PCNET_C.DISCRIMINATOR_BETAS = (0.0, 0.9)

    # Share of samples in which the background is completed instead of an object. The released runs
    # have none; decompositions fill the background too.
    cfg.INPUT.PARTIAL_COMPLETION.BACKGROUND_SHARE = 0.0
