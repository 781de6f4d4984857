"""Completion by Amodal-VAE: the mode of what the visible part may belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch

from ...errors import UserError
from ...inference.completion_ordering import CompletionOrdering
from ...inference.network_runner import NetworkRunner, Sample
from ...inference.steps import NetworkStep, Outside, constrains, dilation
from ...structures import (
    Deocclusion,
    OcclusionGraph,
    ProbabilityMap,
    Scene,
    WindowMask,
)
from ...structures.mask_sample import drawn_samples
from ...structures.window_mask import Box, box_around, union
from .mapper import aspect_of, in_levels, soft_crop
from .transformer import box_from

# Where a completion may grow: anywhere; inside of what is in front; outside of what is behind.
LIMITS = ("anywhere", "in_front", "not_behind")
# Where the box of the whole object comes from.
BOXES = ("predicted", "given")


@dataclass(frozen=True)
class _Draws:
    """The mode's mask and box of each sample, and those of codes that are drawn.

    (P, 1 + K, M * M + 4) float32. A draw is the same whatever K is, and in any batch.

    Attributes:
        count: K.
        seed: of the codes; the k-th code of every object has the same noise.
    """

    count: int = 0
    seed: int = 0

    def __call__(self, runner: NetworkRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        noise = np.random.default_rng(self.seed).standard_normal(
            (self.count, runner.model.latent), dtype=np.float32
        )
        found = runner.model.completions(batch, torch.from_numpy(noise))
        return torch.cat([found["probability"].flatten(2), found["box"]], dim=2)


class AmodalVAECompletion(NetworkStep):
    """Completes every visible instance, whatever the order.

    Args:
        runner: runs Amodal-VAE.
        threshold: probability above which a pixel, pasted back, belongs to the amodal mask (the
            paper searched 0.1 on its validation set).
        constrain: True: the result is ``modal | completion``, which keeps visible pixels; False:
            the completion as it is pasted back.
        least_thickness: of what is added to the visible part, in pixels of the network's masks; not
            for "in_front".
        limit: of ``LIMITS``: "in_front": only pixels of instances in front of an instance are added
            to it, so that one that nothing hides stays as it is; "not_behind": no visible pixels of
            those behind it.
        keep_probability: also give probabilities: of the mode, or the mean over samples.
        samples: K, completions to draw for each instance.
        seed: of the draws.
        given_boxes: the scene's ``amodal_boxes`` count where there is one, not the network's.
        description: what ``describe`` says.
    """

    def __init__(
        self,
        runner: NetworkRunner,
        *,
        threshold: float = 0.1,
        constrain: bool = True,
        least_thickness: float = 0.0,
        limit: str = LIMITS[0],
        keep_probability: bool = False,
        samples: int = 0,
        seed: int = 0,
        given_boxes: bool = False,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(runner, description)
        self.threshold = threshold
        self.constrain = constrain
        self.least_thickness = least_thickness
        self.limit = limit
        self.keep_probability = keep_probability
        self.draws = _Draws(samples, seed)
        self.given_boxes = given_boxes

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        """Amodal masks of every instance of every scene; an empty mask stays empty."""
        jobs: list[tuple[int, int]] = []
        results = [
            Deocclusion(
                graph,
                list(scene.modal_masks),
                probabilities=[None] * len(scene) if self.keep_probability else None,
                samples=[[] for _ in scene.modal_masks] if self.draws.count else None,
            )
            for scene, graph in zip(scenes, graphs, strict=True)
        ]
        rows = self.runner.results(self._samples(scenes, graphs, jobs), self.draws)
        for k, found in enumerate(rows):
            s, i = jobs[k]
            scene, result = scenes[s], results[s]
            region = self.speaks_at(scene, graphs[s], i)
            pasted = [self._pasted(scene, i, row) for row in found]
            result.amodal_masks[i] = self._mask(scene, i, pasted[0], region)
            if result.samples is not None:
                masks = [self._mask(scene, i, p, region) for p in pasted[1:]]
                result.samples[i] = drawn_samples(masks)
            if result.probabilities is not None:
                parts = pasted[1:] or pasted
                kept = _mean([p.within(region, scene.modal_masks[i]) for p in parts])
                if self.constrain:
                    kept = kept.with_certain(scene.modal_masks[i])
                result.probabilities[i] = kept
        return results

    def speaks_at(
        self, scene: Scene, graph: OcclusionGraph, row: int
    ) -> WindowMask | Outside | None:
        """Where the completion may grow; None: everywhere."""
        if self.limit == "in_front":
            return scene.seams.eraser(row, graph.ancestors(row))
        behind = graph.descendants(row) if self.limit == "not_behind" else []
        return Outside(union(scene.modal_masks[j] for j in behind)) if behind else None

    def _samples(
        self,
        scenes: Sequence[Scene],
        graphs: Sequence[OcclusionGraph],
        jobs: list[tuple[int, int]],
    ) -> Iterator[Sample]:
        for s, (scene, graph) in enumerate(zip(scenes, graphs, strict=True)):
            for i, mask in enumerate(scene.modal_masks):
                if mask.is_empty or (self.limit == "in_front" and not graph.ancestors(i)):
                    continue
                jobs.append((s, i))
                yield sample_of(mask, self.runner.model.size)

    def _pasted(self, scene: Scene, i: int, row: np.ndarray) -> _Pasted:
        """One completion's probabilities at the pixels of the image."""
        side = self.runner.model.size
        box = box_from(scene.modal_masks[i].box, row[-4:])
        if self.given_boxes and scene.amodal_boxes is not None:
            given = scene.amodal_boxes[i]
            if np.isfinite(given).all():
                box = _meeting(given, scene, i)
        pasted = paste(row[:-4].reshape(side, side), box, scene.height, scene.width)
        pixel = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1]))) / side
        return _Pasted(*pasted, pixel)

    def _mask(
        self, scene: Scene, i: int, pasted: _Pasted, region: WindowMask | Outside | None
    ) -> WindowMask:
        modal = scene.modal_masks[i]
        above = pasted.values > np.float32(self.threshold)
        completion = WindowMask.from_array(above, pasted.x0, pasted.y0)
        added = completion - modal
        if self.limit != "in_front":
            # There the order says where it may grow, however little that is.
            added = added.opened(self.least_thickness * pasted.pixel)
        if region is not None:
            x0, y0, *_ = added.box
            added = WindowMask.from_array(added.array & region.crop(added.box), x0, y0)
        return (modal if self.constrain else modal & completion) | added


