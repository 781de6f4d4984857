"""AmodalUNet: the supervised completion that "Self-Supervised Scene De-occlusion" compares with.

PCNet-M's U-Net learns the amodal mask from the modal mask, on true amodal masks (Sec. 4.1; Table 2,
row "Supervised"). It needs no order; by default the result keeps the visible pixels.
"""

from ..base import Network, Row, Step, System, Training, lazily

_ = lazily(__name__)

SYSTEM = System(
    name="amodal_unet",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="AmodalUNet",
        model=_("network.AmodalUNet"),
        labels="amodal",
        train_loader=_("mapper.build_train_loader"),
    ),
    orderings={
        "amodal_unet": Step(_("steps.build_ordering"), text="which AmodalUNet's masks grow less")
    },
    completions={
        "amodal_unet": Step(
            _("steps.build_completion"),
            keys=("CONSTRAIN",),
            text="AmodalUNet, trained on true amodal masks",
            aliases=("supervised",),
        )
    },
    trainings=(Training("amodal_unet", config="amodal_unet_{family}", labels="amodal"),),
    rows=(
        Row(
            "Supervised",
            "convex",
            "amodal_unet",
            "amodal_unet",
            "supervised",
            ("completion", "predicted_modal"),
        ),
    ),
    published={
        "completion": {"KINS": {"Supervised": 94.81}, "COCOA": {"Supervised": 82.53}},
        "predicted_modal": {"KINS": {"Supervised": 87.29}},
    },
    since="0.1",
    exports={
        "AmodalUNet": _("network.AmodalUNet"),
        "AmodalUNetMapper": _("mapper.AmodalUNetMapper"),
        "SupervisedCompletion": _("steps.SupervisedCompletion"),
        "build_amodal_unet_train_loader": _("mapper.build_train_loader"),
    },
)
