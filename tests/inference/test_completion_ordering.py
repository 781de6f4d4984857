"""Order by completions that know no occluder; pixels by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from deocclusion_d2.inference.completion_ordering import CompletionOrdering
from deocclusion_d2.structures import Deocclusion, WindowMask
from tests.helpers import box_mask, scene_of

H, W = 30, 60


class Grows:
    """Completes the masks of a scene by boxes that are added to them."""

    def __init__(self, *boxes):
        self.runner = SimpleNamespace(uses_rgb=False, uses_category=False)
        self.boxes, self.asked = boxes, []

    def describe(self):
        return {"completion": "grows"}

    def __call__(self, scenes, graphs):
        self.asked += [len(scene) for scene in scenes]
        return [
            Deocclusion(
                graph,
                [
                    mask | WindowMask.filled(box) if box else mask
                    for mask, box in zip(scene.modal_masks, self.boxes, strict=True)
                ],
            )
            for scene, graph in zip(scenes, graphs, strict=True)
        ]


def test_the_one_that_grows_less_is_in_front():
    """0 grows by 3 columns of 10 px into 1, which grows by 2 into 0; 2 stands alone."""
    masks = [box_mask(H, W, *b) for b in ((0, 0, 10, 10), (10, 0, 20, 10), (40, 0, 50, 10))]
    completion = Grows((10, 0, 13, 10), (8, 0, 10, 10), (0, 0, 60, 30))
    (graph,) = CompletionOrdering(completion)([scene_of(masks)])
    assert graph.edges == [(1, 0)]
    assert graph.neighbour_pairs == [(0, 1)]
    # (30 - 20) / (30 + 20)
    assert np.isclose(graph.confidence(1, 0), 0.2)


def test_pairs_that_do_not_grow_have_no_edge():
    masks = [box_mask(H, W, 0, 0, 10, 10), box_mask(H, W, 10, 0, 20, 10)]
    (graph,) = CompletionOrdering(Grows(None, None))([scene_of(masks)])
    assert graph.edges == [] and graph.neighbour_pairs == [(0, 1)]


def test_scenes_without_neighbours_cost_nothing():
    alone = scene_of([box_mask(H, W, 0, 0, 5, 5)])
    completion = Grows(None, None)
    masks = [box_mask(H, W, 0, 0, 10, 10), box_mask(H, W, 10, 0, 20, 10)]
    graphs = CompletionOrdering(completion)([alone, scene_of(masks), alone])
    assert completion.asked == [2]
    assert [len(graph) for graph in graphs] == [1, 2, 1]


def test_it_says_which_completion():
    assert CompletionOrdering(Grows()).describe() == {"completion": "grows"}
