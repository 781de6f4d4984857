"""Eq. 3's decision and the graph's ancestors on hand-made scenes."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.structures import OcclusionGraph


def test_larger_increment_is_the_occludee_and_ties_have_no_edge():
    pairs = [(0, 1), (1, 2), (2, 3), (0, 3)]
    increments = np.array([[3.0, 10.0], [5.0, 0.0], [0.0, 0.0], [4.0, 4.0]])
    graph = OcclusionGraph.from_increments(4, pairs, increments)
    assert graph.edges == [(0, 1), (2, 1)]
    assert graph.neighbour_pairs == [(0, 1), (0, 3), (1, 2), (2, 3)]
    assert graph.order(0, 1) == 1 and graph.order(1, 0) == -1 and graph.order(2, 3) == 0
    assert graph.graph.edges[2, 1]["increments"] == (0.0, 5.0)


def test_order_does_not_depend_on_how_pairs_are_listed():
    forward = OcclusionGraph.from_increments(2, [(0, 1)], np.array([[2.0, 7.0]]))
    backward = OcclusionGraph.from_increments(2, [(1, 0)], np.array([[7.0, 2.0]]))
    assert forward.edges == backward.edges == [(0, 1)]


def test_ancestors_of_a_chain_and_of_a_cycle():
    chain = OcclusionGraph(4)
    for i in range(3):
        chain.add_occlusion(i, i + 1)
    assert chain.ancestors(3) == [0, 1, 2]
    assert chain.occluders(3) == [2] and chain.occludees(0) == [1]
    assert chain.ancestors(0) == [] and chain.cycles() == []

    # Four sheets of paper, each on the next (Fig. 7), and a fifth under one of them.
    cycle = OcclusionGraph(5)
    for i in range(4):
        cycle.add_occlusion(i, (i + 1) % 4)
    cycle.add_occlusion(2, 4)
    assert cycle.cycles() == [[0, 1, 2, 3]]
    assert cycle.ancestors(1) == [0, 2, 3]
    assert cycle.ancestors(4) == [0, 1, 2, 3]


def test_order_matrix_round_trip_and_refusals():
    matrix = np.array([[0, 1, 0], [-1, 0, -1], [0, 1, 0]])
    graph = OcclusionGraph.from_order_matrix(matrix)
    assert np.array_equal(graph.order_matrix(), matrix)
    with pytest.raises(ValueError, match="order"):
        OcclusionGraph.from_order_matrix(np.array([[0, 1], [1, 0]]))
    with pytest.raises(ValueError, match="one edge per pair"):
        graph.add_occlusion(1, 0)


def test_scores_decide_and_increments_are_noted():
    pairs = [(0, 1), (1, 2), (0, 2)]
    increments = np.array([[3.0, 10.0], [0.0, 0.0], [4.0, 1.0]])
    graph = OcclusionGraph.from_scores(3, pairs, np.array([-0.5, 2.0, 0.0]), increments)
    assert graph.edges == [(1, 0), (1, 2)]
    assert graph.neighbour_pairs == [(0, 1), (0, 2), (1, 2)]
    assert graph.graph.edges[1, 0]["increments"] == (10.0, 3.0)
