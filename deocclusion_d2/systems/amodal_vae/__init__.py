"""Amodal-VAE: "Variational Amodal Object Completion" (Ling et al., NeurIPS 2020).

It learns from modal masks what whole objects look like, and completes a mask without knowing what
hides it. Its result is a distribution: wide where much is hidden.

| paper | here |
|---|---|
| encoders, decoder (supplement, Sec. 3.2) | ``network.py`` |
| spatial transformer | ``transformer.py`` |
| the annealed weight of the KL term (Sec. 3.1), the losses | ``losses.py`` |
| a training sample | ``mapper.py`` |
| completion: the mode, thresholded (Sec. 1) | ``steps.py`` |
| how wide the posterior is (Fig. 4) | ``evaluator.py`` |
| trainings, rows, published figures (Table 1) | ``experiments.py`` |
| Fig. 1, 3 and 4, and a sheet of samples | ``figures.py`` |
| pictures of training samples | ``pictures.py`` |

No code was released, and the channel widths stand in a figure: where the text is silent, the
docstrings say what was chosen. Three stages follow each other, each with a config of its own:
``full`` (an autoencoder of whole masks), ``partial`` (an encoder of masks that are partly hidden,
for the same decoder), ``joint`` (decoder, that encoder, and the box of the whole object).
"""

from ..base import Network, Step, System, lazily
from .experiments import EXPERIMENTS, PUBLISHED, REMARKS, ROWS, TRAININGS

_ = lazily(__name__)

_KEYS = (
    "CONSTRAIN",
    "AMODAL_THRESHOLD",
    "KEEP_PROBABILITY",
    "LEAST_THICKNESS",
    "SAMPLES",
    "SAMPLES_SEED",
    "BOXES",
)

SYSTEM = System(
    name="amodal_vae",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="AmodalVAE",
        model=_("network.AmodalVAE"),
        labels="modal",
        train_loader=_("mapper.build_train_loader"),
        picture=_("pictures.draw_samples"),
        wants_order=_("mapper.wants_order"),
    ),
    orderings={
        "amodal_vae": Step(
            _("steps.build_ordering"),
            keys=("AMODAL_THRESHOLD", "LEAST_THICKNESS", "BOXES"),
            text="which of Amodal-VAE's masks grow less",
        )
    },
    completions={
        "amodal_vae": Step(
            _("steps.build_completion", "anywhere"),
            keys=_KEYS,
            text="Amodal-VAE, whatever hides the object",
        ),
        "amodal_vae_og": Step(
            _("steps.build_completion", "in_front"),
            keys=(*_KEYS, "GAP"),
            text="Amodal-VAE, inside of what the order puts in front",
        ),
        "amodal_vae_nb": Step(
            _("steps.build_completion", "not_behind"),
            keys=_KEYS,
            text="Amodal-VAE, not over what the order puts behind",
        ),
    },
    trainings=TRAININGS,
    rows=ROWS,
    published=PUBLISHED,
    remarks=REMARKS,
    experiments=EXPERIMENTS,
    exports={
        "AmodalVAE": _("network.AmodalVAE"),
        "AmodalVAEMapper": _("mapper.AmodalVAEMapper"),
        "AmodalVAECompletion": _("steps.AmodalVAECompletion"),
    },
)