def _meeting(given: np.ndarray, scene: Scene, i: int) -> tuple[float, float, float, float]:
    """A given box, which must meet what is visible of its object.

    Raises:
        UserError: it does not: nothing would be completed, as if nothing were hidden.
    """
    x0, y0, x1, y1 = (float(v) for v in given)
    left, top, right, bottom = scene.modal_masks[i].box
    if x0 >= right or y0 >= bottom or x1 <= left or y1 <= top:
        raise UserError(
            f"{scene.description}, annotation {scene.instance_ids[i]!r}: the given box of the "
            f"whole object, from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}), misses its mask; correct "
            "'amodal_bbox', or set DEOCCLUSION.BOXES predicted"
        )
    return x0, y0, x1, y1


def sample_of(modal: WindowMask, size: int) -> Sample:
    """What the network is given of an instance.

    Args:
        modal: not empty.
        size: M, side of the network's masks.
    """
    h, w = modal.array.shape
    soft = soft_crop(modal.array, (0, 0, w, h), size)
    return {"partial": in_levels(soft), "aspect": aspect_of(modal.box)}


@dataclass(frozen=True, eq=False)
class _Pasted:
    """A completion in a window of an image.

    Attributes:
        values: (h, w) float32, probabilities.
        x0, y0: the window's first pixel.
        pixel: side of a pixel of the network's mask, in the image's.
    """

    values: np.ndarray
    x0: int
    y0: int
    pixel: float

    @property
    def box(self) -> Box:
        h, w = self.values.shape
        return (self.x0, self.y0, self.x0 + w, self.y0 + h)

    def within(self, region: WindowMask | Outside | None, modal: WindowMask) -> _Pasted:
        """With probability 0 where the completion may not grow."""
        if region is None:
            return self
        where = region.crop(self.box) | modal.crop(self.box)
        return replace(self, values=self.values * where)


def _mean(parts: Sequence[_Pasted]) -> ProbabilityMap:
    """The mean of windows, where each is 0 outside of itself."""
    parts_seen = [part for part in parts if part.values.size]
    box = box_around(part.box for part in parts_seen) if parts_seen else (0, 0, 0, 0)
    total = np.zeros((box[3] - box[1], box[2] - box[0]), np.float32)
    for part in parts_seen:
        x, y = part.x0 - box[0], part.y0 - box[1]
        h, w = part.values.shape
        total[y : y + h, x : x + w] += part.values
    return ProbabilityMap.from_array(total / len(parts), box[0], box[1])


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


def build_completion(limit: str, cfg, runner: NetworkRunner) -> AmodalVAECompletion:
    """The completions "amodal_vae", "amodal_vae_og" and "amodal_vae_nb", by their limits.

    Raises:
        UserError: naming the config key.
    """
    options = cfg.DEOCCLUSION
    for key in ("SAMPLES", "SAMPLES_SEED"):
        if options[key] < 0:
            raise UserError(f"DEOCCLUSION.{key} = {options[key]}: use 0 or more")
    if options.BOXES not in BOXES:
        raise UserError(f"DEOCCLUSION.BOXES = {options.BOXES!r}: use {' or '.join(BOXES)}")
    description = {
        "amodal_threshold": options.AMODAL_THRESHOLD,
        "mask_size": runner.model.size,
        "constrain": constrains(cfg),
        "precision": runner.precision,
    }
    if options.LEAST_THICKNESS < 0:
        raise UserError(
            f"DEOCCLUSION.LEAST_THICKNESS = {options.LEAST_THICKNESS}: use 0 or more pixels"
        )
    if options.LEAST_THICKNESS:
        description["least_thickness"] = options.LEAST_THICKNESS
    if options.SAMPLES:
        description |= {"samples": options.SAMPLES, "samples_seed": options.SAMPLES_SEED}
    if options.BOXES == "given":
        description["boxes"] = options.BOXES
    return AmodalVAECompletion(
        runner,
        threshold=options.AMODAL_THRESHOLD,
        constrain=constrains(cfg),
        least_thickness=options.LEAST_THICKNESS,
        limit=limit,
        keep_probability=options.KEEP_PROBABILITY,
        samples=options.SAMPLES,
        seed=options.SAMPLES_SEED,
        given_boxes=options.BOXES == "given",
        description=description,
    )


def build_ordering(cfg, runner: NetworkRunner) -> CompletionOrdering:
    """The ordering "amodal_vae"."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DEOCCLUSION.SAMPLES, cfg.DEOCCLUSION.KEEP_PROBABILITY = 0, False
    return CompletionOrdering(build_completion(LIMITS[0], cfg, runner), dilation=dilation(cfg))
