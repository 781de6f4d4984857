"""Random draws that training samples of several networks are made of."""

from .crops import CropSettings, draw_crop
from .erasing import (
    ErasingSettings,
    PartialCompletionSample,
    draw_other,
    draw_other_crop,
    draw_sample,
    enlarge_other,
    grid_size,
    is_enlarged,
    place_eraser,
)

__all__ = [
    "CropSettings",
    "ErasingSettings",
    "PartialCompletionSample",
    "draw_crop",
    "draw_other",
    "draw_other_crop",
    "draw_sample",
    "enlarge_other",
    "grid_size",
    "is_enlarged",
    "place_eraser",
]
