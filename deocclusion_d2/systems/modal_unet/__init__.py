"""ModalUNet: modal masks from image and box.

They are the input of Table 3 of "Self-Supervised Scene De-occlusion" (Zhan et al., CVPR 2020).

A U-Net predicts the visible mask of the instance whose box it is given (Sec. 4.1), so that every
prediction belongs to one true mask. What it predicts is completed in place of true modal masks.
"""

from ..base import Network, System, Training, lazily

_ = lazily(__name__)

SYSTEM = System(
    name="modal_unet",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="ModalUNet",
        model=_("network.ModalUNet"),
        labels="modal",
        train_loader=_("mapper.build_train_loader"),
        evaluators=_("evaluator.build_evaluator"),
        predictor=_("segmenter.ModalSegmenter.from_config"),
        needs_images=lambda cfg: True,
        masks=_("segmenter.write_predictions"),
    ),
    trainings=(
        Training("modal_unet", config="modal_unet_{family}", labels="modal", evaluated=True),
    ),
    since="0.1",
    exports={
        "ModalPrediction": _("segmenter.ModalPrediction"),
        "ModalSegmentationEvaluator": _("evaluator.ModalSegmentationEvaluator"),
        "ModalSegmenter": _("segmenter.ModalSegmenter"),
        "ModalUNet": _("network.ModalUNet"),
        "ModalUNetMapper": _("mapper.ModalUNetMapper"),
        "build_modal_unet_train_loader": _("mapper.build_train_loader"),
        "write_predictions": _("segmenter.write_predictions"),
    },
)
