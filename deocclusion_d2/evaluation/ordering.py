"""Order accuracy: of two instances, does the method know which one is in front?

What the true order is, ``data/true_order.py`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..data.true_order import (
    Orders,
    order_from_amodal,
    order_from_depth,
    order_from_depth_constraints,
)
from ..structures import Deocclusion, Scene, SceneTruth
from .base import SceneEvaluator
from .occlusion_groups import pair_group


class OrderingEvaluator(SceneEvaluator):
    """Order accuracy over the truly ordered pairs (the paper's Table 1).

    Only pairs whose true order is 1 or -1 are measured. A pair for which the graph has no edge
    counts as wrong, and also as *undecided*. Where the scene's modal masks are predicted ones, the
    pairs are those of the true modal masks; pairs with an instance without a prediction are left
    out and counted.

    Results, in percent, under ``ordering``: ``Acc`` and ``Undecided``, the number of ``pairs``,
    each also by the occludee's group (see ``occlusion_groups.pair_group``): ``Acc-level2``,
    ``Acc-hidden25-50``. ``Acc_image`` is the mean over images of each image's own accuracy, the
    success rate of depth layering of SeGAN's paper (Sec. 5.2).
    """

    task = "ordering"
    metrics = ("Acc", "Undecided", "Acc_image")
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
        right = total = 0
        for (i, j), true_order in orders.items():
            if true_order == 0:
                continue
            if truth.modal_masks is not None and (
                scene.modal_masks[i].is_empty or scene.modal_masks[j].is_empty
            ):
                self.leave_out("pairs with an instance without a prediction")
                continue
            predicted = output.graph.order(i, j)
            occluder, occludee = (i, j) if true_order == 1 else (j, i)
            group = pair_group(scene, truth, occluder, occludee)
            self.add(
                {"Acc": (predicted == true_order, 1), "Undecided": (predicted == 0, 1)},
                [] if group is None else [group],
            )
            right, total = right + (predicted == true_order), total + 1
        if total:
            # Beside the pairs: the image itself counts as none.
            self.add({"Acc_image": (right / total, 1)}, [], count=0)
