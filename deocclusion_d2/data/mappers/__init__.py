"""Dataset mappers: from dataset dicts to what models and evaluators take."""

from .amodal_unet_mapper import AmodalUNetMapper
from .content_mapper import ContentMapper
from .modal_unet_mapper import ModalUNetMapper
from .order_net_mapper import OrderNetMapper
from .partial_completion_mapper import PartialCompletionMapper
from .scene_mapper import SceneMapper, deocclusion_from_record, scene_from_record

__all__ = [
    "AmodalUNetMapper",
    "ContentMapper",
    "ModalUNetMapper",
    "OrderNetMapper",
    "PartialCompletionMapper",
    "SceneMapper",
    "deocclusion_from_record",
    "scene_from_record",
]
