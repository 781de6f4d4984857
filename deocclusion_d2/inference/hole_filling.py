"""Fills held-out erased regions, by PCNet-C and by fills that need no training, to be measured.

Shape shorthand: S: side of the network's patch; s: side of a square in the image; n: pixels of a
hole, row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..data.erased_regions import ErasedRegion, draw_erased_regions
from ..data.samplers import SamplerSettings
from ..errors import UserError
from ..structures import Scene, SquareCrop, WindowMask
from ..structures.window_mask import intersect_boxes
from .network_runner import NetworkRunner, Sample
from .opencv_inpainting import FILLS
from .ordering import require_image
from .weights import load_model

# Name of the network's fill beside those of ``opencv_inpainting.FILLS``.
NETWORK = "network"


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
        runner: runs PCNet-C: ``runner.outputs(samples, "rgb")``. None: only fills without training.
        settings: numbers of the sampler, the side S of a patch among them.
        min_square, seed: see ``draw_erased_regions``.
        baselines: fills beside the network's, names of ``opencv_inpainting.FILLS``.
    """

    uses_rgb = True

    def __init__(
        self,
        runner: NetworkRunner | None,
        settings: SamplerSettings,
        *,
        min_square: float = 5.0,
        seed: int = 0,
        baselines: Sequence[str] = tuple(FILLS),
    ) -> None:
        self.runner = runner
        self.settings = settings
        self.min_square = min_square
        self.seed = seed
        self.baselines = tuple(baselines)

    @classmethod
    def from_config(cls, cfg, model: torch.nn.Module | None = None) -> HoleFiller:
        """Build it from a config of PCNet-C.

        Args:
            model: a trained PCNet-C; without it one is built and ``cfg.MODEL.WEIGHTS`` loaded.

        Raises:
            UserError: missing weights, or a config of another network.
        """
        if cfg.MODEL.META_ARCHITECTURE != "PCNetC":
            raise UserError(
                "holes are filled by PCNetC, but MODEL.META_ARCHITECTURE is "
                f"{cfg.MODEL.META_ARCHITECTURE!r}; use a config of PCNetC"
            )
        runner = NetworkRunner(
            load_model(cfg) if model is None else model,
            batch_size=cfg.DEOCCLUSION.PATCHES_PER_BATCH,
            precision=cfg.DEOCCLUSION.PRECISION,
        )
        return cls(
            runner,
            SamplerSettings.from_config(cfg),
            min_square=cfg.INPUT.PARTIAL_COMPLETION.MIN_SQUARE,
        )

    def __call__(self, scenes: Sequence[Scene | dict]) -> list[FilledScene]:
        """Erase and fill. All scenes share the network's batches.

        Args:
            scenes: scenes with images, or the dicts of ``SceneMapper``, so that this can stand
                where Detectron2's evaluation loop expects a model.

        Raises:
            UserError: a scene has no image.
        """
        scenes = [s["scene"] if isinstance(s, dict) else s for s in scenes]
        drawn = [
            draw_erased_regions(scene, self.settings, min_square=self.min_square, seed=self.seed)
            for scene in scenes
        ]
        outputs: Iterator[np.ndarray] | None = None
        if self.runner is not None:
            samples = (
                content_sample(scene, region, self.settings.patch_size)
                for scene, (regions, _) in zip(scenes, drawn, strict=True)
                for region in regions
            )
            outputs = iter(self.runner.outputs(samples, "rgb"))
        filled = []
        for scene, (regions, left_out) in zip(scenes, drawn, strict=True):
            filled_regions = []
            for region in regions:
                fills = {}
                if outputs is not None:
                    fills[NETWORK] = hole_colours(next(outputs), region)
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
        return {name: FILLS[name](erased, hole, visible)[hole] for name in self.baselines}


def content_sample(scene: Scene, region: ErasedRegion, size: int) -> Sample:
    """The input of PCNet-C for an erased region.

    The hole is erased before the image is resized, and every patch pixel is the mean of the known
    pixels below it: no colour of the hole gets into the patch.

    Args:
        scene: with its image.
        size: side S of the patch.

    Returns:
        ``image`` (S, S, 3) uint8 RGB, 0 in the hole and beyond the image's border; ``modal_mask``,
        ``hole``, ``outside`` (S, S) uint8 0/1; ``category_id`` () int64.

    Raises:
        UserError: the scene has no image.
    """
    square = region.square
    hole = square.sample(region.hole, size)
    outside = ~square.sample(WindowMask.filled((0, 0, scene.width, scene.height)), size)
    image = resize_known_pixels(require_image(scene), region.hole, square, size)
    image[hole | outside] = 0
    return {
        "image": image,
        "modal_mask": square.sample(region.visible, size).view(np.uint8),
        "hole": hole.view(np.uint8),
        "outside": outside.view(np.uint8),
        "category_id": np.asarray(scene.category_ids[region.row], dtype=np.int64),
    }


def resize_known_pixels(
    image: np.ndarray, hole: WindowMask, square: SquareCrop, size: int
) -> np.ndarray:
    """Crop and resize an image so that only pixels outside a hole and inside the image count.

    Args:
        image: (H, W, 3) uint8.
        size: side S of the patch.

    Returns:
        (S, S, 3) uint8; 0 where no known pixel is near.
    """
    height, width = image.shape[:2]
    known = WindowMask.filled((0, 0, width, height)).crop(square.box) & ~hole.crop(square.box)
    colours = np.zeros((square.side, square.side, 3), np.float32)
    x0, y0, x1, y1 = intersect_boxes(square.box, (0, 0, width, height))
    colours[y0 - square.y0 : y1 - square.y0, x0 - square.x0 : x1 - square.x0] = image[y0:y1, x0:x1]
    colours[~known] = 0
    # Neither has negative weights, so a weighted mean stays a mean.
    method = cv2.INTER_AREA if square.side > size else cv2.INTER_LINEAR
    weight = cv2.resize(known.astype(np.float32), (size, size), interpolation=method)
    colours = cv2.resize(colours, (size, size), interpolation=method)
    colours /= np.maximum(weight, 1e-6)[..., None]
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def hole_colours(rgb: np.ndarray, region: ErasedRegion) -> np.ndarray:
    """Resize the network's output back to the square and read the hole's pixels.

    Args:
        rgb: (S, S, 3) float32 RGB in [0, 255].

    Returns:
        (n, 3) uint8 RGB.
    """
    side = region.square.side
    if side != rgb.shape[0]:
        method = cv2.INTER_AREA if side < rgb.shape[0] else cv2.INTER_CUBIC
        rgb = cv2.resize(rgb, (side, side), interpolation=method)
    colours = rgb[region.hole.crop(region.square.box)]
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)
