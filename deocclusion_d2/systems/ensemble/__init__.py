"""Several completions as one: of no paper, and without a network of its own.

PCNet-M says what lies under occluders that somebody has annotated; a completion that knows no
occluder, such as Amodal-VAE's, speaks about every pixel. ``DEOCCLUSION.ENSEMBLE`` names the members
and says who counts where: at each pixel all that speak there, or the first of them. See
``config.py`` for the keys and ``steps.py`` for how a pixel is decided.
"""

from ..base import Step, System, lazily
from .experiments import ROWS

_ = lazily(__name__)

SYSTEM = System(
    name="ensemble",
    add_config=_("config.add_config"),
    completions={
        "ensemble": Step(
            _("steps.build_completion"),
            uses_network=False,
            members="ENSEMBLE.MEMBERS",
            keys=("ENSEMBLE.MEMBERS", "ENSEMBLE.RULE"),
            drops=("SAMPLES", "SAMPLES_SEED"),
            text="several completions, as DEOCCLUSION.ENSEMBLE says",
        )
    },
    rows=ROWS,
    exports={"EnsembleCompletion": _("steps.EnsembleCompletion")},
)
