"""SeGAN: "SeGAN: Segmenting and Generating the Invisible" (Ehsani, Mottaghi, Farhadi, CVPR 2018).

From a photo and the visible mask of an object it segments the whole object, and paints it.

| paper | here |
|---|---|
| the segmentor (Sec. 3, Fig. 2) | ``segmentor.py`` |
| the box around the visible part (Sec. 5.1) | ``box_crop.py`` |
| the painter, pix2pix's U-Net (Sec. 3, Fig. 2) | ``painter.py`` |
| eq. 1, the painter's input; eq. 2 and 3, the segmentor's loss | ``losses.py`` |
| eq. 4 to 6, the whole | ``network.py`` |
| a training sample | ``mapper.py`` |

Three stages follow each other, each with a config of its own: ``segment``, ``paint`` (with true
masks) and ``end_to_end``.

Where paper and released code disagree, or say nothing: losses are means over a region, not sums
over constants; the painter has no noise but dropout; end to end its input is coloured by the mask
that is cut, as in the code, or by probabilities (``HARD``); what is outside of the object is
neutral grey in its target; all parts learn by Adam; the discriminator is the one that PCNet-C has
too.
"""

from ..base import Network, Step, System, lazily
from .experiments import EXPERIMENTS, ROWS, TRAININGS

_ = lazily(__name__)

SYSTEM = System(
    name="segan",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="SeGAN",
        model=_("network.SeGAN"),
        labels="amodal",
        train_loader=_("mapper.build_train_loader"),
        picture=_("pictures.draw_samples"),
        evaluators=_("evaluator.build_evaluators"),
        predictor=_("evaluator.build_predictor"),
        needs_images=lambda cfg: True,
        hooks=_("hooks.build_hooks"),
    ),
    orderings={
        "segan_layers": Step(
            _("steps.build_ordering"),
            keys=("LAYERS_BY",),
            text="whose visible part lies where SeGAN segments the other",
        )
    },
    completions={
        "segan": Step(
            _("steps.build_completion"), keys=("CONSTRAIN",), text="SeGAN, from the photo"
        )
    },
    contents={
        "segan": Step(
            _("steps.build_content"),
            own=lambda cfg: cfg.MODEL.SEGAN.STAGE != "segment",
            text="SeGAN",
        )
    },
    trainings=TRAININGS,
    rows=ROWS,
    experiments=EXPERIMENTS,
)
