"""Completion by AmodalUNet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...inference.completion_ordering import CompletionOrdering
from ...inference.network_runner import NetworkRunner, Sample
from ...inference.steps import NetworkStep, constrains, describe_network, dilation, patch_arguments
from ...structures import Deocclusion, OcclusionGraph, Scene, SquareCrop

# Probability above which a pixel belongs to an amodal mask.
AMODAL_THRESHOLD = 0.5


class SupervisedCompletion(NetworkStep):
    """Completes every visible instance with AmodalUNet, whatever the order.

    Args:
        runner: runs AmodalUNet.
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``.
        threshold: probability above which a pixel belongs to the amodal mask.
        constrain: True: the result is ``modal | completion``, which keeps visible pixels. False:
            the completion as it is pasted back.
        description: what ``describe`` says.
    """

    def __init__(
        self,
        runner: NetworkRunner,
        *,
        patch_size: int = 256,
        enlarge: float = 3.0,
        threshold: float = AMODAL_THRESHOLD,
        constrain: bool = True,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(runner, description)
        self.patch_size = patch_size
        self.enlarge = enlarge
        self.threshold = threshold
        self.constrain = constrain

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        """Amodal masks of every instance of every scene; an empty mask stays empty."""
        jobs: list[tuple[int, int, SquareCrop]] = []
        results = [list(scene.modal_masks) for scene in scenes]
        probabilities = self.runner.outputs(self._samples(scenes, jobs), "probability")
        for k, probability in enumerate(probabilities):
            s, i, square = jobs[k]
            scene = scenes[s]
            # As torch compares: in the network's precision.
            completed = probability > np.float32(self.threshold)
            amodal = square.paste(completed, scene.height, scene.width)
            results[s][i] = scene.modal_masks[i] | amodal if self.constrain else amodal
        return [Deocclusion(g, masks) for g, masks in zip(graphs, results, strict=True)]

    def _samples(
        self, scenes: Sequence[Scene], jobs: list[tuple[int, int, SquareCrop]]
    ) -> Iterator[Sample]:
        for s, scene in enumerate(scenes):
            for i, mask in enumerate(scene.modal_masks):
                if mask.is_empty:
                    continue
                square = SquareCrop.around(mask.box, self.enlarge)
                jobs.append((s, i, square))
                yield {
                    "modal_mask": square.resize_bilinear(mask, self.patch_size),
                    "category_id": np.asarray(scene.category_ids[i], dtype=np.int64),
                }


def build_ordering(cfg, runner: NetworkRunner) -> CompletionOrdering:
    """The ordering "amodal_unet"."""
    return CompletionOrdering(build_completion(cfg, runner), dilation=dilation(cfg))


def build_completion(cfg, runner: NetworkRunner) -> SupervisedCompletion:
    """The completion "amodal_unet"."""
    return SupervisedCompletion(
        runner,
        constrain=constrains(cfg),
        description={"amodal_threshold": AMODAL_THRESHOLD, **describe_network(cfg, runner)},
        **patch_arguments(cfg),
    )
