"""Who hides whom, by a completion that looks at one object at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..structures import OcclusionGraph, Scene, WindowMask
from .steps import Completion, NetworkStep


class CompletionOrdering(NetworkStep):
    """Eq. 3 without an eraser: of two neighbours, the one whose completion grows further into the
    other one's visible pixels is behind it.

    For networks that complete an object whatever hides it. A pair of which neither grows has no
    edge.

    Args:
        completion: completes every instance, whatever the graph.
        dilation: see ``Scene.neighbour_pairs``.
    """

    def __init__(self, completion: Completion | NetworkStep, *, dilation: int = 0) -> None:
        super().__init__(completion.runner, completion.describe())
        self.completion = completion
        self.dilation = dilation

    def __call__(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        """The occlusion graph of every scene."""
        pairs = [scene.neighbour_pairs(self.dilation) for scene in scenes]
        # A scene without neighbours needs no completion.
        asked = [row for row, of_scene in enumerate(pairs) if of_scene]
        nothing = [OcclusionGraph(len(scenes[row])) for row in asked]
        results = dict(
            zip(asked, self.completion([scenes[r] for r in asked], nothing), strict=True)
        )
        return [
            self._graph(scene, of_scene, results[row].amodal_masks)
            if row in results
            else OcclusionGraph(len(scene))
            for row, (scene, of_scene) in enumerate(zip(scenes, pairs, strict=True))
        ]

    def _graph(
        self, scene: Scene, pairs: Sequence[tuple[int, int]], amodal: Sequence[WindowMask]
    ) -> OcclusionGraph:
        modal = scene.modal_masks
        gains = [
            (amodal[i].intersection_area(modal[j]), amodal[j].intersection_area(modal[i]))
            for i, j in pairs
        ]
        increments = np.array(gains, dtype=np.float64).reshape(-1, 2)
        scores, total = increments[:, 1] - increments[:, 0], increments.sum(axis=1)
        confidences = np.abs(scores) / np.maximum(total, 1)
        return OcclusionGraph.from_scores(len(scene), pairs, scores, increments, confidences)
