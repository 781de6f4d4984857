"""Completion by Amodal-VAE: the mode of what the visible part may belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from ...inference.completion_ordering import CompletionOrdering
from ...inference.network_runner import NetworkRunner, Sample
from ...inference.steps import NetworkStep, constrains, dilation
from ...structures import Deocclusion, OcclusionGraph, ProbabilityMap, Scene, WindowMask
from ...structures.window_mask import union
from .mapper import soft_crop
from .transformer import box_from


@dataclass(frozen=True)
class _Mode:
    """The mode's mask and box of each sample, in one row: (P, M * M + 4)."""

    def __call__(self, runner: NetworkRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        found = runner.model(batch)
        return torch.cat([found["probability"].flatten(1), found["box"]], dim=1)


class AmodalVAECompletion(NetworkStep):
    """Completes every visible instance, whatever the order.

    Args:
        runner: runs Amodal-VAE.
        threshold: probability above which a pixel, pasted back, belongs to the amodal mask (the
            paper searched 0.1 on its validation set).
        constrain: True: the result is ``modal | completion``, which keeps visible pixels; False:
            the completion as it is pasted back.
        grounded: only pixels of instances in front of an instance are added to it.
        keep_probability: also give probabilities.
        description: what ``describe`` says.
    """

    def __init__(
        self,
        runner: NetworkRunner,
        *,
        threshold: float = 0.1,
        constrain: bool = True,
        grounded: bool = False,
        keep_probability: bool = False,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(runner, description)
        self.threshold = threshold
        self.constrain = constrain
        self.grounded = grounded
        self.keep_probability = keep_probability

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        """Amodal masks of every instance of every scene; an empty mask stays empty."""
        jobs: list[tuple[int, int]] = []
        results = [list(scene.modal_masks) for scene in scenes]
        maps: list[list[ProbabilityMap | None]] = [[None] * len(scene) for scene in scenes]
        side = self.runner.model.size
        for k, row in enumerate(self.runner.results(self._samples(scenes, graphs, jobs), _Mode())):
            s, i = jobs[k]
            scene = scenes[s]
            probability = row[:-4].reshape(side, side)
            modal = scene.modal_masks[i]
            allowed = self.speaks_at(scene, graphs[s], i)
            pasted, x0, y0 = paste(
                probability, box_from(modal.box, row[-4:]), scene.height, scene.width
            )
            if allowed is not None:
                h, w = pasted.shape
                pasted = pasted * allowed.crop((x0, y0, x0 + w, y0 + h))
            amodal = WindowMask.from_array(pasted > np.float32(self.threshold), x0, y0)
            results[s][i] = modal | amodal if self.constrain or self.grounded else amodal
            if self.keep_probability:
                kept = ProbabilityMap.from_array(pasted, x0, y0)
                maps[s][i] = kept.with_certain(modal) if self.constrain else kept
        return [
            Deocclusion(g, masks, probabilities=kept if self.keep_probability else None)
            for g, masks, kept in zip(graphs, results, maps, strict=True)
        ]

    def speaks_at(self, scene: Scene, graph: OcclusionGraph, row: int) -> WindowMask | None:
        """Grounded, the pixels of what is in front of an instance; else None: everywhere."""
        if not self.grounded:
            return None
        return union(scene.modal_masks[j] for j in graph.ancestors(row))

    def _samples(
        self,
        scenes: Sequence[Scene],
        graphs: Sequence[OcclusionGraph],
        jobs: list[tuple[int, int]],
    ) -> Iterator[Sample]:
        for s, (scene, graph) in enumerate(zip(scenes, graphs, strict=True)):
            for i, mask in enumerate(scene.modal_masks):
                if mask.is_empty or (self.grounded and not graph.ancestors(i)):
                    continue
                jobs.append((s, i))
                h, w = mask.array.shape
                soft = soft_crop(mask.array, (0, 0, w, h), self.runner.model.size)
                yield {"partial": np.rint(soft * 255).astype(np.uint8)}


def paste(
    probability: np.ndarray, box: tuple[float, float, float, float], height: int, width: int
) -> tuple[np.ndarray, int, int]:
    """A mask's probabilities at the pixels of an image, bilinear inside its box, 0 outside.

    Args:
        probability: (M, M) float32.
        box: (x0, y0, x1, y1) in pixels; any part of it may lie outside the image.

    Returns:
        (h, w) float32, the pixels of the image whose centres lie in the box, and the x and y of the
        first one.
    """
    side = probability.shape[0]
    places, starts = [], []
    for low, high, length in ((box[0], box[2], width), (box[1], box[3], height)):
        # Pixels whose centres, at halves, lie in the box.
        first = min(max(int(np.ceil(low - 0.5)), 0), length)
        last = min(max(int(np.ceil(high - 0.5)), first), length)
        centres = np.arange(first, last, dtype=np.float32) + 0.5
        places.append((centres - low) / max(high - low, 1e-6) * side - 0.5)
        starts.append(first)
    x, y = (p.astype(np.float32) for p in places)
    if not len(x) or not len(y):
        return np.zeros((0, 0), np.float32), *starts
    grid_x, grid_y = np.meshgrid(x, y)
    pasted = cv2.remap(
        np.ascontiguousarray(probability, dtype=np.float32),
        grid_x,
        grid_y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return pasted, *starts


def build_completion(cfg, runner: NetworkRunner) -> AmodalVAECompletion:
    """The completion "amodal_vae"."""
    return _build(cfg, runner, grounded=False)


def build_grounded_completion(cfg, runner: NetworkRunner) -> AmodalVAECompletion:
    """The completion "amodal_vae_og"."""
    return _build(cfg, runner, grounded=True)


def build_ordering(cfg, runner: NetworkRunner) -> CompletionOrdering:
    """The ordering "amodal_vae"."""
    return CompletionOrdering(_build(cfg, runner, grounded=False), dilation=dilation(cfg))


def _build(cfg, runner: NetworkRunner, grounded: bool) -> AmodalVAECompletion:
    options = cfg.DEOCCLUSION
    return AmodalVAECompletion(
        runner,
        threshold=options.AMODAL_THRESHOLD,
        constrain=constrains(cfg),
        grounded=grounded,
        keep_probability=options.KEEP_PROBABILITY,
        description={
            "amodal_threshold": options.AMODAL_THRESHOLD,
            "mask_size": runner.model.size,
            "constrain": constrains(cfg),
            "precision": runner.precision,
        },
    )
