"""The Synthetic Occlusion Dataset for any data set: complete objects pasted over complete objects.

Ke, Tai and Tang, *Deep Occlusion-Aware Instance Segmentation with Overlapping BiLayers* (CVPR 2021,
supplement, Sec. 1). The original was never released; where the text is silent, the docstrings say
what was chosen. `Bank` finds the objects, `PairSource` draws pairs, `write_pairs` makes the data
set.
"""

from .bank import Bank, BankSettings, CompleteObject
from .compose import Composition
from .draw import Pair, PairSettings, PairSource
from .placement import MEASURES, PlacementSettings, places
from .write_pairs import (
    PairsConfig,
    Realised,
    check_request,
    image_folder,
    json_path,
    picture_of,
    write_pairs,
)

__all__ = [
    "MEASURES",
    "Bank",
    "BankSettings",
    "CompleteObject",
    "Composition",
    "Pair",
    "PairSettings",
    "PairSource",
    "PairsConfig",
    "PlacementSettings",
    "Realised",
    "check_request",
    "image_folder",
    "json_path",
    "picture_of",
    "places",
    "write_pairs",
]
