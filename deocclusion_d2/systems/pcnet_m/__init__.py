"""PCNet-M, the mask half of "Self-Supervised Scene De-occlusion" (Zhan et al., CVPR 2020).

It learns from modal masks alone to complete what an eraser hides, and orders and completes the
instances of a scene by that.

| paper | here |
|---|---|
| Fig. 3a, a training sample | ``data/samplers/erasing.py``, drawn by ``mapper.py`` |
| eq. 1, the loss | ``losses.py`` |
| supplement A, the network | ``network.py`` over ``modeling/unet.py`` |
| Sec. 3.2, eq. 3, dual completion; supplement B.2, mutual occlusions | ``ordering.py`` |
| Sec. 3.3, eq. 4, completion grounded on the order or not | ``completion.py`` |
| Tables 1 to 4 | ``experiments.py`` |
| the released weights | ``released.py`` |

Beyond the paper, off unless a config asks for it: an ordering prior that is fitted without labels
(``prior_rule.py``, ``ordering_prior.py``, ``prior_fitting.py``, ``pair_features.py``), views that
follow the completed object (``RECENTRE``), objects that go on outside the image (``BEYOND_IMAGE``),
kept probabilities, and a figure for networks where only modal masks are known (``erasures.py``). By
default visible pixels are kept exact (``CONSTRAIN``); ``PAPER_PROTOCOL`` is the released code to
the bit.
"""

from ..base import AUTO, BESIDE_WEIGHTS, Calibration, Network, Step, System, lazily
from .experiments import PUBLISHED, ROWS, SWEEPS, TRAININGS

_ = lazily(__name__)

_COMPLETION_KEYS = (
    "AMODAL_THRESHOLD",
    "RECENTRE",
    "VIEWS",
    "KEEP_PROBABILITY",
    "CONSTRAIN",
    "BEYOND_IMAGE",
    "GAP",
)

SYSTEM = System(
    name="pcnet_m",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="PCNetM",
        model=_("network.PCNetM"),
        labels="modal",
        train_loader=_("mapper.build_train_loader"),
        runner=_("patch_completer.PatchCompleter.from_config"),
        picture=_("pictures.draw_samples"),
        needs_images=lambda cfg: cfg.MODEL.PCNET_M.USE_RGB,
        calibration=Calibration(
            key="ORDERING_PRIOR",
            file="ordering_prior.json",
            wanted=lambda cfg: (
                cfg.DEOCCLUSION.ORDERING_PRIOR in (AUTO, BESIDE_WEIGHTS)
                and not cfg.DEOCCLUSION.PAPER_PROTOCOL
            ),
            fit=_("prior_fitting.fit_ordering_prior"),
            settings=_("prior_fitting.deciding_settings"),
        ),
        released=_("released.ReleasedPCNetM"),
    ),
    orderings={
        "dual_completion": Step(
            _("steps.build_dual_completion"),
            keys=("ORDER_THRESHOLD", "ORDERING_PRIOR", "MUTUAL_SHARE", "MUTUAL_DIFFERENCE", "GAP"),
        ),
    },
    completions={
        "og": Step(
            _("steps.build_grounded"),
            keys=_COMPLETION_KEYS,
            method="pcnet",
            text="PCNet-M, grounded on the occlusion order",
        ),
        "nog": Step(
            _("steps.build_not_grounded"),
            keys=_COMPLETION_KEYS,
            method="pcnet_nog",
            text="PCNet-M, all neighbours as occluders",
        ),
    },
    trainings=TRAININGS,
    rows=ROWS,
    published=PUBLISHED,
    renamed_keys={
        "MODEL.PCNET_M.PIXEL_MEAN": "MODEL.INSTANCE.PIXEL_MEAN",
        "MODEL.PCNET_M.PIXEL_STD": "MODEL.INSTANCE.PIXEL_STD",
    },
    sweeps=SWEEPS,
    since="0.1",
    exports={
        "DualCompletion": _("ordering.DualCompletion"),
        "ENOUGH_IMAGES": _("prior_fitting.ENOUGH_IMAGES"),
        "FEATURES": _("pair_features.FEATURES"),
        "OrderingPrior": _("ordering_prior.OrderingPrior"),
        "PRIOR_FILE": _("ordering_prior.PRIOR_FILE"),
        "PCNetCompletion": _("completion.PCNetCompletion"),
        "PCNetM": _("network.PCNetM"),
        "PartialCompletionMapper": _("mapper.PartialCompletionMapper"),
        "Patch": _("patch_completer.Patch"),
        "PatchCompleter": _("patch_completer.PatchCompleter"),
        "build_pcnet_m_train_loader": _("mapper.build_train_loader"),
        "evaluate_erasures": _("erasures.evaluate_erasures"),
        "fit_ordering_prior": _("prior_fitting.fit_ordering_prior"),
        "overlay_prediction": _("pictures.overlay_prediction"),
        "pair_features": _("pair_features.pair_features"),
        "sample_grid": _("pictures.sample_grid"),
        "training_image": _("pictures.training_image"),
    },
)
