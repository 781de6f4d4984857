"""Ordering recovery by dual completion (Sec. 3.2, eq. 3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from ...inference.steps import NetworkStep, require_image
from ...structures import OcclusionGraph, Scene, SquareCrop
from .completion import grow_eraser
from .ordering_prior import OrderingPrior, relative_difference
from .pair_features import FEATURES, pair_features
from .patch_completer import Increment, Patch, PatchCompleter
from .prior_rule import prior_of_request


def mutual_occlusions(
    scene: Scene,
    pairs: Sequence[tuple[int, int]],
    increments: np.ndarray,
    share: float,
    difference: float,
) -> np.ndarray:
    """Pairs that no order describes, as each instance hides a part of the other (supplement B.2).

    Both completions gain a substantial part there, and neither clearly more than the other.

    Args:
        pairs: P neighbour pairs (i, j).
        increments: (P, 2) pixels gained by i completed against j, and by j against i.
        share: of the smaller of the two modal areas: both increments are above it.
        difference: largest relative difference of the increments, |a - b| / (a + b).

    Returns:
        (P,) bool.
    """
    increments = np.asarray(increments, dtype=np.float64).reshape(-1, 2)
    masks = scene.modal_masks
    smaller = np.array([min(masks[i].area, masks[j].area) for i, j in pairs], dtype=np.float64)
    substantial = increments.min(axis=1) > share * smaller
    return substantial & (np.abs(relative_difference(increments)) <= difference)


class DualCompletion(NetworkStep):
    """Orders neighbours by completing each of them with the other as the eraser.

    Args:
        runner: runs PCNet-M.
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``.
        threshold: probability above which a pixel is completed.
        dilation: see ``grow_eraser``; used in the neighbour test too.
        prior: decides together with the increments; None for eq. 3 alone.
        fits_prior: the prior is fitted to the pairs that are ordered, those of each scene by itself
            unless ``calibrated`` says it for all; ``prior`` is for where they are too few.
        mutual_share, mutual_difference: see ``mutual_occlusions``; they change no edge.
        description: what ``describe`` says.
    """

    def __init__(
        self,
        runner: PatchCompleter,
        *,
        patch_size: int = 256,
        enlarge: float = 3.0,
        threshold: float = 0.1,
        dilation: int = 0,
        prior: OrderingPrior | None = None,
        fits_prior: bool = False,
        mutual_share: float = 0.1,
        mutual_difference: float = 0.2,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(runner, description)
        self.patch_size = patch_size
        self.enlarge = enlarge
        self.threshold = threshold
        self.dilation = dilation
        # A prior that is not enabled decides nothing.
        self.prior = prior if prior is not None and prior.enabled else None
        self.needs_calibration = fits_prior
        self.mutual_share = mutual_share
        self.mutual_difference = mutual_difference

    def __call__(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        """The occlusion graph of every scene. All pairs of all scenes share the batches."""
        return [
            self._graph(scene, pairs, increments)
            for scene, (pairs, increments) in zip(scenes, self.increments(scenes), strict=True)
        ]

    def measure(self, scenes: Sequence[Scene]) -> list[np.ndarray]:
        """What a prior is fitted to, for the neighbours of every scene.

        Returns:
            For each scene (P, len(FEATURES) + 1) float64: ``pair_features`` of its pairs, and dual
            completion's ``relative_difference``.
        """
        return [
            _measurement(scene, pairs, increments)
            for scene, (pairs, increments) in zip(scenes, self.increments(scenes), strict=True)
        ]

    def fit(self, measured: Sequence[np.ndarray]) -> dict[str, Any]:
        """The prior of a request, for JSON, out of what ``measure`` gives for its scenes."""
        return prior_of_request(*pairs_of(measured), self.prior).to_json()

    def calibrated(self, fitted: Mapping[str, Any]) -> DualCompletion:
        """This step with what ``fit`` has given; it says so as ``OrderingPrior.load`` reads it."""
        other = copy(self)
        prior = OrderingPrior.from_json(fitted)
        other.prior = prior if prior.enabled else None
        other.needs_calibration = False
        other._description = {**self._description, "ordering_prior": prior.to_json()}
        return other

    def increments(self, scenes: Sequence[Scene]) -> list[tuple[list[tuple[int, int]], np.ndarray]]:
        """What eq. 3 compares, for the neighbours of every scene.

        Returns:
            For each scene its P neighbour pairs (i, j), i < j, and (P, 2) float64: the pixels of
            the image gained by i completed against j, and by j against i.
        """
        pairs = [s.neighbour_pairs(self.dilation) for s in scenes]
        squares: list[SquareCrop] = []
        patches = self._patches(scenes, pairs, squares)
        gains = np.fromiter(
            self.runner.run(patches, Increment(self.threshold), under_eraser_only=True),
            dtype=np.float64,
        )
        # A patch pixel stands for (side / S)^2 pixels of the image.
        gains *= (np.array([s.side for s in squares]) / self.patch_size) ** 2
        gains = gains.reshape(-1, 2)
        stops = np.cumsum([len(p) for p in pairs])
        return list(zip(pairs, np.split(gains, stops[:-1]), strict=True)) if pairs else []

    def _graph(
        self, scene: Scene, pairs: list[tuple[int, int]], increments: np.ndarray
    ) -> OcclusionGraph:
        scores = relative_difference(increments)
        confidences = np.abs(scores)
        prior = self.prior
        if self.needs_calibration:
            alone = [_measurement(scene, pairs, increments)]
            prior = prior_of_request(*pairs_of(alone), prior)
        if prior is not None and prior.enabled:
            scores = prior.scores(scene, pairs, increments)
            # 2p - 1 of the probability p that log odds stand for.
            confidences = [math.tanh(abs(score) / 2) for score in scores]
        graph = OcclusionGraph.from_scores(len(scene), pairs, scores, increments, confidences)
        mutual = mutual_occlusions(
            scene, pairs, increments, self.mutual_share, self.mutual_difference
        )
        for k in np.flatnonzero(mutual):
            graph.add_mutual(*pairs[k], increments[k])
        return graph

    def _patches(
        self,
        scenes: Sequence[Scene],
        pairs: Sequence[list[tuple[int, int]]],
        squares: list[SquareCrop],
    ) -> Iterator[Patch]:
        for scene, scene_pairs in zip(scenes, pairs, strict=True):
            crops = _TargetCrops(scene, self.patch_size, self.enlarge)
            for i, j in scene_pairs:
                for target, other in ((i, j), (j, i)):
                    square = crops.square(target)
                    eraser = grow_eraser(
                        scene.seams.eraser(target, [other]),
                        scene.modal_masks[target],
                        self.dilation,
                    )
                    squares.append(square)
                    yield Patch(
                        crops.mask(target),
                        square.sample(eraser, self.patch_size),
                        int(scene.category_ids[target]),
                        crops.image(target) if self.runner.uses_rgb else None,
                    )


def _measurement(
    scene: Scene, pairs: Sequence[tuple[int, int]], increments: np.ndarray
) -> np.ndarray:
    return np.column_stack([pair_features(scene, pairs), relative_difference(increments)])


def pairs_of(measured: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``DualCompletion.measure`` of some scenes as ``prior_rule`` takes it.

    Returns:
        Features (P, len(FEATURES)), relative differences (P,), and the scenes' numbers (P,).
    """
    pairs = np.concatenate([np.zeros((0, len(FEATURES) + 1)), *measured])
    numbers = np.repeat(np.arange(len(measured)), [len(rows) for rows in measured])
    return pairs[:, :-1], pairs[:, -1], numbers


class _TargetCrops:
    """What all patches of one target share, made once."""

    def __init__(self, scene: Scene, size: int, enlarge: float) -> None:
        self._scene, self._size, self._enlarge = scene, size, enlarge
        self._squares: dict[int, SquareCrop] = {}
        self._masks: dict[int, np.ndarray] = {}
        self._images: dict[int, np.ndarray] = {}

    def square(self, i: int) -> SquareCrop:
        if i not in self._squares:
            self._squares[i] = SquareCrop.around(self._scene.modal_masks[i].box, self._enlarge)
        return self._squares[i]

    def mask(self, i: int) -> np.ndarray:
        if i not in self._masks:
            self._masks[i] = self.square(i).sample(self._scene.modal_masks[i], self._size)
        return self._masks[i]

    def image(self, i: int) -> np.ndarray:
        if i not in self._images:
            self._images[i] = self.square(i).resize_image(require_image(self._scene), self._size)
        return self._images[i]
