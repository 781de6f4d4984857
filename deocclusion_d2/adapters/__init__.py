"""Results of other libraries as masks that ``Deoccluder.predict`` takes, which calls these itself.

Nothing is imported of those libraries: results are known by the names of what they hold.
Segment Anything's lists of masks, COCO results and Detectron2's Instances need no adapter.
"""

from __future__ import annotations

from typing import Any

from ..errors import UserError
from .predictions import Predictions
from .supervision import from_supervision, is_supervision
from .transformers import from_transformers, is_transformers
from .ultralytics import from_ultralytics, is_ultralytics

__all__ = [
    "Predictions",
    "from_results",
    "from_supervision",
    "from_transformers",
    "from_ultralytics",
]

_ADAPTERS = (
    (is_supervision, from_supervision),
    (is_transformers, from_transformers),
    (is_ultralytics, from_ultralytics),
)


def from_results(results: Any) -> Predictions | None:
    """What a library of these predicted for an image; None where it is of none of them.

    Args:
        results: see ``from_supervision`` and the others; also in a list of one, as libraries give
            what they predicted for a batch of one image.

    Raises:
        UserError: one line on what cannot be read, or a list for several images.
    """
    if isinstance(results, Predictions):
        return results
    is_list = isinstance(results, list | tuple) and len(results) > 0
    one = results[0] if is_list else results
    for is_of_it, adapt in _ADAPTERS:
        if is_of_it(one):
            if is_list and len(results) > 1:
                raise UserError(f"these are results for {len(results)} images: give those of one")
            return adapt(one)
    return None
