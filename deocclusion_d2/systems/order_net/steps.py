"""Ordering by OrderNet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...inference.network_runner import NetworkRunner, Sample
from ...inference.steps import (
    NetworkStep,
    describe_network,
    dilation,
    patch_arguments,
    require_image,
)
from ...structures import OcclusionGraph, Scene, SquareCrop
from ...structures.window_mask import common_box

# Pairs of a forward on a CPU.
_CPU_PAIRS = 8


class PairRunner(NetworkRunner):
    """Runs OrderNet."""

    def forward_size(self, patch_size: int) -> int:
        """See ``NetworkRunner``. On a CPU one size fits all: the backbone reduces every patch."""
        return self.batch_size if self.model.device.type == "cuda" else _CPU_PAIRS


class OrderNetOrdering(NetworkStep):
    """Orders neighbours by OrderNet: the more probable one is in front.

    Args:
        runner: runs OrderNet.
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``; the square is that around both instances.
        dilation: see ``Scene.neighbour_pairs``.
        description: what ``describe`` says.
    """

    def __init__(
        self,
        runner: PairRunner,
        *,
        patch_size: int = 256,
        enlarge: float = 3.0,
        dilation: int = 0,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(runner, description)
        self.patch_size = patch_size
        self.enlarge = enlarge
        self.dilation = dilation

    def __call__(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        """The occlusion graph of every scene. All pairs of all scenes share the batches.

        A pair of which both are equally probable has no edge.
        """
        pairs = [s.neighbour_pairs(self.dilation) for s in scenes]
        probabilities = self.runner.outputs(self._samples(scenes, pairs), "first_in_front")
        graphs = []
        for scene, scene_pairs in zip(scenes, pairs, strict=True):
            graph = OcclusionGraph(len(scene))
            for i, j in scene_pairs:
                graph.add_neighbours(i, j)
                probability = next(probabilities)
                if probability != 0.5:
                    edge = (i, j) if probability > 0.5 else (j, i)
                    graph.add_occlusion(*edge, confidence=abs(2 * float(probability) - 1))
            graphs.append(graph)
        return graphs

    def _samples(
        self, scenes: Sequence[Scene], pairs: Sequence[list[tuple[int, int]]]
    ) -> Iterator[Sample]:
        for scene, scene_pairs in zip(scenes, pairs, strict=True):
            for i, j in scene_pairs:
                first, second = scene.modal_masks[i], scene.modal_masks[j]
                square = SquareCrop.around(common_box(first, second), self.enlarge)
                sample = {
                    "first_mask": square.sample(first, self.patch_size),
                    "second_mask": square.sample(second, self.patch_size),
                }
                if self.runner.uses_rgb:
                    sample["image"] = square.resize_image(require_image(scene), self.patch_size)
                yield sample


def build_ordering(cfg, runner: PairRunner) -> OrderNetOrdering:
    """The ordering "order_net"."""
    return OrderNetOrdering(
        runner,
        dilation=dilation(cfg),
        description=describe_network(cfg, runner),
        **patch_arguments(cfg),
    )
