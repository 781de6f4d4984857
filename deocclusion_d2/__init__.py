"""Scene de-occlusion on Detectron2.

Nothing is imported before it is asked for. Networks and data sets register when a config is loaded
(``load_config``, ``add_deocclusion_config``).
"""

import warnings

from .faces import attach
from .version import __version__

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "config": ["add_deocclusion_config", "find_config", "load_config"],
        "deoccluder": ["Deoccluder"],
        "structures": [
            "Deocclusion",
            "OcclusionGraph",
            "Scene",
            "SceneTruth",
            "SquareCrop",
            "WindowMask",
        ],
    },
)

# Detectron2 and fvcore call these while they are imported or train, and users of this package can't
# change that. Appended: filters of the user's own, as by python -W, come first.
for _message in (
    r"`torch\.jit\.script(_method)?` is deprecated",
    r"`torch\.cuda\.amp\.\w+\(args\.\.\.\)` is deprecated",
):
    for _kind in (FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", _message, _kind, append=True)
del _message, _kind
