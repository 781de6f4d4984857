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


def test_confidences_lie_on_the_edges_and_only_where_they_are_given():
    pairs = [(0, 1), (1, 2), (2, 3)]
    increments = np.array([[1.0, 3.0], [5.0, 0.0], [4.0, 4.0]])
    scores = np.array([1.0, -1.0, 0.0])
    graph = OcclusionGraph.from_scores(4, pairs, scores, increments, [0.5, 1.0, 0.0])
    assert graph.edges == [(0, 1), (2, 1)]
    assert (graph.confidence(0, 1), graph.confidence(2, 1)) == (0.5, 1.0)
    without = OcclusionGraph.from_increments(4, pairs, increments)
    assert without.edges == graph.edges
    assert without.confidence(0, 1) is None and without.mutual_pairs == {}
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
            graph.add_occlusion(0, 3, confidence=wrong)
    assert graph.edges == [(0, 1), (2, 1)]


def mutual_graph() -> OcclusionGraph:
    graph = OcclusionGraph(4)
    graph.add_occlusion(3, 1, (8.0, 9.0), 0.0625)
    graph.add_mutual(3, 1, (8, 9))
    graph.add_mutual(1, 2, (7, 7))
    graph.add_neighbours(1, 2)
    graph.add_neighbours(0, 1)
    return graph


def test_mutual_pairs_are_reported_beside_the_edges():
    graph = mutual_graph()
    # Of a pair (i, j), i < j, the first number is i's: 3 gained 8 and 1 gained 9.
    assert graph.mutual_pairs == {(1, 2): (7.0, 7.0), (1, 3): (9.0, 8.0)}
    assert list(graph.mutual_pairs) == [(1, 2), (1, 3)]
    assert [graph.mutual_partners(k) for k in range(4)] == [[], [2, 3], [1], [1]]
    assert graph.edges == [(3, 1)] and graph.neighbour_pairs == [(0, 1), (1, 2), (1, 3)]


def test_subgraph_keeps_what_is_known():
    part = mutual_graph().subgraph([3, 1])
    assert len(part) == 2 and part.edges == part.neighbour_pairs == [(0, 1)]
    assert part.graph.edges[0, 1]["increments"] == (8.0, 9.0)
    assert part.confidence(0, 1) == 0.0625
    assert part.mutual_pairs == {(0, 1): (8.0, 9.0)}
    part = mutual_graph().subgraph([0, 1, 2])
    assert part.edges == [] and part.neighbour_pairs == [(0, 1), (1, 2)]
    assert part.mutual_pairs == {(1, 2): (7.0, 7.0)}


class TestZOrder:
    def test_longest_path_down_counts(self):
        # 0 hides 1, 1 hides 2, and 0 hides 2 as well; 3 hides 2; 4 is alone.
        graph = OcclusionGraph(5)
        for edge in [(0, 2), (0, 1), (1, 2), (3, 2)]:
            graph.add_occlusion(*edge)
        assert graph.z_order() == [2, 1, 0, 1, 0]

    def test_a_cycle_is_one(self):
        # 0, 1, 2 in a circle, before 3, which is before 4; 5 is before one of the circle.
        graph = OcclusionGraph(6)
        for edge in [(0, 1), (1, 2), (2, 0), (1, 3), (3, 4), (5, 2)]:
            graph.add_occlusion(*edge)
        assert graph.z_order() == [2, 2, 2, 1, 0, 3]
        assert graph.cycles() == [[0, 1, 2]]

    def test_nothing_decides(self):
        graph = OcclusionGraph(3)
        graph.add_neighbours(0, 1)
        graph.add_mutual(1, 2, (4.0, 5.0))
        assert graph.z_order() == [0, 0, 0]
        assert OcclusionGraph(0).z_order() == []

    @pytest.mark.parametrize("seed", range(5))
    def test_every_edge_goes_down_unless_in_a_cycle(self, seed):
        rng = np.random.default_rng(seed)
        count = 12
        graph = OcclusionGraph(count)
        for i in range(count):
            for j in range(i):
                if rng.random() < 0.25:
                    graph.add_occlusion(*((i, j) if rng.random() < 0.6 else (j, i)))
        ranks = graph.z_order()
        circle = {i: k for k, members in enumerate(graph.cycles()) for i in members}
        for front, back in graph.edges:
            same = front in circle and circle[front] == circle.get(back)
            assert ranks[front] == ranks[back] if same else ranks[front] > ranks[back]
        # No rank is left out, and each stands on one below.
        assert set(ranks) == set(range(max(ranks) + 1))
