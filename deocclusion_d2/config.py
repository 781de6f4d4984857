"""Every configuration key that this package adds to Detectron2's, with its default."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import torch
import yaml
from detectron2.config import CfgNode as CN
from detectron2.config import get_cfg

from .errors import UserError
from .structures import DEFAULT_MIN_SCORE


def add_deocclusion_config(cfg: CN) -> None:
    """Add the package's keys to a Detectron2 config, in place.

    Networks register with Detectron2, and the built-in data sets in its catalogs, here too.
    """
    from . import modeling  # noqa: F401  (importing it registers the networks)
    from .data.datasets import register_builtin_datasets

    register_builtin_datasets()
    # ---- data -------------------------------------------------------------------------------
    # What the training loader maps: "detectron2" (images, Detectron2's own mapper), "pcnet_m"
    # and "pcnet_c" (self-supervised samples over instances), or the samples of a supervised
    # network: "amodal_unet", "order_net", "modal_unet".
    cfg.INPUT.DATASET_MAPPER_NAME = "detectron2"

    # The self-supervised sampler (Fig. 3a; numbers of the released runs). The geometry of a patch
    # (PATCH_SIZE to FLIP_PROB, and MIN_SQUARE) is that of the supervised networks too.
    cfg.INPUT.PARTIAL_COMPLETION = CN()
    # Side of a patch in pixels, a multiple of 16 (supplement A: 256). Inference uses it too.
    cfg.INPUT.PARTIAL_COMPLETION.PATCH_SIZE = 256
    # Area of the square patch over the area of the modal box. Inference uses it too.
    cfg.INPUT.PARTIAL_COMPLETION.ENLARGE_BOX = 3.0
    # Shift of the target's crop in x and y, as a share of the square's side: uniform in +-SHIFT.
    cfg.INPUT.PARTIAL_COMPLETION.SHIFT = 0.2
    # Scale of either instance in its patch: uniform in this range.
    cfg.INPUT.PARTIAL_COMPLETION.SCALE = (0.8, 1.2)
    cfg.INPUT.PARTIAL_COMPLETION.FLIP_PROB = 0.5
    # gamma of eq. 1: the probability of case 1 (the eraser covers part of the target).
    cfg.INPUT.PARTIAL_COMPLETION.GAMMA = 0.8
    # Overlap of the two patches, as a share of a patch.
    cfg.INPUT.PARTIAL_COMPLETION.OVERLAP = (0.4, 1.0)
    # Share of the target that the eraser covers: placements outside [min, max) are drawn again.
    cfg.INPUT.PARTIAL_COMPLETION.ERASED_SHARE = (0.001, 0.9)
    cfg.INPUT.PARTIAL_COMPLETION.MAX_PLACEMENTS = 100
    # False: each mask is resized to the patch by itself, as in the released runs. A small instance
    # is then drawn in coarser steps than its eraser, and their common border shows which of the two
    # was cut: a hint that real neighbours, which share their image's pixels, do not give. True: the
    # eraser is put on the pixels of the target's image first, and both are resized together.
    cfg.INPUT.PARTIAL_COMPLETION.COMMON_GRID = False
    # True: only instances that touch no other are completed in training (all serve as erasers).
    # Masks that others cut teach the network to stop where they were cut.
    cfg.INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS = False
    # Instances whose square is smaller than this, in pixels, are not used.
    cfg.INPUT.PARTIAL_COMPLETION.MIN_SQUARE = 5.0

    # PCNet-C's samples: share of those in which the background is completed instead of an object.
    # The released runs have none; decompositions fill the background too.
    cfg.INPUT.PARTIAL_COMPLETION.BACKGROUND_SHARE = 0.0

    # ---- PCNet-M ----------------------------------------------------------------------------
    cfg.MODEL.PCNET_M = CN()
    # Widening factor w of the U-Net (supplement A: 2).
    cfg.MODEL.PCNET_M.WIDTH = 2.0
    # Feed the image, erased under the eraser, beside the masks (the paper's runs do not).
    cfg.MODEL.PCNET_M.USE_RGB = False
    # Multiply the target mask by its category id (Fig. 3). Off for data sets without categories.
    cfg.MODEL.PCNET_M.USE_CATEGORY = True
    # Loss weight of the pixels under the eraser (released runs).
    cfg.MODEL.PCNET_M.LOSS_WEIGHT_IN_ERASER = 5.0
    # ImageNet statistics of RGB values in [0, 1], of every network of this package.
    cfg.MODEL.PCNET_M.PIXEL_MEAN = (0.485, 0.456, 0.406)
    cfg.MODEL.PCNET_M.PIXEL_STD = (0.229, 0.224, 0.225)

    # ---- PCNet-C ----------------------------------------------------------------------------
    cfg.MODEL.PCNET_C = CN()
    # Multiplies the channels of the partial-convolution U-Net and of the discriminator.
    cfg.MODEL.PCNET_C.WIDTH = 1.0
    # As for PCNet-M.
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

    # ---- supervised networks that the paper compares with ---------------------------------------
    cfg.MODEL.AMODAL_UNET = CN()
    # As for PCNet-M.
    cfg.MODEL.AMODAL_UNET.WIDTH = 2.0
    cfg.MODEL.AMODAL_UNET.USE_CATEGORY = True

    # OrderNet's backbone is Detectron2's: MODEL.BACKBONE and MODEL.RESNETS.
    cfg.MODEL.ORDER_NET = CN()
    # Look at the image beside the two masks: OrderNet^{M+I} instead of OrderNet^M.
    cfg.MODEL.ORDER_NET.USE_RGB = False

    # Modal segmentation from image and box.
    cfg.MODEL.MODAL_UNET = CN()
    cfg.MODEL.MODAL_UNET.WIDTH = 2.0

    # ---- inference --------------------------------------------------------------------------
    cfg.DEOCCLUSION = CN()
    # "dual_completion" (eq. 3, PCNet-M), "order_net" (supervised, OrderNet), or a baseline: "area",
    # "y_axis", "convex".
    cfg.DEOCCLUSION.ORDERING = "dual_completion"
    # "og" (eq. 4), "nog" (both PCNet-M), "supervised" (AmodalUNet), or a baseline: "raw",
    # "convex", "convex_r".
    cfg.DEOCCLUSION.COMPLETION = "og"
    # Foreground probability above which a pixel counts as completed by PCNet-M, in ordering and
    # completion. (The supervised networks decide at 0.5.)
    cfg.DEOCCLUSION.ORDER_THRESHOLD = 0.1
    cfg.DEOCCLUSION.AMODAL_THRESHOLD = 0.2
    # Side in pixels of the kernel that grows erasers and the neighbour test, to close the gaps
    # between predicted masks: 0 (none), 3, 5 or 7.
    cfg.DEOCCLUSION.DILATION = 0
    # Predicted masks (those that have scores) below this score are left out; of the others, the
    # one with the higher score gets the pixels on which two overlap.
    cfg.DEOCCLUSION.MIN_SCORE = DEFAULT_MIN_SCORE
    # JSON of tools/fit_ordering_prior.py: geometry that decides the order together with dual
    # completion. "auto": ordering_prior.json beside MODEL.WEIGHTS, which training then writes.
    # "": dual completion alone, as in the paper.
    cfg.DEOCCLUSION.ORDERING_PRIOR = ""
    # Two neighbours are reported to hide each other (supplement B.2) where both completions of dual
    # completion gain more than this share of the smaller modal area, and the two gains a and b are
    # alike: |a - b| / (a + b) is at most MUTUAL_DIFFERENCE. Neither changes an edge or a mask.
    cfg.DEOCCLUSION.MUTUAL_SHARE = 0.1
    cfg.DEOCCLUSION.MUTUAL_DIFFERENCE = 0.2
    # Keep visible pixels, and add pixels only under the eraser, where the method has one. False:
    # the raw paste.
    cfg.DEOCCLUSION.CONSTRAIN = True
    # How often an object whose completion has left the middle of its view is completed again, in
    # the square of the completion. 0: as in the paper.
    cfg.DEOCCLUSION.RECENTRE = 0
    # Side in pixels of the kernel by which a decomposition lets objects take over pixels of no
    # object around their visible ones, odd, or 0. Colours bleed over the border of a mask, and what
    # is left of them in the background shows as an outline when the object is moved away.
    cfg.DEOCCLUSION.CONTENT_DILATION = 3
    # PCNet-C's square around a hole of the background grows until this share of its pixels in the
    # image is visible background, or the whole image is inside.
    cfg.DEOCCLUSION.CONTENT_CONTEXT = 0.3
    # Keep how probable each pixel of a hidden region is, beside the completed masks.
    cfg.DEOCCLUSION.KEEP_PROBABILITY = False
    # Which instance the "area" ordering puts in front: True for KINS, False for COCOA.
    cfg.DEOCCLUSION.LARGER_IN_FRONT = True
    # Exactly the released protocol: float32, unfused, raw paste, no dilation.
    cfg.DEOCCLUSION.PAPER_PROTOCOL = False
    # "auto": bfloat16 where the hardware has it, else float32. Or name one of the two.
    cfg.DEOCCLUSION.PRECISION = "auto"
    # Patches per forward on a GPU. On a CPU, as many as fit its cache, 16 at most.
    cfg.DEOCCLUSION.PATCHES_PER_BATCH = 64

    # ---- running ----------------------------------------------------------------------------
    # Train under bfloat16 autocast, channels last, when MODEL.DEVICE is "cpu" and the processor has
    # the instructions (SOLVER.AMP is for GPUs). Works for every meta-architecture.
    cfg.SOLVER.CPU_BFLOAT16 = True
    # "SGD" (Detectron2's) or "Adam", with these betas.
    cfg.SOLVER.OPTIMIZER = "SGD"
    cfg.SOLVER.BETAS = (0.9, 0.999)
    # Scenes per step of evaluation.
    cfg.TEST.IMS_PER_BATCH = 16


def needs_images(cfg: CN) -> bool:
    """Whether the network that a config names looks at images, so that they have to be read."""
    looks_at_images = {
        "PCNetM": cfg.MODEL.PCNET_M.USE_RGB,
        "OrderNet": cfg.MODEL.ORDER_NET.USE_RGB,
        "ModalUNet": True,
        "PCNetC": True,
    }
    return looks_at_images.get(cfg.MODEL.META_ARCHITECTURE, False)


def load_config(config_file: str | None, opts: Sequence[str] = ()) -> CN:
    """Read a config file, with Detectron2's and this package's defaults and KEY VALUE overrides.

    Args:
        config_file: path of a YAML file; None for the defaults alone.
        opts: alternating keys and values, as on a command line.

    Raises:
        UserError: the file does not exist, or it or an override names an unknown key or a value of
            a wrong type.
    """
    if config_file is not None and not os.path.isfile(config_file):
        raise UserError(f"config file {config_file!r} does not exist")
    cfg = get_cfg()
    add_deocclusion_config(cfg)
    try:
        if config_file is not None:
            cfg.merge_from_file(config_file)
    except (KeyError, ValueError, AssertionError, yaml.YAMLError) as error:
        raise UserError(f"config file {config_file!r}: {_first_line(error)}") from error
    try:
        cfg.merge_from_list(_numbers_as_floats(cfg, opts))
    except (KeyError, ValueError, AssertionError) as error:
        raise UserError(f"overrides {' '.join(opts)!r}: {_first_line(error)}") from error
    use_available_device(cfg)
    return cfg


def _numbers_as_floats(cfg: CN, opts: Sequence[str]) -> list[str]:
    """Write "1.0" for "1" where a key holds a float: yacs takes nothing else."""
    typed = list(opts)
    for k in range(0, len(typed) - 1, 2):
        node = cfg
        for part in str(typed[k]).split("."):
            node = node.get(part) if isinstance(node, CN) else None
        if isinstance(node, float):
            with contextlib.suppress(ValueError):
                typed[k + 1] = str(float(typed[k + 1]))
    return typed


def _first_line(error: Exception) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.strip().splitlines()[0]


def use_available_device(cfg: CN) -> None:
    """On a machine without a GPU, turn a config for GPUs into one for CPUs, in place.

    MODEL.DEVICE becomes "cpu"; SOLVER.AMP, which is for GPUs, is turned off there
    (SOLVER.CPU_BFLOAT16 is its counterpart).
    """
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        cfg.MODEL.DEVICE = "cpu"
    if cfg.MODEL.DEVICE == "cpu":
        cfg.SOLVER.AMP.ENABLED = False
