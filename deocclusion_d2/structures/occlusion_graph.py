"""The occlusion graph of a scene: directed edges from occluder to occludee."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx
import numpy as np


class OcclusionGraph:
    """Who hides whom among N instances, numbered 0..N-1.

    A pair of touching instances is a *neighbour* pair. Its order is 0 (neither hides the other) or
    one directed edge, occluder -> occludee. The graph may hold cycles of three or more instances.

    Attributes:
        graph: the ``networkx.DiGraph``; an edge carries ``increments`` = (pixels that the occluder
            gained, pixels that the occludee gained) in dual completion, where it was computed.
    """

    def __init__(self, num_instances: int) -> None:
        self.graph = nx.DiGraph()
        self.graph.add_nodes_from(range(num_instances))
        self._neighbours = nx.Graph()
        self._neighbours.add_nodes_from(range(num_instances))

    @classmethod
    def from_increments(
        cls, num_instances: int, pairs: Iterable[tuple[int, int]], increments: np.ndarray
    ) -> OcclusionGraph:
        """Eq. 3: of a neighbour pair, the instance with the larger increment is the occludee.

        Args:
            pairs: P neighbour pairs (i, j).
            increments: (P, 2) pixels gained by i completed against j, and by j against i. Equal
                increments, above all both zero, decide nothing: the pair has no edge. (The paper
                gives a tie of positive increments probability zero; an edge there would depend on
                the order in which the instances are listed.)
        """
        increments = np.asarray(increments, float).reshape(-1, 2)
        scores = increments[:, 1] - increments[:, 0]
        return cls.from_scores(num_instances, pairs, scores, increments)

    @classmethod
    def from_scores(
        cls,
        num_instances: int,
        pairs: Iterable[tuple[int, int]],
        scores: np.ndarray,
        increments: np.ndarray,
    ) -> OcclusionGraph:
        """The sign of a pair's score decides its order; the increments are noted on the edge.

        Args:
            pairs: P neighbour pairs (i, j).
            scores: (P,) positive where i is in front of j, negative where j is in front of i; 0
                decides nothing: the pair has no edge.
            increments: (P, 2), see ``from_increments``; they may contradict the score.
        """
        graph = cls(num_instances)
        for (i, j), score, (gain_i, gain_j) in zip(pairs, scores, increments, strict=True):
            graph.add_neighbours(i, j)
            if score > 0:
                graph.add_occlusion(i, j, (gain_i, gain_j))
            elif score < 0:
                graph.add_occlusion(j, i, (gain_j, gain_i))
        return graph

    @classmethod
    def from_order_matrix(cls, order: np.ndarray) -> OcclusionGraph:
        """From eq. 3's O: order[i, j] = 1 when i occludes j, -1 when j occludes i, else 0."""
        order = np.asarray(order)
        if order.ndim != 2 or not np.array_equal(order, -order.T):
            raise ValueError("an order matrix must be square with order[i, j] == -order[j, i]")
        graph = cls(len(order))
        for i, j in np.argwhere(order == 1):
            graph.add_occlusion(int(i), int(j))
        return graph

    # ---------------------------------------------------------------- building

    def add_neighbours(self, i: int, j: int) -> None:
        """Note that two instances touch."""
        self._neighbours.add_edge(i, j)

    def add_occlusion(
        self, occluder: int, occludee: int, increments: tuple[float, float] | None = None
    ) -> None:
        """Add the edge occluder -> occludee; the pair becomes neighbours too."""
        if self.graph.has_edge(occludee, occluder):
            raise ValueError(f"instance {occludee} already occludes {occluder}: one edge per pair")
        self.add_neighbours(occluder, occludee)
        attributes = {} if increments is None else {"increments": tuple(map(float, increments))}
        self.graph.add_edge(occluder, occludee, **attributes)

    # ---------------------------------------------------------------- reading

    def __len__(self) -> int:
        return self.graph.number_of_nodes()

    @property
    def edges(self) -> list[tuple[int, int]]:
        """All (occluder, occludee), sorted."""
        return sorted(self.graph.edges)

    @property
    def neighbour_pairs(self) -> list[tuple[int, int]]:
        """All touching pairs (i, j), i < j, sorted."""
        return sorted((min(e), max(e)) for e in self._neighbours.edges)

    def order(self, i: int, j: int) -> int:
        """1 when i occludes j, -1 when j occludes i, 0 when neither does."""
        return int(self.graph.has_edge(i, j)) - int(self.graph.has_edge(j, i))

    def order_matrix(self) -> np.ndarray:
        """(N, N) int8 of ``order``."""
        matrix = np.zeros((len(self), len(self)), dtype=np.int8)
        for i, j in self.graph.edges:
            matrix[i, j], matrix[j, i] = 1, -1
        return matrix

    def neighbours(self, instance: int) -> list[int]:
        """Instances that touch this one, sorted."""
        return sorted(self._neighbours.neighbors(instance))

    def occluders(self, instance: int) -> list[int]:
        """Direct occluders, sorted."""
        return sorted(self.graph.predecessors(instance))

    def occludees(self, instance: int) -> list[int]:
        """Instances that this one hides directly, sorted."""
        return sorted(self.graph.successors(instance))

    def ancestors(self, instance: int) -> list[int]:
        """All instances from which a path of occlusions leads here (Sec. 3.3), sorted.

        On a cycle this includes the other members of the cycle, never the instance itself.
        """
        return sorted(nx.ancestors(self.graph, instance) - {instance})

    def cycles(self) -> list[list[int]]:
        """Groups of instances that hide each other in a circle (strongly connected, >= 2)."""
        components = nx.strongly_connected_components(self.graph)
        return sorted(sorted(c) for c in components if len(c) > 1)
