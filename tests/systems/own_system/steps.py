"""Its completion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deocclusion_d2.inference.network_runner import NetworkRunner
from deocclusion_d2.inference.steps import NetworkStep, describe_network
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, SquareCrop


class OwnCompletion(NetworkStep):
    """What the convolution adds to a modal mask, whatever the order."""

    def __init__(self, runner: NetworkRunner, cfg) -> None:
        self._crop = cfg.INPUT.INSTANCE_CROP
        self._threshold = cfg.DEOCCLUSION.OWN_THRESHOLD
        said = {"own_threshold": self._threshold, **describe_network(cfg, runner)}
        super().__init__(runner, said)

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        results = [list(scene.modal_masks) for scene in scenes]
        jobs = [
            (scene, masks, i, SquareCrop.around(mask.box, self._crop.ENLARGE))
            for scene, masks in zip(scenes, results, strict=True)
            for i, mask in enumerate(scene.modal_masks)
            if not mask.is_empty
        ]
        size = self._crop.SIZE
        samples = [
            {"modal_mask": square.sample(scene.modal_masks[i], size).view(np.uint8)}
            for scene, _, i, square in jobs
        ]
        probabilities = self.runner.outputs(samples, "probability")
        for (scene, masks, i, square), found in zip(jobs, probabilities, strict=True):
            masks[i] = masks[i] | square.paste(found > self._threshold, scene.height, scene.width)
        return [Deocclusion(g, masks) for g, masks in zip(graphs, results, strict=True)]


def build_completion(cfg, runner: NetworkRunner) -> OwnCompletion:
    return OwnCompletion(runner, cfg)
