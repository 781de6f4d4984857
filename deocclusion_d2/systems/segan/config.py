"""SeGAN's config keys. The backbone is Detectron2's: MODEL.BACKBONE and MODEL.RESNETS."""

from __future__ import annotations

from detectron2.config import CfgNode as CN

from ...errors import UserError

STAGES = ("segment", "paint", "end_to_end")
CONTEXTS = ("image", "crop")
# The discriminator needs so many pixels across, the first layers of a ResNet so many.
_LEAST_PAINTED, _LEAST_SEEN = 24, 32


def add_config(cfg: CN) -> None:
    """Add SeGAN's keys, in place."""
    cfg.MODEL.SEGAN = CN()
    # What learns: "segment" (the segmentor), "paint" (painter and discriminator), "end_to_end".
    cfg.MODEL.SEGAN.STAGE = "segment"

    # ---- segmentor --------------------------------------------------------------------------
    # What it sees: "image", all of it, as in the paper; or "crop", the square around the box of
    # the object that INPUT.INSTANCE_CROP says.
    cfg.MODEL.SEGAN.CONTEXT = "image"
    # Side of that in pixels, whatever the shape of the image (Sec. 5.1).
    cfg.MODEL.SEGAN.INPUT_SIZE = 500
    # How far the box around the visible part is expanded on each side, as a share of its sides:
    # uniform in this range in training, TEST_EXPAND in use.
    cfg.MODEL.SEGAN.EXPAND = (0.1, 0.3)
    cfg.MODEL.SEGAN.TEST_EXPAND = 0.2
    # A state dict of torchvision's resnet18 for the backbone, in the first stage; "" for none.
    cfg.MODEL.SEGAN.BACKBONE_WEIGHTS = ""
    # Average pooling (stride 1) of the backbone's features, as the authors' code keeps ResNet's; 0
    # for none.
    cfg.MODEL.SEGAN.AVERAGE_POOL = 7
    # Sides of the pooled box and of the mask.
    cfg.MODEL.SEGAN.ROI_SIZE = 6
    cfg.MODEL.SEGAN.MASK_SIZE = 58
    # Weights of the three regions (eq. 3): background, visible, invisible.
    cfg.MODEL.SEGAN.LAMBDA_BACKGROUND = 1.0
    cfg.MODEL.SEGAN.LAMBDA_VISIBLE = 5.0
    cfg.MODEL.SEGAN.LAMBDA_INVISIBLE = 3.0
    # A region of fewer pixels counts as if it had so many: one pixel is no third of a sample.
    cfg.MODEL.SEGAN.LEAST_REGION = 10
    # Probability above which a pixel belongs to the whole object: for the painter, and in use.
    cfg.MODEL.SEGAN.THRESHOLD = 0.5

    # ---- painter ----------------------------------------------------------------------------
    # Side of the painted box in pixels, and how often the U-Net halves it.
    cfg.MODEL.SEGAN.PAINT_SIZE = 256
    cfg.MODEL.SEGAN.PAINTER_DEPTH = 8
    # Channels of its first convolution; others have up to eight times as many.
    cfg.MODEL.SEGAN.PAINTER_CHANNELS = 64
    # Multiplies the discriminator's channels.
    cfg.MODEL.SEGAN.DISCRIMINATOR_WIDTH = 1.0
    # Weights: of L1 beside the adversarial loss (eq. 5), and of both beside the segmentor's, end to
    # end (eq. 6).
    cfg.MODEL.SEGAN.L1_WEIGHT = 100.0
    cfg.MODEL.SEGAN.ADVERSARIAL_WEIGHT = 1.0
    cfg.MODEL.SEGAN.PAINTING_WEIGHT = 0.1
    # Whether the painter's input is coloured by the cut mask, with gradients as if it were not (the
    # authors' code cuts too, and passes on a tenth of red's gradient); else by the probabilities.
    cfg.MODEL.SEGAN.HARD = False

    # q hides p where its visible part and p's segmented invisible one share more than 5 %: of both
    # together ("iou", as in the paper), or of the invisible one ("share"). Large objects that hide
    # little of others do not reach the former, even with true masks.
    cfg.DEOCCLUSION.LAYERS_BY = "iou"


def check_config(cfg: CN) -> None:
    """Refuse values that no network can be built of.

    Raises:
        UserError: naming the key.
    """
    options = cfg.MODEL.SEGAN
    _require("STAGE", options.STAGE, options.STAGE in STAGES, f"one of {', '.join(STAGES)}")
    _require("CONTEXT", options.CONTEXT, options.CONTEXT in CONTEXTS, " or ".join(CONTEXTS))
    threshold = options.THRESHOLD
    _require("THRESHOLD", threshold, 0 < threshold < 1, "a number between 0 and 1")
    expand = tuple(options.EXPAND)
    fits = len(expand) == 2 and 0 <= expand[0] <= expand[1]
    _require("EXPAND", expand, fits, "two numbers from 0 on, the smaller first")
    for key, least in (
        ("INPUT_SIZE", _LEAST_SEEN),
        ("ROI_SIZE", 1),
        ("MASK_SIZE", 1),
        ("LEAST_REGION", 1),
        ("AVERAGE_POOL", 0),
        ("PAINTER_DEPTH", 3),
        ("PAINTER_CHANNELS", 1),
        ("PAINT_SIZE", _LEAST_PAINTED),
        ("TEST_EXPAND", 0),
        ("LAMBDA_BACKGROUND", 0),
        ("LAMBDA_VISIBLE", 0),
        ("LAMBDA_INVISIBLE", 0),
        ("L1_WEIGHT", 0),
        ("ADVERSARIAL_WEIGHT", 0),
        ("PAINTING_WEIGHT", 0),
    ):
        _require(key, options[key], options[key] >= least, f"{least} or more")
    width = options.DISCRIMINATOR_WIDTH
    # Its first layer has 64 channels.
    _require("DISCRIMINATOR_WIDTH", width, width * 64 >= 1, "1/64 or more")
    side, depth = options.PAINT_SIZE, options.PAINTER_DEPTH
    _require(
        "PAINT_SIZE",
        side,
        side % 2**depth == 0,
        f"a multiple of {2**depth}, for MODEL.SEGAN.PAINTER_DEPTH = {depth} halves it as often",
    )


def _require(key: str, value: object, fits: bool, wanted: str) -> None:
    if not fits:
        raise UserError(f"MODEL.SEGAN.{key} = {value!r}: use {wanted}")
