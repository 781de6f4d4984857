"""The occlusion graph of a scene: directed edges from occluder to occludee."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import networkx as nx
import numpy as np


class OcclusionGraph:
    """Who hides whom among N instances, numbered 0..N-1.

    A pair of touching instances is a *neighbour* pair. Its order is 0 (neither hides the other) or
    one directed edge, occluder -> occludee. The graph may hold cycles of three or more instances.
    Of two instances that each hide a part of the other, it says so (``mutual_pairs``), beside the
    one edge that the pair has at most.

    Attributes:
        graph: the ``networkx.DiGraph``; an edge carries ``increments`` = (pixels that the occluder
            gained, pixels that the occludee gained) in dual completion, where it was computed, and
            ``confidence``, see there, where the method has one.
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
        confidences: Iterable[float] | None = None,
    ) -> OcclusionGraph:
        """The sign of a pair's score decides its order; the increments are noted on the edge.

        Args:
            pairs: P neighbour pairs (i, j).
            scores: (P,) positive where i is in front of j, negative where j is in front of i; 0
                decides nothing: the pair has no edge.
            increments: (P, 2), see ``from_increments``; they may contradict the score.
            confidences: P numbers in [0, 1], see ``confidence``; None where the method has none.
        """
        graph = cls(num_instances)
        if confidences is None:
            confidences = [None] * len(scores)
        rows = zip(pairs, scores, increments, confidences, strict=True)
        for (i, j), score, (gain_i, gain_j), confidence in rows:
            graph.add_neighbours(i, j)
            if score > 0:
                graph.add_occlusion(i, j, (gain_i, gain_j), confidence)
            elif score < 0:
                graph.add_occlusion(j, i, (gain_j, gain_i), confidence)
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
        self,
        occluder: int,
        occludee: int,
        increments: tuple[float, float] | None = None,
        confidence: float | None = None,
    ) -> None:
        """Add the edge occluder -> occludee; the pair becomes neighbours too.

        Raises:
            ValueError: the contrary edge is there, or a confidence is not in [0, 1].
        """
        if self.graph.has_edge(occludee, occluder):
            raise ValueError(f"instance {occludee} already occludes {occluder}: one edge per pair")
        attributes: dict[str, object] = {}
        if increments is not None:
            attributes["increments"] = tuple(map(float, increments))
        if confidence is not None:
            if not 0 <= confidence <= 1:
                raise ValueError(f"confidence {confidence} is not in [0, 1]")
            attributes["confidence"] = float(confidence)
        self.add_neighbours(occluder, occludee)
        self.graph.add_edge(occluder, occludee, **attributes)

    def put_in_front(self, occluder: int, occludee: int, confidence: float | None = None) -> None:
        """Add the edge occluder -> occludee, in place of the contrary one if that is there.

        The increments of a contrary edge stay noted.
        """
        increments = None
        if self.graph.has_edge(occludee, occluder):
            increments = self.graph.edges[occludee, occluder].get("increments")
            self.graph.remove_edge(occludee, occluder)
        turned = None if increments is None else (increments[1], increments[0])
        self.add_occlusion(occluder, occludee, turned, confidence)

    def add_mutual(self, i: int, j: int, increments: tuple[float, float]) -> None:
        """Note that two instances hide parts of each other; they become neighbours, too.

        Args:
            increments: pixels gained by i completed against j, and by j against i.
        """
        gain_i, gain_j = map(float, increments)
        gains = (gain_i, gain_j) if i < j else (gain_j, gain_i)
        self._neighbours.add_edge(i, j, mutual=gains)

    def subgraph(self, instances: Sequence[int]) -> OcclusionGraph:
        """The graph of some instances, numbered anew in the order in which they are given."""
        new = {old: row for row, old in enumerate(instances)}
        kept = OcclusionGraph(len(instances))
        for i, j in self.neighbour_pairs:
            if i in new and j in new:
                kept.add_neighbours(new[i], new[j])
        for (i, j), gains in self.mutual_pairs.items():
            if i in new and j in new:
                kept.add_mutual(new[i], new[j], gains)
        for i, j in self.edges:
            if i in new and j in new:
                kept.add_occlusion(new[i], new[j], **self.graph.edges[i, j])
        return kept

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

    @property
    def mutual_pairs(self) -> dict[tuple[int, int], tuple[float, float]]:
        """Neighbours that hide parts of each other, which no order describes (supplement B.2).

        Sorted pairs (i, j), i < j -> pixels gained by i completed against j, and by j against i.
        Such a pair keeps the edge that the method gives it, if any.
        """
        noted = self._neighbours.edges(data="mutual")
        return dict(sorted(((min(i, j), max(i, j)), m) for i, j, m in noted if m is not None))

    def mutual_partners(self, instance: int) -> list[int]:
        """The other instance of each of its mutual pairs, sorted."""
        noted = self._neighbours[instance]
        return [k for k in self.neighbours(instance) if "mutual" in noted[k]]

    def confidence(self, occluder: int, occludee: int) -> float | None:
        """How sure the method is of an edge: 0 (it guesses) to 1; None where it does not say.

        Dual completion alone: the relative difference of the two increments, |a - b| / (a + b), so
        1 where only one instance gained. Methods that give a probability p >= 0.5 that the edge is
        right (dual completion with an ordering prior, OrderNet): 2p - 1. Of an edge that masks
        which overlap have alone: the share of the smaller one that lies on the other.
        """
        return self.graph.edges[occluder, occludee].get("confidence")

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

    def descendants(self, instance: int) -> list[int]:
        """All instances to which a path of occlusions leads from here; see ``ancestors``."""
        return sorted(nx.descendants(self.graph, instance) - {instance})

    def cycles(self) -> list[list[int]]:
        """Groups of instances that hide each other in a circle (strongly connected, >= 2)."""
        components = nx.strongly_connected_components(self.graph)
        return sorted(sorted(c) for c in components if len(c) > 1)

    def front_to_back(self, more: Iterable[tuple[int, int]] = ()) -> list[int]:
        """N ranks from the front, one each: an occluder's is below its occludee's.

        Where edges go in a circle, the ones of least confidence do not count; of equal ones those
        that come later, in order of their rows.

        Args:
            more: further pairs (in front, behind), which count less than edges, the first most.
        """
        known = sorted(
            self.graph.edges(data="confidence"),
            key=lambda edge: (-1.0 if edge[2] is None else -edge[2], edge[:2]),
        )
        acyclic = nx.DiGraph()
        acyclic.add_nodes_from(range(len(self)))
        for front, back in [*((i, j) for i, j, _ in known), *more]:
            if not nx.has_path(acyclic, back, front):
                acyclic.add_edge(front, back)
        rows = list(nx.lexicographical_topological_sort(acyclic))
        return [rank for _, rank in sorted(zip(rows, range(len(rows)), strict=True))]

    def z_order(self) -> list[int]:
        """N ranks from the rear: 0 hides nothing, and what hides others is above all of them.

        A rank is the length of the longest path in the graph down from an instance, where those of
        a cycle (``cycles``) count as one and share theirs. So an occluder's rank is above its
        occludee's outside of cycles, and ranks of instances that no path connects say nothing about
        each other; drawn from 0 on, as annotation tools draw by ``z_order``, occluders cover what
        they hide.
        """
        merged = nx.condensation(self.graph)
        ranks: dict[int, int] = {}
        for group in reversed(list(nx.topological_sort(merged))):
            below = merged.successors(group)
            ranks[group] = max((ranks[k] + 1 for k in below), default=0)
        group_of = merged.graph["mapping"]
        return [ranks[group_of[i]] for i in range(len(self))]
