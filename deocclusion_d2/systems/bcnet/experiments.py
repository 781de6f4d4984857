"""The rows of BCNet among detectors, and its paper's figure."""

from __future__ import annotations

from ..base import Training

_CONFIG = "bcnet_{depth}_FPN_{family}"

TRAININGS = (
    Training("bcnet", config=_CONFIG, labels="amodal", evaluated=True, detector="BCNet"),
    Training(
        "bcnet_in_front",
        config=_CONFIG,
        labels="amodal",
        like="bcnet",
        evaluated=True,
        detector="BCNet (in front)",
        opts={"MODEL.BCNET.OCCLUDERS": "in_front"},
    ),
    # What the second layer is worth by itself, with as many parameters.
    Training(
        "bcnet_alone",
        config=_CONFIG,
        labels="amodal",
        like="bcnet",
        evaluated=True,
        detector="BCNet (no occluders)",
        opts={
            "MODEL.BCNET.WEIGHT_OCCLUDER": "0.0",
            "MODEL.BCNET.WEIGHT_OCCLUDER_BOUNDARY": "0.0",
        },
    ),
)

# ResNet-101.
PUBLISHED = {"detection": {"KINS": {"BCNet": 28.87}}}
REMARKS = {
    "detection": {
        "KINS": "BCNet's published figure is that of ResNet-101; its paper's Mask R-CNN with the "
        "amodal head of KINS has 25.62"
    }
}
