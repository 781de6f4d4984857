"""BCNet: an object and what hides it, segmented as two overlapping layers.

Ke, Tai, Tang: "Deep Occlusion-Aware Instance Segmentation with Overlapping BiLayers", CVPR 2021. It
is Mask R-CNN with another mask head: the first of its two layers finds what hides the object of a
region, the second one the object itself, told what the first has found. It learns from whatever
masks a data set has, modal or amodal; what hides an object is made of them.

Where this differs from the authors' code: the detector is Faster R-CNN (theirs is FCOS, or Faster
R-CNN); occluders are masks, not thinned polygons; boxes of neighbours are compared without adding a
pixel; the regions without an occluder that the first layer's losses are about are drawn at random
(``MODEL.BCNET.BALANCE``), as the paper says. ``MODEL.BCNET.OCCLUDERS in_front`` is ours.
"""

from ..base import Network, Step, System, lazily
from .experiments import PUBLISHED, REMARKS, TRAININGS

_ = lazily(__name__)
_data, _evaluation = lazily("deocclusion_d2.data"), lazily("deocclusion_d2.evaluation")

SYSTEM = System(
    name="bcnet",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="GeneralizedRCNN",
        model=_("mask_head.BCNetMaskHead"),
        labels="amodal",
        train_loader=_("mapper.build_train_loader"),
        test_loader=_data("detection.build_detector_test_loader"),
        evaluators=_evaluation("detection.build_detector_evaluator"),
        runner=_("steps.RegionRunner.from_config"),
        regions=_("pictures.draw_regions"),
        own_ordering=_("steps.own_ordering"),
        needs_images=_("steps.needs_images"),
    ),
    orderings={
        "bcnet_layers": Step(
            _("steps.build_ordering"),
            keys=("GAP",),
            text="by what BCNet's first layer takes for an object's occluders",
        )
    },
    trainings=TRAININGS,
    published=PUBLISHED,
    remarks=REMARKS,
)
