"""Orderings and completions without a network, on scenes worked out by hand."""

from __future__ import annotations

import numpy as np

from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.structures import OcclusionGraph, WindowMask
from deocclusion_d2.structures.shape import convex_hull
from deocclusion_d2.systems.baselines.steps import (
    ConvexCompletion,
    HeuristicOrdering,
    RawCompletion,
)
from tests.helpers import box_mask, scene_of

SIZE = (20, 30)


def notched_scene():
    """0: a 10 x 10 square whose corner is hidden by 1: a bar."""
    bar = box_mask(*SIZE, 11, 6, 25, 10)
    square = box_mask(*SIZE, 5, 0, 15, 10) & ~bar
    return scene_of([square, bar])


def test_area_and_y_axis():
    scene = notched_scene()  # areas 84 and 56; centres of mass: the bar is lower
    assert HeuristicOrdering("area")([scene])[0].edges == [(0, 1)]
    assert HeuristicOrdering("area", larger_in_front=False)([scene])[0].edges == [(1, 0)]
    assert HeuristicOrdering("y_axis")([scene])[0].edges == [(1, 0)]


def test_convex_order_and_refined_hull():
    scene = notched_scene()
    graph = HeuristicOrdering("convex")([scene])[0]
    # The square's hull reaches into the bar, the bar is convex.
    assert graph.edges == [(1, 0)]
    gain_bar, gain_square = graph.graph.edges[1, 0]["increments"]
    assert gain_bar == 0 and gain_square > 0
    hull = convex_hull(scene.modal_masks[0])
    assert hull.area > scene.modal_masks[0].area
    refined = ConvexCompletion(refined=True)([scene], [graph])[0].amodal_masks
    expected = hull.to_array(*SIZE) & (
        scene.modal_masks[0].to_array(*SIZE) | scene.modal_masks[1].to_array(*SIZE)
    )
    assert np.array_equal(refined[0].to_array(*SIZE), expected)
    assert refined[1] == scene.modal_masks[1]


def test_convex_r_takes_nothing_without_an_ancestor():
    scene = notched_scene()
    refined = ConvexCompletion(refined=True)([scene], [OcclusionGraph(2)])[0].amodal_masks
    assert refined == scene.modal_masks
    plain = ConvexCompletion(refined=False)([scene], [OcclusionGraph(2)])[0].amodal_masks
    assert plain[0] == convex_hull(scene.modal_masks[0])
    assert RawCompletion()([scene], [OcclusionGraph(2)])[0].amodal_masks == scene.modal_masks


def test_hull_never_loses_a_pixel():
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = WindowMask.from_array(rng.random((12, 17)) < rng.uniform(0.02, 0.6))
        assert (mask - convex_hull(mask)).is_empty
    one = WindowMask.from_array(np.eye(1, 5, 3))
    assert convex_hull(one) == one
    assert convex_hull(WindowMask.empty()).is_empty


def test_empty_and_lonely_instances():
    scene = scene_of([np.zeros(SIZE, bool), box_mask(*SIZE, 0, 0, 1, 1)])
    for name in ("raw", "convex", "convex_r"):
        result = Deoccluder.baseline(name)([scene])[0]
        assert result.graph.edges == []
        assert result.amodal_masks == scene.modal_masks
    assert Deoccluder.baseline("convex_r")([scene_of([np.zeros(SIZE, bool)])])[0].graph.edges == []
