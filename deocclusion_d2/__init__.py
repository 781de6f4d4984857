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

# What Detectron2 and fvcore do while they are imported, train or gather, and users of this package
# can't change. Appended: filters of the user's own, as by python -W, come first.
for _message, _kind, _module in (
    (r"`torch\.jit\.script(_method)?` is deprecated", FutureWarning, ""),
    (r"`torch\.jit\.script(_method)?` is deprecated", DeprecationWarning, ""),
    (r"`torch\.cuda\.amp\.\w+\(args\.\.\.\)` is deprecated", FutureWarning, ""),
    (r"torch\.meshgrid: in an upcoming release", UserWarning, ""),
    (r"TypedStorage is deprecated", UserWarning, ""),
    (r"The given NumPy array is not writable", UserWarning, r"detectron2\."),
):
    warnings.filterwarnings("ignore", _message, _kind, _module, append=True)
del _message, _kind, _module
