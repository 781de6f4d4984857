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
from ...structures.window_mask import Box, box_around, union
from .patch_completer import Completed, Patch, PatchCompleter, Unreduced

# A view whose centre or side is farther from the completed object's own square than this, in sides,
# is drawn anew. Half the shift and scale that the sampler draws by default.
_VIEW_TOLERANCE = 0.1


def grow_eraser(eraser: WindowMask, target: WindowMask, dilation: int) -> WindowMask:
    """Dilate an eraser over the gap between predicted masks, but never over the target."""
    return eraser.dilate(dilation) - target if dilation > 1 else eraser


def region_beyond(
    target: WindowMask, eraser: WindowMask, size: tuple[int, int], share: float, dilation: int = 0
) -> WindowMask:
    """What of an object may lie outside the image, cut by the border as by an occluder.

    Args:
        target: its visible pixels, at least one.
        eraser: what else may hide it.
        size: (H, W) of the image.
        share: the margin around the target's box, as a share of the box's longer side.
        dilation: of the test whether target or eraser reach the border; see ``touches``.

    Returns:
        The pixels within the margin that lie outside the image; none where neither of the two
        touches them.
    """
    x0, y0, x1, y1 = target.box
    margin = round(share * max(x1 - x0, y1 - y0))
    region = np.ones((y1 - y0 + 2 * margin, x1 - x0 + 2 * margin), dtype=bool)
    left, top = x0 - margin, y0 - margin
    height, width = size
    region[max(-top, 0) : height - top, max(-left, 0) : width - left] = False
    beyond = WindowMask.from_array(region, left, top)
    touched = any(beyond.touches(mask, dilation) for mask in (target, eraser))
    return beyond if touched else WindowMask.empty()


@dataclass(frozen=True, eq=False)
class _View:
    """What a view of an object has shown.

    Attributes:
        square: of the view.
        patch: (S, S) float32, its probabilities.
    """

    square: SquareCrop
    patch: np.ndarray


def mean_of_views(views: Sequence[_View]) -> tuple[Box, np.ndarray]:
    """The mean of views at the pixels of the image; one that does not hold a pixel says 0 there.

    So an object grows beyond its first view only where later ones are sure: a mean over the views
    that hold a pixel, as well as the last view alone, adds too much to objects of which little is
    hidden.

    Returns:
        The box around all views, which may go beyond the image, and (h, w) float32 in it.
    """
    box = box_around(view.square.box for view in views)
    total = np.zeros((box[3] - box[1], box[2] - box[0]), dtype=np.float32)
    for view in views:
        x, y, side = view.square.x0 - box[0], view.square.y0 - box[1], view.square.side
        total[y : y + side, x : x + side] += view.square.paste_values(view.patch)
    return box, total / len(views)


