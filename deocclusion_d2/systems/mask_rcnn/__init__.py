"""Mask R-CNN, and every other detector of Detectron2: trained on modal, amodal or converted labels.

It is Detectron2's own. "Self-Supervised Scene De-occlusion" trains it on labels from several
sources to show what they are worth (Table 4).
"""

from ..base import Network, System, Training, lazily

_ = lazily(__name__)

SYSTEM = System(
    name="mask_rcnn",
    network=Network(
        meta_architecture="GeneralizedRCNN",
        model=_("detection.GeneralizedRCNN"),
        labels="amodal",
        train_loader=_("detection.build_train_loader"),
        test_loader=_("detection.build_test_loader"),
        evaluators=_("detection.build_evaluator"),
        is_default=True,
        serves_others=True,
    ),
    trainings=(
        Training(
            "mask_rcnn",
            config="amodal_mask_rcnn_{depth}_FPN_{family}",
            labels="amodal",
            evaluated=True,
        ),
    ),
    # The row of true labels; those of the other label sources are their systems'.
    published={"label_conversion": {"KINS": {"GT": 29.3}}},
)
