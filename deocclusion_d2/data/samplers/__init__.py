"""Self-supervised samples."""

from .partial_completion import PartialCompletionSample, SamplerSettings, draw_sample

__all__ = ["PartialCompletionSample", "SamplerSettings", "draw_sample"]