@dataclass(frozen=True)
class _Job:
    """An instance to complete: its scene and row, the view, and what may hide it.

    Attributes:
        eraser: other instances, and the region beyond the image.
        beyond: the latter alone.
        is_hidden: whether there are other instances.
        before: the former views, where views are averaged.
    """

    scene: int
    row: int
    square: SquareCrop
    eraser: WindowMask
    beyond: WindowMask
    is_hidden: bool
    before: tuple[_View, ...] = ()


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
        average_views: True: probabilities of the views are averaged, pixel by pixel of the image;
            a view that does not hold a pixel says 0 there. False: the last view decides.
        keep_probability: also give the probabilities under the erasers.
        beyond_image: 0, or the margin outside the image into which objects may grow that reach its
            border, as a share of the longer side of their box. Amodal masks stay inside; the whole
            objects' boxes are given beside them.
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
        average_views: bool = False,
        keep_probability: bool = False,
        beyond_image: float = 0.0,
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
        self.average_views = average_views and recentre > 0
        self.keep_probability = keep_probability
        self.beyond_image = beyond_image

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        """The graphs, and amodal masks of every instance of every scene.

        An instance that nothing hides, nor the border cuts, keeps its modal mask.
        """
        results = [
            Deocclusion(
                graph,
                list(scene.modal_masks),
                probabilities=[None] * len(scene) if self.keep_probability else None,
                unclipped_boxes=[m.box for m in scene.modal_masks] if self.beyond_image else None,
            )
            for scene, graph in zip(scenes, graphs, strict=True)
        ]
        jobs: Iterable[_Job] = self._first_views(scenes, graphs)
        for views_left in range(self.recentre, -1, -1):
            again: list[_Job] = []
            for job, whole, probability, views in self._complete(scenes, jobs):
                result = results[job.scene]
                result.amodal_masks[job.row] = self._inside(scenes[job.scene], job, whole)
                if result.probabilities is not None:
                    result.probabilities[job.row] = probability
                if result.unclipped_boxes is not None:
                    result.unclipped_boxes[job.row] = whole.box
                square = SquareCrop.around(whole.box, self.enlarge)
                if views_left and not _nearly_same(job.square, square):
                    again.append(replace(job, square=square, before=views))
            jobs = again
        return results

    def speaks_at(self, scene: Scene, graph: OcclusionGraph, row: int) -> WindowMask:
        """The pixels of what may hide an instance, and of the gaps to it that are closed."""
        if scene.modal_masks[row].is_empty:
            return WindowMask.empty()
        return self._eraser(scene, row, self._hiding(graph, row))

    def _hiding(self, graph: OcclusionGraph, row: int) -> Sequence[int]:
        return graph.ancestors(row) if self.grounded else graph.neighbours(row)

    def _eraser(self, scene: Scene, row: int, hiding: Sequence[int]) -> WindowMask:
        eraser = scene.seams.eraser(row, hiding)
        return grow_eraser(eraser, scene.modal_masks[row], self.dilation)

    def _first_views(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> Iterator[_Job]:
        for s, (scene, graph) in enumerate(zip(scenes, graphs, strict=True)):
            for i, mask in enumerate(scene.modal_masks):
                hiding = self._hiding(graph, i)
                if mask.is_empty or not (hiding or self.beyond_image):
                    continue
                eraser = self._eraser(scene, i, hiding)
                beyond = WindowMask.empty()
                if self.beyond_image:
                    size = (scene.height, scene.width)
                    beyond = region_beyond(mask, eraser, size, self.beyond_image, self.dilation)
                    eraser = union([eraser, grow_eraser(beyond, mask, self.dilation)])
                if eraser.is_empty:
                    continue
                square = SquareCrop.around(mask.box, self.enlarge)
                yield _Job(s, i, square, eraser, beyond, bool(hiding))

    def _complete(
        self, scenes: Sequence[Scene], jobs: Iterable[_Job]
    ) -> Iterator[tuple[_Job, WindowMask, ProbabilityMap | None, tuple[_View, ...]]]:
        """Each job with its amodal mask, its probabilities where they are kept, and its views.

        The mask goes on outside the image where the job's eraser does.
        """
        # Those of the patches that are under way: a finished job keeps no masks alive.
        under_way: deque[_Job] = deque()

        def patches() -> Iterator[Patch]:
            for job in jobs:
                under_way.append(job)
                yield self._patch(scenes[job.scene], job)

        whole_patch = self.keep_probability or self.average_views
        reduce = Unreduced() if whole_patch else Completed(self.threshold)
        for patch in self.runner.run(patches(), reduce, under_eraser_only=self.constrain):
            job = under_way.popleft()
            scene = scenes[job.scene]
            size = (scene.height, scene.width)
            views = (*job.before, _View(job.square, patch)) if self.average_views else ()
            if job.before:
                amodal, probability = self._of_views(scene, job, views)
            else:
                probability = None
                if self.keep_probability and job.is_hidden:
                    probability = job.square.paste_probability(patch, *size, job.eraser)
                if whole_patch:
                    # As torch compares: in the network's precision.
                    patch = patch > np.float32(self.threshold)
                amodal = job.square.paste(patch, *size)
                if not job.beyond.is_empty:
                    amodal = amodal | (job.square.paste_whole(patch) & job.beyond)
            if self.constrain:
                amodal = scene.modal_masks[job.row] | (amodal & job.eraser)
            yield job, amodal, probability, views

    def _of_views(
        self, scene: Scene, job: _Job, views: Sequence[_View]
    ) -> tuple[WindowMask, ProbabilityMap | None]:
        """Completion and probabilities of an object that was looked at several times."""
        box, mean = mean_of_views(views)
        x0, y0, _, _ = box
        inside = WindowMask.filled((0, 0, scene.width, scene.height))
        allowed = inside if job.beyond.is_empty else inside | job.beyond
        amodal = WindowMask.from_array(mean > np.float32(self.threshold), x0, y0) & allowed
        if not (self.keep_probability and job.is_hidden):
            return amodal, None
        where = (job.eraser & inside).crop(box)
        return amodal, ProbabilityMap.from_array(mean * where, x0, y0)

    def _inside(self, scene: Scene, job: _Job, whole: WindowMask) -> WindowMask:
        """What of a completed object lies in the image."""
        if job.beyond.is_empty:
            return whole
        return whole & WindowMask.filled((0, 0, scene.width, scene.height))

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
