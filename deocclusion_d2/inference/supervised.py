"""The supervised methods that the paper compares with: OrderNet and a U-Net of amodal masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ..structures import Deocclusion, OcclusionGraph, Scene, SquareCrop, neighbour_pairs
from ..structures.window_mask import common_box
from .network_runner import NetworkRunner, Sample
from .ordering import require_image
from .patch_completer import Patch, PatchCompleter

# Probability above which a pixel belongs to an amodal mask.
AMODAL_THRESHOLD = 0.5

# Pairs of a forward on a CPU.
_CPU_PAIRS = 8


class PairRunner(NetworkRunner):
    """Runs OrderNet."""

    def forward_size(self, patch_size: int) -> int:
        """See ``NetworkRunner``. On a CPU one size fits all: the backbone reduces every patch."""
        return self.batch_size if self.model.device.type == "cuda" else _CPU_PAIRS


class OrderNetOrdering:
    """Orders neighbours by OrderNet: the more probable one is in front.

    Args:
        runner: runs OrderNet.
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``; the square is that around both instances.
        dilation: see ``neighbour_pairs``.
    """

    def __init__(
        self,
        runner: PairRunner,
        *,
        patch_size: int = 256,
        enlarge: float = 3.0,
        dilation: int = 0,
    ) -> None:
        self.runner = runner
        self.patch_size = patch_size
        self.enlarge = enlarge
        self.dilation = dilation

    def __call__(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        """The occlusion graph of every scene. All pairs of all scenes share the batches.

        A pair of which both are equally probable has no edge.
        """
        pairs = [neighbour_pairs(s.modal_masks, self.dilation) for s in scenes]
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
                    "first_mask": square.sample(first, self.patch_size).view(np.uint8),
                    "second_mask": square.sample(second, self.patch_size).view(np.uint8),
                }
                if self.runner.uses_rgb:
                    sample["image"] = square.resize_image(require_image(scene), self.patch_size)
                yield sample


class SupervisedCompletion:
    """Completes every visible instance with AmodalUNet, whatever the order.

    Args:
        completer: runs AmodalUNet.
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``.
        threshold: probability above which a pixel belongs to the amodal mask.
        constrain: True: the result is ``modal | completion``, which keeps visible pixels. False:
            the completion as it is pasted back.
    """

    def __init__(
        self,
        completer: PatchCompleter,
        *,
        patch_size: int = 256,
        enlarge: float = 3.0,
        threshold: float = AMODAL_THRESHOLD,
        constrain: bool = True,
    ) -> None:
        self.completer = completer
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
        completed = self.completer.run(self._patches(scenes, jobs), self._completed)
        for k, patch in enumerate(completed):
            s, i, square = jobs[k]
            scene = scenes[s]
            amodal = square.paste(patch, scene.height, scene.width)
            results[s][i] = scene.modal_masks[i] | amodal if self.constrain else amodal
        return [Deocclusion(g, masks) for g, masks in zip(graphs, results, strict=True)]

    def _completed(
        self, probability: torch.Tensor, target: torch.Tensor, eraser: torch.Tensor
    ) -> torch.Tensor:
        return probability > self.threshold

    def _patches(
        self, scenes: Sequence[Scene], jobs: list[tuple[int, int, SquareCrop]]
    ) -> Iterator[Patch]:
        nothing = np.zeros((self.patch_size, self.patch_size), dtype=bool)
        for s, scene in enumerate(scenes):
            for i, mask in enumerate(scene.modal_masks):
                if mask.is_empty:
                    continue
                square = SquareCrop.around(mask.box, self.enlarge)
                jobs.append((s, i, square))
                target = square.resize_bilinear(mask, self.patch_size)
                yield Patch(target, nothing, int(scene.category_ids[i]))
