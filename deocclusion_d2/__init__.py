"""Scene de-occlusion on Detectron2.

Nothing is imported before it is asked for. Networks and data sets register when a config is loaded
(``load_config``, ``add_deocclusion_config``).
"""

import lazy_loader

from .version import __version__

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["add_deocclusion_config", "load_config"],
        "inference": ["Deoccluder"],
        "modeling": ["AmodalUNet", "ModalUNet", "OrderNet", "PCNetC", "PCNetM"],
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
