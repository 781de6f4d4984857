"""Ordering by OrderNet: by rules whose result is known, and free of grouping."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2 import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling.instance_network import InstanceNetwork
from deocclusion_d2.structures import OcclusionGraph
from deocclusion_d2.systems.order_net.steps import OrderNetOrdering, PairRunner
from tests.helpers import box_mask, random_order_net, scene_of, step_config
from tests.inference.test_invariance import H, W, scenes


class LargerInFront(InstanceNetwork):
    """Stands for OrderNet: the mask with more pixels is in front, equal ones are a tie."""

    def __init__(self) -> None:
        super().__init__(torch.nn.Linear(1, 1))

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        first, second = (batch[k].sum(dim=(1, 2)) for k in ("first_mask", "second_mask"))
        return {"first_in_front": 0.5 + 0.4 * torch.sign(first.float() - second.float())}


def in_bytes(graph: OcclusionGraph) -> tuple:
    return graph.edges, graph.neighbour_pairs


def test_order_goes_to_the_more_probable_and_ties_stay_open():
    boxes = [(0, 0, 10, 20), (10, 0, 30, 20), (30, 0, 40, 20), (40, 0, 50, 20), (60, 30, 62, 40)]
    scene = scene_of([box_mask(H, W, *box) for box in boxes])
    runner = PairRunner(LargerInFront(), precision="float32")
    # The square around instances 2 and 3 has 34 px a side: no resizing makes one larger.
    ordering = OrderNetOrdering(runner, patch_size=34)
    empty = scene_of([np.zeros((H, W), bool)])
    first, nothing, again = ordering([scene, empty, scene])
    assert first.neighbour_pairs == [(0, 1), (1, 2), (2, 3)]
    assert first.edges == [(1, 0), (1, 2)]
    # Probabilities of 0.9 and 0.1.
    assert [first.confidence(*e) for e in first.edges] == pytest.approx([0.8, 0.8])
    assert nothing.edges == [] and len(nothing) == 1
    assert in_bytes(again) == in_bytes(first)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_order_net_does_not_depend_on_batches(precision):
    model = random_order_net()
    expected = None
    for batch_size in (1, 3, 64):
        runner = PairRunner(model, batch_size=batch_size, precision=precision)
        ordering = OrderNetOrdering(runner, patch_size=32)
        probabilities = list(
            runner.outputs(ordering._samples(scenes(), _pairs(ordering)), "first_in_front")
        )
        together = [in_bytes(g) for g in ordering(scenes())]
        alone = [in_bytes(ordering([s])[0]) for s in scenes()]
        backwards = [in_bytes(g) for g in ordering(scenes()[::-1])][::-1]
        # To the bit, one sample a call.
        single = [
            next(iter(runner.outputs([sample], "first_in_front")))
            for sample in ordering._samples(scenes(), _pairs(ordering))
        ]
        assert single == probabilities
        expected = expected or (together, probabilities)
        assert (together, probabilities) == expected
        assert alone == backwards == together
    assert sum(len(edges) for edges, _ in expected[0]) >= 15


def _pairs(ordering: OrderNetOrdering) -> list[list[tuple[int, int]]]:
    return [graph.neighbour_pairs for graph in ordering(scenes())]


def test_a_deoccluder_by_order_net(tmp_path):
    cfg = step_config(tmp_path, "OrderNet order_net raw")
    deoccluder = Deoccluder.from_config(cfg, random_order_net(use_rgb=True))
    assert deoccluder.uses_rgb and "amodal_threshold" not in deoccluder.describe()
    with pytest.raises(UserError, match="the scene holds no image"):
        deoccluder(scenes())
    with_images = scenes()
    for scene in with_images:
        scene.image = np.zeros((H, W, 3), np.uint8)
    results = deoccluder(with_images)
    assert [r.graph.neighbour_pairs for r in results] == [
        r.graph.neighbour_pairs for r in Deoccluder.baseline("raw")(with_images)
    ]
