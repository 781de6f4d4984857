"""Config keys of BCNet."""

from __future__ import annotations

from detectron2.config import CfgNode


def add_config(cfg: CfgNode) -> None:
    """Add ``MODEL.BCNET``; what both layers share with Mask R-CNN is ``MODEL.ROI_MASK_HEAD``."""
    cfg.MODEL.BCNET = CfgNode()
    # What the first layer learns to be an object's occluders:
    # - neighbours: all other objects of the image whose box overlaps its own, as in the authors'
    #   code; which of the two is in front does not matter;
    # - in_front: those that hide it, by "occluder_ids" (converted labels), annotated depth order
    #   or true amodal masks.
    cfg.MODEL.BCNET.OCCLUDERS = "neighbours"
    # Least IoU of the boxes of neighbours (exclusive).
    cfg.MODEL.BCNET.BOX_IOU = 0.05
    # Occluders of no more pixels than this are none; pixels of the image before it is resized.
    cfg.MODEL.BCNET.MIN_PIXELS = 20
    # Which regions the losses of the first layer are about:
    # - random: those with an occluder and as many others, drawn at random;
    # - code: those with an occluder and as many of the first regions, as in the authors' code;
    # - all: all.
    cfg.MODEL.BCNET.BALANCE = "random"
    # Weights of the losses; that of the object's mask is 1.
    cfg.MODEL.BCNET.WEIGHT_BOUNDARY = 1.0
    cfg.MODEL.BCNET.WEIGHT_OCCLUDER = 0.25
    cfg.MODEL.BCNET.WEIGHT_OCCLUDER_BOUNDARY = 1.0
    # The convolution of each layer that the non-local block stands behind; 0 for none.
    cfg.MODEL.BCNET.ATTENTION_AFTER = 2
    # Whether the normalisation that ends a non-local block starts at zero, so that the block starts
    # as the identity.
    cfg.MODEL.BCNET.ZERO_INIT = False
    # Whether results keep the masks and boundaries of both layers too, at the head's resolution: a
    # decomposition then draws them (regions.png).
    cfg.MODEL.BCNET.KEEP_EXTRAS = False
