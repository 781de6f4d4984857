"""Fills hidden regions, by a network and by fills that need no training, to be measured.

Shape shorthand: n: pixels of a hole, row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...data.samplers import ErasingSettings
from ...inference.content.filler import ContentFiller
from ...inference.content.holes import Hole
from ...inference.content.opencv import FILLS, PlainFiller
from ...inference.content.smooth import SmoothFiller
from ...inference.steps import require_categories, require_image
from ...structures import Scene, SceneTruth
from .erased_regions import draw_erased_regions
from .hidden_regions import find_hidden_regions
from .regions import HiddenRegion

# Name of the network's fill beside those of the baselines.
NETWORK = "network"
# Name of the smooth fill, as decompositions make it.
SMOOTH = "smooth"
BASELINES = (SMOOTH, *FILLS)


@dataclass(frozen=True, eq=False)
class FilledRegion:
    """A hidden region and what every method fills in.

    Attributes:
        region: what is filled.
        fills: method -> (n, 3) uint8 RGB, the colours of ``region.hole``'s pixels, row by row.
    """

    region: HiddenRegion
    fills: dict[str, np.ndarray]


@dataclass
class FilledScene:
    """The hidden regions of one image, filled.

    Attributes:
        regions: one for every instance that has one, in the scene's order.
        left_out: reason -> instances that have none.
    """

    regions: list[FilledRegion]
    left_out: Counter[str]


class HoleFiller:
    """Hides a part of instances, or finds what is hidden of them, and fills it.

    Where it is known what is behind (``SceneTruth.unhidden``), the regions are those of
    ``find_hidden_regions``, else those of ``draw_erased_regions``. All methods see the same pixels:
    those of the image inside the instance's square that are neither in the hole nor ``taken`` by
    another object. Results do not depend on how scenes are grouped into calls.

    Args:
        content: what decompositions fill holes with. None: only fills without training.
        settings: numbers of the sampler.
        min_square, seed: see ``draw_erased_regions``; hidden regions use ``min_square`` alone.
        baselines: fills beside ``content``'s, of ``BASELINES``.
    """

    uses_rgb = True

    def __init__(
        self,
        content: ContentFiller | None,
        settings: ErasingSettings,
        *,
        min_square: float = 5.0,
        seed: int = 0,
        baselines: Sequence[str] = BASELINES,
    ) -> None:
        self.content = content
        self.steps = () if content is None else (content,)
        self.settings = settings
        self.min_square = min_square
        self.seed = seed
        own = {} if content is None else {NETWORK: content}
        self.fillers = {**own, **{name: baseline_filler(name) for name in baselines}}

    def __call__(self, scenes: Sequence[Scene | dict]) -> list[FilledScene]:
        """Hide and fill. All scenes share the network's batches.

        Args:
            scenes: scenes with images, or the dicts of ``SceneMapper``, so that this can stand
                where Detectron2's evaluation loop expects a model. Only dicts know a photo before a
                paste (``truth``).

        Raises:
            UserError: a scene has no image, or a category id that the network cannot take.
        """
        truths = [s.get("truth") if isinstance(s, dict) else None for s in scenes]
        scenes = [s["scene"] if isinstance(s, dict) else s for s in scenes]
        require_categories(scenes, self.steps)
        found = [self.regions(*one) for one in zip(scenes, truths, strict=True)]
        holes = [
            hole_of(scene, region)
            for scene, (regions, _) in zip(scenes, found, strict=True)
            for region in regions
        ]
        windows = {name: iter(filler.fill(holes)) for name, filler in self.fillers.items()}
        return [
            FilledScene(
                [
                    FilledRegion(r, {n: next(of)[r.hole.array] for n, of in windows.items()})
                    for r in regions
                ],
                left_out,
            )
            for regions, left_out in found
        ]

    def regions(
        self, scene: Scene, truth: SceneTruth | None
    ) -> tuple[list[HiddenRegion], Counter[str]]:
        """What is filled, and why the other instances have nothing to fill."""
        if truth is None or truth.unhidden is None:
            return draw_erased_regions(
                scene, self.settings, min_square=self.min_square, seed=self.seed
            )
        return find_hidden_regions(
            scene, truth, enlarge=self.settings.enlarge, min_square=self.min_square
        )


def baseline_filler(name: str) -> ContentFiller:
    """One of ``BASELINES``."""
    # Erased, pasted or drawn, a hole ends sharply: the colours at its border are the object's own.
    return SmoothFiller(inset=0) if name == SMOOTH else PlainFiller(name)


def hole_of(scene: Scene, region: HiddenRegion) -> Hole:
    """A hidden region as content completion takes it."""
    return Hole(
        require_image(scene),
        missing=region.hole,
        visible=region.visible,
        taken=region.taken,
        square=region.square,
        category_id=int(scene.category_ids[region.row]),
    )
