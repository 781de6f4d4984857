"""The true order of a scene's instances, from whatever labels know it.

An order is a number as in eq. 3 and ``OcclusionGraph.order``: of a pair (i, j), i < j, it is 1 when
i is in front of j, -1 when j is in front of i, and 0 when neither hides the other.
"""

from __future__ import annotations

import numpy as np

from ..structures import Scene, SceneTruth, neighbour_pairs

Orders = dict[tuple[int, int], int]


def order_from_amodal(scene: Scene, truth: SceneTruth) -> Orders:
    """True order of all neighbours from true amodal masks.

    Of two neighbours the one whose visible pixels lie on more of the other's amodal mask is in
    front. Equal counts, above all two zeros, mean no occlusion. Two of which the labels do not know
    the whole (``SceneTruth.amodal_exact``) have no known order, and are left out.

    Args:
        truth: with ``amodal_masks``.

    Returns:
        Neighbour pair -> 1, -1 or 0.
    """
    modal, amodal = truth.true_modal_masks(scene), truth.amodal_masks
    return {
        (i, j): int(
            np.sign(modal[i].intersection_area(amodal[j]) - modal[j].intersection_area(amodal[i]))
        )
        for i, j in neighbour_pairs(modal)
        if truth.knows_whole(i) or truth.knows_whole(j)
    }


def order_from_depth_constraints(scene: Scene, truth: SceneTruth) -> Orders:
    """True order of the pairs that an annotator ordered (COCOA), whether they touch or not.

    A pair constrained both ways is a mutual occlusion: it has no order (0).

    Args:
        truth: with ``depth_constraints``.

    Returns:
        Constrained pair -> 1, -1 or 0.

    Raises:
        ValueError: a constraint names an instance that the scene does not have, or one twice.
    """
    orders: Orders = {}
    for front, back in truth.depth_constraints:
        if front == back or not (0 <= front < len(scene) and 0 <= back < len(scene)):
            raise ValueError(
                f"{scene.description}: depth constraint ({front}, {back}) does not name two of its "
                f"{len(scene)} instances; correct it in the annotations"
            )
        pair, order = ((front, back), 1) if front < back else ((back, front), -1)
        orders[pair] = order if orders.get(pair, order) == order else 0
    return orders


def order_from_depth(scene: Scene, truth: SceneTruth, min_depth_gap: float = 1.5) -> Orders:
    """Order of touching instances by their distance: the nearer one is in front.

    Args:
        truth: with ``depths``; pairs with an unknown depth (NaN) are left out.
        min_depth_gap: pairs whose depths differ by less, in metres, are left out: the depth of an
            object is one number for its whole length, and cannot order objects side by side.

    Returns:
        Pair -> 1 or -1.
    """
    depths = np.asarray(truth.depths, dtype=float)
    return {
        (i, j): 1 if depths[i] < depths[j] else -1
        for i, j in neighbour_pairs(truth.true_modal_masks(scene))
        if abs(depths[i] - depths[j]) >= min_depth_gap  # False for NaN
    }
