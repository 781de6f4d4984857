"""Training samples: self-supervised ones, and the geometry that all of them share."""

from .partial_completion import PartialCompletionSample, SamplerSettings, draw_crop, draw_sample

__all__ = ["PartialCompletionSample", "SamplerSettings", "draw_crop", "draw_sample"]
