"""Methods without a network: orderings Area, Y-axis, Convex; completions Raw, Convex, Convex^R.

They are the baselines of Tables 1, 2 and 4 of the paper, behind the protocols of all steps:
an ordering maps scenes to graphs; a completion maps scenes and graphs to amodal masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...inference.content import SmoothFiller, TeleaFiller
from ...inference.steps import RuleStep, dilation
from ...structures import (
    Deocclusion,
    OcclusionGraph,
    Scene,
    WindowMask,
    centre_y,
    convex_hull,
)

# Of two neighbours (row of the first, of the second): what each "gains"; less is in front.
_Increments = Callable[[Scene, list[tuple[int, int]]], np.ndarray]


class HeuristicOrdering(RuleStep):
    """Orders neighbours by a rule.

    Args:
        rule: "area" (the larger instance is in front, or the smaller), "y_axis" (the one whose
            centre of mass is lower in the image is in front) or "convex" (dual completion by the
            convex hull).
        larger_in_front: for "area"; True suits KINS, False COCOA.
        dilation: see ``Scene.neighbour_pairs``.
    """

    def __init__(self, rule: str, *, larger_in_front: bool = True, dilation: int = 0) -> None:
        rules: dict[str, _Increments] = {
            "area": self._area,
            "y_axis": self._y_axis,
            "convex": self._convex,
        }
        self._increments = rules[rule]
        self._larger_in_front = larger_in_front
        self._dilation = dilation

    def __call__(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        graphs = []
        for scene in scenes:
            pairs = scene.neighbour_pairs(self._dilation)
            increments = self._increments(scene, pairs) if pairs else np.zeros((0, 2))
            graphs.append(OcclusionGraph.from_increments(len(scene), pairs, increments))
        return graphs

    def _area(self, scene: Scene, pairs: list[tuple[int, int]]) -> np.ndarray:
        areas = np.array([m.area for m in scene.modal_masks], dtype=float)[np.array(pairs)]
        return areas[:, ::-1] if self._larger_in_front else areas

    def _y_axis(self, scene: Scene, pairs: list[tuple[int, int]]) -> np.ndarray:
        centres = np.array([centre_y(m) for m in scene.modal_masks])
        return centres[np.array(pairs)][:, ::-1]

    def _convex(self, scene: Scene, pairs: list[tuple[int, int]]) -> np.ndarray:
        masks = scene.modal_masks
        hidden = {i: convex_hull(masks[i]) - masks[i] for pair in pairs for i in pair}
        return np.array(
            [
                (hidden[i].intersection_area(masks[j]), hidden[j].intersection_area(masks[i]))
                for i, j in pairs
            ],
            dtype=float,
        )


class RawCompletion(RuleStep):
    """Nothing is completed: the amodal mask is the modal mask."""

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        return [
            Deocclusion(graph, list(scene.modal_masks))
            for scene, graph in zip(scenes, graphs, strict=True)
        ]


class ConvexCompletion(RuleStep):
    """The convex hull of the modal mask; with ``refined`` (Convex^R) only inside ancestors.

    The graph for Convex^R is the one that it is given; the paper uses the Convex order.
    """

    def __init__(self, *, refined: bool) -> None:
        self.refined = refined

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        return [
            Deocclusion(graph, [self._complete(scene, graph, i) for i in range(len(scene))])
            for scene, graph in zip(scenes, graphs, strict=True)
        ]

    def _complete(self, scene: Scene, graph: OcclusionGraph, i: int) -> WindowMask:
        modal = scene.modal_masks[i]
        if not self.refined:
            return convex_hull(modal)
        if not graph.ancestors(i):
            return modal
        return modal | (convex_hull(modal) & self.speaks_at(scene, graph, i))

    def speaks_at(self, scene: Scene, graph: OcclusionGraph, row: int) -> WindowMask | None:
        """Refined, the pixels of what is in front of an instance; else None: everywhere."""
        return scene.seams.eraser(row, graph.ancestors(row)) if self.refined else None


# -------------------------------------------------------------------- from configs


def build_ordering(rule: str, cfg, runner: None = None) -> HeuristicOrdering:
    """The ordering of a rule; see ``HeuristicOrdering``."""
    return HeuristicOrdering(
        rule, larger_in_front=cfg.DEOCCLUSION.LARGER_IN_FRONT, dilation=dilation(cfg)
    )


def build_raw(cfg, runner: None = None) -> RawCompletion:
    """The completion "raw"."""
    return RawCompletion()


def build_convex(refined: bool, cfg, runner: None = None) -> ConvexCompletion:
    """The completions "convex" and, refined, "convex_r"."""
    return ConvexCompletion(refined=refined)


def build_smooth(cfg, runner: None = None) -> SmoothFiller:
    """The content "smooth"."""
    return SmoothFiller(cfg.DEOCCLUSION.CONTENT_CONTEXT, cfg.DEOCCLUSION.CONTENT_INSET)


def build_telea(cfg, runner: None = None) -> TeleaFiller:
    """The content "telea"."""
    return TeleaFiller(cfg.DEOCCLUSION.CONTENT_CONTEXT, cfg.DEOCCLUSION.CONTENT_INSET)
