"""PCNet-C, the content half of "Self-Supervised Scene De-occlusion" (Zhan et al., CVPR 2020).

It learns from modal masks and photos to fill in what is hidden.

| paper | here |
|---|---|
| Fig. 3b, a training sample | ``sampler.py``, ``mapper.py`` |
| supplement A, the network (Liu et al., ECCV 2018, and the mask) | ``partial_conv_unet.py`` |
| supplement A, the losses | ``losses.py``, ``vgg_features.py``, ``modeling/discriminator.py`` |
| Sec. 3.4, eq. 5 | ``steps.py`` over ``inference/content/`` |
| the released weights | ``released.py`` |

Beyond the paper: a smooth fill that the network adds to (``inference/content/smooth_fill.py``,
``PREFILL``), holes of the background (``BACKGROUND_SHARE``), pixels of other objects are erased
from the input, and the seam is corrected at the photo's resolution.
"""

from ..base import Network, Step, System, lazily
from .experiments import ROWS, TRAININGS

_ = lazily(__name__)

SYSTEM = System(
    name="pcnet_c",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="PCNetC",
        model=_("network.PCNetC"),
        labels="appearance",
        train_loader=_("mapper.build_train_loader"),
        evaluators=_("steps.build_evaluator"),
        predictor=_("steps.build_hole_filler"),
        runner=_("steps.build_runner"),
        picture=_("pictures.draw_samples"),
        needs_images=lambda cfg: True,
        released=_("released.ReleasedPCNetC"),
    ),
    contents={"pcnet_c": Step(_("steps.build_content"), text="PCNet-C")},
    trainings=TRAININGS,
    rows=ROWS,
    since="0.1",
    exports={
        "ContentCompletion": _("steps.ContentCompletion"),
        "ContentMapper": _("mapper.ContentMapper"),
        "ContentSample": _("sampler.ContentSample"),
        "PCNetC": _("network.PCNetC"),
        "PartialConvUNet": _("partial_conv_unet.PartialConvUNet"),
        "build_pcnet_c_train_loader": _("mapper.build_train_loader"),
        "content_image": _("pictures.content_image"),
        "draw_background_sample": _("sampler.draw_background_sample"),
        "draw_object_sample": _("sampler.draw_object_sample"),
    },
)
