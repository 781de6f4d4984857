"""Scene de-occlusion on Detectron2.

Nothing is imported before it is asked for. Networks and data sets register when a config is loaded
(``load_config``, ``add_deocclusion_config``).
"""

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
