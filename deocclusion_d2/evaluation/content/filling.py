"""Fills held-out erased regions, by a network and by fills that need no training, to be measured.

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
from ...inference.content.opencv import FILLS
from ...inference.content.smooth import SmoothFiller
from ...inference.steps import require_categories, require_image
from ...structures import Scene, WindowMask
from ...structures.window_mask import intersect_boxes
from .erased_regions import ErasedRegion, draw_erased_regions

# Name of the network's fill beside those of the baselines.
NETWORK = "network"
# Name of the smooth fill, as decompositions make it.
SMOOTH = "smooth"
BASELINES = (SMOOTH, *FILLS)


@dataclass(frozen=True, eq=False)
class FilledRegion:
    """An erased region and what every method fills in.

    Attributes:
        region: what was erased.
        fills: method -> (n, 3) uint8 RGB, the colours of ``region.hole``'s pixels, row by row.
    """

    region: ErasedRegion
    fills: dict[str, np.ndarray]


@dataclass
class FilledScene:
    """The erased regions of one image, filled.

    Attributes:
        regions: one for every instance that has one, in the scene's order.
        left_out: reason -> instances that have none.
    """

    regions: list[FilledRegion]
    left_out: Counter[str]


class HoleFiller:
    """Erases a part of every instance and fills it again; see ``draw_erased_regions``.

    All methods see the same pixels: those of the image inside the instance's square that are not in
    the hole. Results do not depend on how scenes are grouped into calls.

    Args:
        content: what decompositions fill holes with. None: only fills without training.
        settings: numbers of the sampler.
        min_square, seed: see ``draw_erased_regions``.
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
        self.baselines = tuple(baselines)

    def __call__(self, scenes: Sequence[Scene | dict]) -> list[FilledScene]:
        """Erase and fill. All scenes share the network's batches.

        Args:
            scenes: scenes with images, or the dicts of ``SceneMapper``, so that this can stand
                where Detectron2's evaluation loop expects a model.

        Raises:
            UserError: a scene has no image, or a category id that the network cannot take.
        """
        scenes = [s["scene"] if isinstance(s, dict) else s for s in scenes]
        require_categories(scenes, self.steps)
        drawn = [
            draw_erased_regions(scene, self.settings, min_square=self.min_square, seed=self.seed)
            for scene in scenes
        ]
        holes = [
            _hole(scene, region)
            for scene, (regions, _) in zip(scenes, drawn, strict=True)
            for region in regions
        ]
        windows = iter([] if self.content is None else self.content.fill(holes))
        filled = []
        for scene, (regions, left_out) in zip(scenes, drawn, strict=True):
            filled_regions = []
            for region in regions:
                fills = {}
                if self.content is not None:
                    fills[NETWORK] = next(windows)[region.hole.array]
                fills |= self._baseline_fills(scene, region)
                filled_regions.append(FilledRegion(region, fills))
            filled.append(FilledScene(filled_regions, left_out))
        return filled

    def _baseline_fills(self, scene: Scene, region: ErasedRegion) -> dict[str, np.ndarray]:
        box = intersect_boxes(region.square.box, (0, 0, scene.width, scene.height))
        x0, y0, x1, y1 = box
        hole = region.hole.crop(box)
        erased = require_image(scene)[y0:y1, x0:x1].copy()
        erased[hole] = 0
        visible = region.visible.crop(box)
        fills = {}
        for name in self.baselines:
            if name == SMOOTH:
                # What was erased ends sharply: the colours at its border are the object's own.
                (window,) = SmoothFiller(inset=0).fill([_hole(scene, region)])
                fills[name] = window[region.hole.array]
            else:
                fills[name] = FILLS[name](erased, hole, visible)[hole]
        return fills


def _hole(scene: Scene, region: ErasedRegion) -> Hole:
    """An erased region as content completion takes it: all around it may be looked at."""
    return Hole(
        require_image(scene),
        missing=region.hole,
        visible=region.visible,
        taken=WindowMask.empty(),
        square=region.square,
        category_id=int(scene.category_ids[region.row]),
    )
