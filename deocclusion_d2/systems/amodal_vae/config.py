"""Amodal-VAE's config keys."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_config(cfg: CN) -> None:
    """Add Amodal-VAE's keys, in place."""
    # Completions that are drawn for every object, beside the most probable one; their draws follow
    # from SAMPLES_SEED, and the first ones are the same whatever their number.
    cfg.DEOCCLUSION.SAMPLES = 0
    cfg.DEOCCLUSION.SAMPLES_SEED = 0
    # What is added to a visible part is at least so thick, in pixels of the network's masks: a mask
    # of 28 pixels says where an outline lies to a pixel or two of its own, so that thin seams along
    # visible parts are its error. 0: all of it, as in the paper. Not for amodal_vae_og, where the
    # order says where objects may grow.
    cfg.DEOCCLUSION.LEAST_THICKNESS = 0.0
    # Where the boxes of whole objects come from: "predicted" by the network, or "given": those of
    # Scene.amodal_boxes (annotations' "amodal_bbox" [x, y, w, h]), where an object has one.
    cfg.DEOCCLUSION.BOXES = "predicted"
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
    # What that code is drawn to in the last stage: "full", as above, or "prior" (with the weight
    # KL_FINAL), which leaves posteriors no wider where more is hidden. Masks that are really hidden
    # have "prior" always.
    cfg.MODEL.AMODAL_VAE.JOINT_KL = "full"
    # Whether the network is told the proportions of the boxes that masks are cropped to.
    cfg.MODEL.AMODAL_VAE.USE_ASPECT = False
    # Weight of the box in the last stage; its loss is about 1 where boxes are not moved at all.
    cfg.MODEL.AMODAL_VAE.BOX_WEIGHT = 20.0
    # Sides of the frame in which the last stage compares masks, as multiples of the modal box.
    cfg.MODEL.AMODAL_VAE.FRAME = 3.0
    # Share of training samples of which nothing is hidden.
    cfg.MODEL.AMODAL_VAE.UNHIDDEN_SHARE = 0.2
    # What may hide a training object. True: what DEOCCLUSION.ORDERING (and ORDERING_CONFIG) puts in
    # front of it. False: any object that touches it. Those that nothing hides are the whole shapes
    # that are learnt.
    cfg.MODEL.AMODAL_VAE.ORDERED = False
    # Share of samples of the last stage that show one of the others, as it is. Its visible pixels
    # are known to be its own, those of what may hide it are unknown, all others are not its own.
    cfg.MODEL.AMODAL_VAE.HIDDEN_SHARE = 0.0
