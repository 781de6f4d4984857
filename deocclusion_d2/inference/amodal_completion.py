"""Amodal completion by PCNet-M (Sec. 3.3, eq. 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from ..structures import OcclusionGraph, Scene, SquareCrop, WindowMask
from ..structures.window_mask import union
from .ordering import grow_eraser, require_image
from .patch_completer import Patch, PatchCompleter


class PCNetCompletion:
    """Completes every instance in one step, the union of what may hide it as the eraser.

    Args:
        completer: runs PCNet-M.
        grounded: True (OG): the eraser is the union of all ancestors in the graph. False (NOG):
            the union of all neighbours, whatever the order.
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``.
        threshold: probability above which a pixel is completed.
        dilation: see ``grow_eraser``.
        constrain: True: the result is ``modal | (completion & eraser)``, which keeps visible pixels
            exact. False: the completion as it is pasted back.
    """

    def __init__(
        self,
        completer: PatchCompleter,
        *,
        grounded: bool = True,
        patch_size: int = 256,
        enlarge: float = 3.0,
        threshold: float = 0.2,
        dilation: int = 0,
        constrain: bool = True,
    ) -> None:
        self.completer = completer
        self.grounded = grounded
        self.patch_size = patch_size
        self.enlarge = enlarge
        self.threshold = threshold
        self.dilation = dilation
        self.constrain = constrain

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[list[WindowMask]]:
        """Amodal masks of every instance of every scene.

        An instance that nothing hides keeps its modal mask.
        """
        # (scene, instance, square, eraser) of the patches that are under way.
        jobs: list[tuple[int, int, SquareCrop, WindowMask]] = []
        results = [list(scene.modal_masks) for scene in scenes]
        patches = self._patches(scenes, graphs, jobs)
        completed = self.completer.run(patches, self._completed, under_eraser_only=self.constrain)
        for k, patch in enumerate(completed):
            s, i, square, eraser = jobs[k]
            jobs[k] = None  # type: ignore[call-overload]  # a finished job keeps no masks alive
            scene = scenes[s]
            amodal = square.paste(patch, scene.height, scene.width)
            if self.constrain:
                amodal = scene.modal_masks[i] | (amodal & eraser)
            results[s][i] = amodal
        return results

    def _completed(
        self, probability: torch.Tensor, target: torch.Tensor, eraser: torch.Tensor
    ) -> torch.Tensor:
        return probability > self.threshold

    def _patches(
        self,
        scenes: Sequence[Scene],
        graphs: Sequence[OcclusionGraph],
        jobs: list[tuple[int, int, SquareCrop, WindowMask]],
    ) -> Iterator[Patch]:
        for s, (scene, graph) in enumerate(zip(scenes, graphs, strict=True)):
            for i, mask in enumerate(scene.modal_masks):
                hiding = graph.ancestors(i) if self.grounded else graph.neighbours(i)
                if not hiding or mask.is_empty:
                    continue
                square = SquareCrop.around(mask.box, self.enlarge)
                eraser = union(scene.modal_masks[j] for j in hiding)
                eraser = grow_eraser(eraser, mask, self.dilation)
                jobs.append((s, i, square, eraser))
                yield Patch(
                    square.resize_bilinear(mask, self.patch_size),
                    square.resize_bilinear(eraser, self.patch_size),
                    int(scene.category_ids[i]),
                    square.resize_image(require_image(scene), self.patch_size)
                    if self.completer.uses_rgb
                    else None,
                )
