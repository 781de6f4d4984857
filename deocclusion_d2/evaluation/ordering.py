"""Order accuracy: of two instances, does the method know which one is in front?

An order is a number as in eq. 3 and ``OcclusionGraph.order``: of a pair (i, j), i < j, it is 1 when
i is in front of j, -1 when j is in front of i, and 0 when neither hides the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..inference.ordering import neighbour_pairs
from ..structures import Deocclusion, Scene, SceneTruth
from .base import SceneEvaluator, describe
from .occlusion_groups import pair_group

Orders = dict[tuple[int, int], int]


def order_from_amodal(scene: Scene, truth: SceneTruth) -> Orders:
    """True order of all neighbours from true amodal masks.

    Of two neighbours the one whose visible pixels lie on more of the other's amodal mask is in
    front. Equal counts, above all two zeros, mean no occlusion.

    Args:
        truth: with ``amodal_masks``.

    Returns:
        Neighbour pair -> 1, -1 or 0.
    """
    modal, amodal = scene.modal_masks, truth.amodal_masks
    return {
        (i, j): int(
            np.sign(modal[i].intersection_area(amodal[j]) - modal[j].intersection_area(amodal[i]))
        )
        for i, j in neighbour_pairs(modal)
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
                f"{describe(scene)}: depth constraint ({front}, {back}) does not name two of its "
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
        for i, j in neighbour_pairs(scene.modal_masks)
        if abs(depths[i] - depths[j]) >= min_depth_gap  # False for NaN
    }


class OrderingEvaluator(SceneEvaluator):
    """Order accuracy over the truly ordered pairs (the paper's Table 1).

    Only pairs whose true order is 1 or -1 are measured. A pair for which the graph has no edge
    counts as wrong, and also as *undecided*.

    Results, in percent, under ``ordering``: ``Acc`` and ``Undecided``, the number of ``pairs``,
    each also by the occludee's group (see ``occlusion_groups.pair_group``): ``Acc-level2``,
    ``Acc-hidden25-50``.
    """

    task = "ordering"
    metrics = ("Acc", "Undecided")
    unit = "pairs"

    def __init__(
        self,
        truth: str | Sequence[str] = "amodal",
        output_dir: str | None = None,
        min_depth_gap: float = 1.5,
    ) -> None:
        """
        Args:
            truth: "amodal", "depth_constraint" or "depth"; or several, of which the first that an
                image has labels for is used, e.g. ("depth_constraint", "amodal"). Images that have
                none are left out and counted.
            output_dir: see ``SceneEvaluator``.
            min_depth_gap: see :func:`order_from_depth`, metres.

        Raises:
            ValueError: an unknown name in ``truth``.
        """
        super().__init__(output_dir)
        # name -> (the labels it needs, what makes orders of them)
        sources: dict[str, tuple[str, Callable[[Scene, SceneTruth], Orders]]] = {
            "amodal": ("amodal_masks", order_from_amodal),
            "depth_constraint": ("depth_constraints", order_from_depth_constraints),
            "depth": ("depths", partial(order_from_depth, min_depth_gap=min_depth_gap)),
        }
        names = [truth] if isinstance(truth, str) else list(truth)
        unknown = [name for name in names if name not in sources]
        if unknown or not names:
            raise ValueError(f"unknown order truth {unknown or names}: choose from {[*sources]}")
        self._truth_names = names
        self._sources = [sources[name] for name in names]

    def process_scene(self, scene: Scene, truth: SceneTruth, output: Deocclusion) -> None:
        for labels, orders_from in self._sources:
            if getattr(truth, labels) is not None:
                orders = orders_from(scene, truth)
                break
        else:
            if len(scene):
                self.leave_out(f"images without labels of {' or '.join(self._truth_names)}")
            return
        for (i, j), true_order in orders.items():
            if true_order == 0:
                continue
            predicted = output.graph.order(i, j)
            occluder, occludee = (i, j) if true_order == 1 else (j, i)
            group = pair_group(scene, truth, occluder, occludee)
            self.add(
                {"Acc": (predicted == true_order, 1), "Undecided": (predicted == 0, 1)},
                [] if group is None else [group],
            )
