"""Mask R-CNN, and every other detector of Detectron2: trained on modal, amodal or converted labels.

It is Detectron2's own. "Self-Supervised Scene De-occlusion" trains it on labels from several
sources to show what they are worth (Table 4).
"""

from ..base import Lazy, Network, System, Training, lazily

_data, _evaluation = lazily("deocclusion_d2.data"), lazily("deocclusion_d2.evaluation")

SYSTEM = System(
    name="mask_rcnn",
    network=Network(
        meta_architecture="GeneralizedRCNN",
        model=Lazy("detectron2.modeling", "GeneralizedRCNN"),
        labels="amodal",
        train_loader=_data("detection.build_detector_train_loader"),
        test_loader=_data("detection.build_detector_test_loader"),
        evaluators=_evaluation("detection.build_detector_evaluator"),
        is_default=True,
        serves_others=True,
    ),
    trainings=(
        Training(
            "mask_rcnn",
            config="amodal_mask_rcnn_{depth}_FPN_{family}",
            labels="amodal",
            evaluated=True,
            detector="Mask R-CNN",
        ),
    ),
    # The row of true labels; those of the other label sources are their systems'.
    published={"label_conversion": {"KINS": {"GT": 29.3}}},
)
