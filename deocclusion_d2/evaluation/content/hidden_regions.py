"""Really hidden regions: somebody knows what they would show, a renderer, or whoever pasted an
object over a photo.

Unlike what is erased (``erased_regions.py``), nothing of the objects around may be looked at, as in
a decomposition.
"""

from __future__ import annotations

from collections import Counter

from ...inference.content.holes import square_of
from ...structures import Scene, SceneTruth
from ...structures.square_crop import adaptive_side
from ...structures.window_mask import common_box, union
from .regions import HiddenRegion


def find_hidden_regions(
    scene: Scene, truth: SceneTruth, *, enlarge: float = 3.0, min_square: float = 5.0
) -> tuple[list[HiddenRegion], Counter[str]]:
    """The hidden part of every instance that is known as a whole.

    Args:
        scene: what was pasted is among its instances.
        truth: of the scene; its amodal masks are used, and the true modal ones.
        enlarge: of the square around the amodal box; see ``SquareCrop.around``.
        min_square: instances whose square is smaller, in pixels, are not used.

    Returns:
        One region for every instance that has one, in the scene's order, and how many have none,
        by reason.
    """
    left_out: Counter[str] = Counter()
    modal_masks = truth.true_modal_masks(scene)
    taken = union(modal_masks)
    regions = []
    for row, visible in enumerate(modal_masks):
        if not truth.knows_whole(row):
            left_out["instances of which nobody knows the whole"] += 1
            continue
        hole = truth.amodal_masks[row] - visible
        box = common_box(visible, hole)
        if hole.is_empty:
            left_out["instances without a hidden pixel"] += 1
        elif visible.is_empty:
            left_out["instances without a visible pixel"] += 1
        elif adaptive_side(box, enlarge) < min_square:
            left_out["instances with a square under the minimum"] += 1
        elif truth.unhidden is not None and not truth.unhidden.knows(row):
            left_out["instances whose hidden colours nobody knows"] += 1
        else:
            regions.append(HiddenRegion(row, square_of(box, enlarge), visible, hole, taken))
    return regions, left_out
