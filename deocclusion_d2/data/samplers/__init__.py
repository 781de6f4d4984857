"""Training samples: self-supervised ones, and the geometry that all of them share."""

from .content import ContentSample, draw_background_sample, draw_object_sample
from .partial_completion import (
    PartialCompletionSample,
    SamplerSettings,
    draw_crop,
    draw_other,
    draw_sample,
    place_eraser,
)

__all__ = [
    "ContentSample",
    "PartialCompletionSample",
    "SamplerSettings",
    "draw_background_sample",
    "draw_crop",
    "draw_object_sample",
    "draw_other",
    "draw_sample",
    "place_eraser",
]
