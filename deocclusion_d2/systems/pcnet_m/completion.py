"""Amodal completion by PCNet-M (Sec. 3.3, eq. 4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...inference.steps import NetworkStep, require_image
from ...structures import (
    Deocclusion,
    OcclusionGraph,
    ProbabilityMap,
    Scene,
    SquareCrop,
    WindowMask,
)
from .patch_completer import Completed, Patch, PatchCompleter, Unreduced

# A view whose centre or side is farther from the completed object's own square than this, in sides,
# is drawn anew. Half the shift and scale that the sampler draws by default.
_VIEW_TOLERANCE = 0.1


def grow_eraser(eraser: WindowMask, target: WindowMask, dilation: int) -> WindowMask:
    """Dilate an eraser over the gap between predicted masks, but never over the target."""
    return eraser.dilate(dilation) - target if dilation > 1 else eraser


@dataclass(frozen=True)
class _Job:
    """An instance to complete: its scene and row, the view, and what may hide it."""

    scene: int
    row: int
    square: SquareCrop
    eraser: WindowMask


class PCNetCompletion(NetworkStep):
    """Completes every instance, the union of what may hide it as the eraser.

    Args:
        runner: runs PCNet-M.
        grounded: True (OG): the eraser is the union of all ancestors in the graph. False (NOG):
            the union of all neighbours, whatever the order.
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``.
        threshold: probability above which a pixel is completed.
        dilation: see ``grow_eraser``.
        constrain: True: the result is ``modal | (completion & eraser)``, which keeps visible pixels
            exact. False: the completion as it is pasted back.
        recentre: how often an object whose completion has left the middle of its view is completed
            again, in the square of the completion. The network learns with views around whole
            objects; that of a modal box shows little of what is mostly hidden.
        keep_probability: also give the probabilities under the erasers.
        description: what ``describe`` says.
    """

    def __init__(
        self,
        runner: PatchCompleter,
        *,
        grounded: bool = True,
        patch_size: int = 256,
        enlarge: float = 3.0,
        threshold: float = 0.2,
        dilation: int = 0,
        constrain: bool = True,
        recentre: int = 0,
        keep_probability: bool = False,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(runner, description)
        self.grounded = grounded
        self.patch_size = patch_size
        self.enlarge = enlarge
        self.threshold = threshold
        self.dilation = dilation
        self.constrain = constrain
        self.recentre = recentre
        self.keep_probability = keep_probability

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        """The graphs, and amodal masks of every instance of every scene.

        An instance that nothing hides keeps its modal mask.
        """
        results = [
            Deocclusion(
                graph,
                list(scene.modal_masks),
                probabilities=[None] * len(scene) if self.keep_probability else None,
            )
            for scene, graph in zip(scenes, graphs, strict=True)
        ]
        jobs: Iterable[_Job] = self._first_views(scenes, graphs)
        for views_left in range(self.recentre, -1, -1):
            again: list[_Job] = []
            for job, amodal, probability in self._complete(scenes, jobs):
                result = results[job.scene]
                result.amodal_masks[job.row] = amodal
                if result.probabilities is not None:
                    result.probabilities[job.row] = probability
                square = SquareCrop.around(amodal.box, self.enlarge)
                if views_left and not _nearly_same(job.square, square):
                    again.append(replace(job, square=square))
            jobs = again
        return results

    def _first_views(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> Iterator[_Job]:
        for s, (scene, graph) in enumerate(zip(scenes, graphs, strict=True)):
            for i, mask in enumerate(scene.modal_masks):
                hiding = graph.ancestors(i) if self.grounded else graph.neighbours(i)
                if not hiding or mask.is_empty:
                    continue
                eraser = grow_eraser(scene.seams.eraser(i, hiding), mask, self.dilation)
                yield _Job(s, i, SquareCrop.around(mask.box, self.enlarge), eraser)

    def _complete(
        self, scenes: Sequence[Scene], jobs: Iterable[_Job]
    ) -> Iterator[tuple[_Job, WindowMask, ProbabilityMap | None]]:
        """Each job with its amodal mask, and its probabilities where they are kept."""
        # Those of the patches that are under way: a finished job keeps no masks alive.
        under_way: deque[_Job] = deque()

        def patches() -> Iterator[Patch]:
            for job in jobs:
                under_way.append(job)
                yield self._patch(scenes[job.scene], job)

        reduce = Unreduced() if self.keep_probability else Completed(self.threshold)
        for patch in self.runner.run(patches(), reduce, under_eraser_only=self.constrain):
            job = under_way.popleft()
            scene = scenes[job.scene]
            size = (scene.height, scene.width)
            probability = None
            if self.keep_probability:
                probability = job.square.paste_probability(patch, *size, job.eraser)
                # As torch compares: in the network's precision.
                patch = patch > np.float32(self.threshold)
            amodal = job.square.paste(patch, *size)
            if self.constrain:
                amodal = scene.modal_masks[job.row] | (amodal & job.eraser)
            yield job, amodal, probability

    def _patch(self, scene: Scene, job: _Job) -> Patch:
        square, size = job.square, self.patch_size
        return Patch(
            square.resize_bilinear(scene.modal_masks[job.row], size),
            square.resize_bilinear(job.eraser, size),
            int(scene.category_ids[job.row]),
            square.resize_image(require_image(scene), size) if self.runner.uses_rgb else None,
        )


def _nearly_same(view: SquareCrop, wanted: SquareCrop) -> bool:
    tolerance = _VIEW_TOLERANCE * wanted.side
    half = (wanted.side - view.side) / 2
    shift = max(abs(wanted.x0 - view.x0 + half), abs(wanted.y0 - view.y0 + half))
    return shift <= tolerance and abs(wanted.side - view.side) <= tolerance
