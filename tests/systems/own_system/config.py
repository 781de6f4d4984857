"""Its config keys."""


def add_config(cfg) -> None:
    """Add them, in place."""
    cfg.MODEL.OWN = type(cfg)()
    # Side in pixels of the convolution's kernel, odd.
    cfg.MODEL.OWN.KERNEL = 5
    # Probability above which a pixel belongs to an amodal mask.
    cfg.DEOCCLUSION.OWN_THRESHOLD = 0.5
