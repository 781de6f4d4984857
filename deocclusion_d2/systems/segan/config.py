"""SeGAN's config keys. The backbone is Detectron2's: MODEL.BACKBONE and MODEL.RESNETS."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


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
    # Whether the painter's input is coloured by the cut mask, with gradients as if it were not, as
    # in the authors' code; else by the probabilities.
    cfg.MODEL.SEGAN.HARD = False

    # q hides p where its visible part and p's segmented invisible one share more than 5 %: of both
    # together ("iou", as in the paper), or of the invisible one ("share"). Large objects that hide
    # little of others do not reach the former, even with true masks.
    cfg.DEOCCLUSION.LAYERS_BY = "iou"
