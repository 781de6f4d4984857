"""Self-supervised scene de-occlusion on Detectron2.

Importing this registers the meta-architectures and the data sets.
"""

from .config import add_deocclusion_config, load_config
from .data import datasets as _datasets  # registers the data sets
from .inference import Deoccluder
from .modeling import AmodalUNet, ModalUNet, OrderNet, PCNetC, PCNetM
from .structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, SquareCrop, WindowMask

__version__ = "0.1.0"

__all__ = [
    "AmodalUNet",
    "Deoccluder",
    "Deocclusion",
    "ModalUNet",
    "OcclusionGraph",
    "OrderNet",
    "PCNetC",
    "PCNetM",
    "Scene",
    "SceneTruth",
    "SquareCrop",
    "WindowMask",
    "add_deocclusion_config",
    "load_config",
]
