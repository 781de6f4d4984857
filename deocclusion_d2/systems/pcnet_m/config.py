"""PCNet-M's config keys."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_config(cfg: CN) -> None:
    """Add PCNet-M's keys, in place."""
    cfg.MODEL.PCNET_M = CN()
    # Widening factor w of the U-Net (supplement A: 2).
    cfg.MODEL.PCNET_M.WIDTH = 2.0
    # Feed the image, erased under the eraser, beside the masks (the paper's runs do not).
    cfg.MODEL.PCNET_M.USE_RGB = False
    # Multiply the target mask by its category id (Fig. 3). Off for data sets without categories.
    cfg.MODEL.PCNET_M.USE_CATEGORY = True
    # Loss weight of the pixels under the eraser (released runs).
    cfg.MODEL.PCNET_M.LOSS_WEIGHT_IN_ERASER = 5.0

    # True: only instances that touch no other are completed in training (all serve as erasers).
    # Masks that others cut teach the network to stop where they were cut.
    cfg.INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS = False

    # Foreground probability above which a pixel counts as completed, in ordering and completion.
    cfg.DEOCCLUSION.ORDER_THRESHOLD = 0.1
    cfg.DEOCCLUSION.AMODAL_THRESHOLD = 0.2
    # Geometry that decides the order together with dual completion. "auto": fitted without labels
    # to the masks that are ordered (an input, a folder, a test set), if it helps there; what has
    # too few pairs takes ordering_prior.json beside MODEL.WEIGHTS, if there is one, with care.
    # "weights": that file as it is. Or a JSON of tools/fit_ordering_prior.py. Training with "auto"
    # or "weights" writes that file. "": dual completion alone, as in the paper.
    cfg.DEOCCLUSION.ORDERING_PRIOR = ""
    # Two neighbours are reported to hide each other (supplement B.2) where both completions of dual
    # completion gain more than this share of the smaller modal area, and the two gains a and b are
    # alike: |a - b| / (a + b) is at most MUTUAL_DIFFERENCE. Neither changes an edge or a mask.
    cfg.DEOCCLUSION.MUTUAL_SHARE = 0.1
    cfg.DEOCCLUSION.MUTUAL_DIFFERENCE = 0.2
    # How often an object whose completion has left the middle of its view is completed again, in
    # the square of the completion. 0: as in the paper.
    cfg.DEOCCLUSION.RECENTRE = 0
