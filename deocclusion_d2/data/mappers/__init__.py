"""Dataset mappers: from dataset dicts to what models and evaluators take."""

from .partial_completion_mapper import PartialCompletionMapper
from .scene_mapper import SceneMapper, deocclusion_from_record, scene_from_record

__all__ = ["PartialCompletionMapper", "SceneMapper", "deocclusion_from_record", "scene_from_record"]
