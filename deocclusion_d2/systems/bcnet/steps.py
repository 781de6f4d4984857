"""Ordering by what BCNet's first layer takes for an object's occluders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from detectron2.data import transforms as T
from detectron2.structures import Boxes, Instances

from ...errors import UserError
from ...inference.engines import TorchEngine, require_torch
from ...inference.network_runner import NetworkRunner, Sample
from ...inference.steps import NetworkStep, dilation, require_image
from ...inference.weights import load_model
from ...modeling.category_ids import KnownCategories
from ...modeling.precision import chosen_precision, plain_copy
from ...structures import OcclusionGraph, Scene, WindowMask
from ...structures.window_mask import Box, intersect_boxes
from .occluders import IN_FRONT


@dataclass(frozen=True)
class OccluderMasks:
    """The first layer's masks of a photo's regions, (1, N, 2 P, 2 P) probabilities."""

    def __call__(self, runner: NetworkRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        image = batch["image"][0]
        regions = Instances(tuple(image.shape[:2]))
        regions.pred_boxes = Boxes(batch["boxes"][0])
        # The mask head is class-agnostic, but Detectron2 wants to hear of classes.
        regions.pred_classes = torch.zeros(
            len(regions.pred_boxes), dtype=torch.int64, device=image.device
        )
        given = [{"image": image.permute(2, 0, 1)}]
        with torch.autocast(
            image.device.type, torch.bfloat16, enabled=runner.precision == "bfloat16"
        ):
            found = runner.model.inference(given, [regions], do_postprocess=False)[0]
        return found.pred_occluder_masks[None, :, 0].float()


class RegionRunner(NetworkRunner):
    """Runs BCNet on given regions, a photo at a time.

    Args:
        model: trained; it is not changed.
        min_size, max_size: what the shorter side of a photo is made, and the longest it may be.
        bgr: whether the network takes BGR.
        precision: see ``NetworkRunner``.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        min_size: int,
        max_size: int,
        bgr: bool,
        precision: str = "auto",
    ) -> None:
        self.precision = chosen_precision(precision, model.device)
        self.engine = TorchEngine.name
        self.model = plain_copy(model)
        self.model.roi_heads.mask_head.keep_extras = True
        self.uses_rgb, self.uses_category = True, False
        self.categories = KnownCategories()
        self.client = None
        self._bgr = bgr
        self._resize = T.ResizeShortestEdge([min_size, min_size], max_size)

    @classmethod
    def from_config(cls, cfg, model: torch.nn.Module | None = None) -> RegionRunner:
        """What runs the network of a config.

        Args:
            model: trained; without it the config's is built and ``cfg.MODEL.WEIGHTS`` loaded.

        Raises:
            UserError: missing weights, weights that don't fit, or a network whose first layer knows
                no order.
        """
        if cfg.MODEL.BCNET.OCCLUDERS != IN_FRONT:
            raise UserError(
                f"MODEL.BCNET.OCCLUDERS = {cfg.MODEL.BCNET.OCCLUDERS!r}: neighbours are each "
                f"other's occluders and say nothing of the order; train with {IN_FRONT!r}, and "
                "name the config.yaml of that training"
            )
        require_torch(cfg.DEOCCLUSION.ENGINE, cfg.MODEL.META_ARCHITECTURE)
        return cls(
            load_model(cfg) if model is None else model,
            min_size=cfg.INPUT.MIN_SIZE_TEST,
            max_size=cfg.INPUT.MAX_SIZE_TEST,
            bgr=cfg.INPUT.FORMAT == "BGR",
            precision="float32" if cfg.DEOCCLUSION.PAPER_PROTOCOL else cfg.DEOCCLUSION.PRECISION,
        )

    def forward_size(self, patch_size: int) -> int:
        """See ``NetworkRunner``: photos have sizes of their own."""
        return 1

    def sample(self, image: np.ndarray, boxes: np.ndarray) -> Sample:
        """A photo and its regions, as the network takes them.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: (N, 4) of (x0, y0, x1, y1) in pixels.
        """
        transform = self._resize.get_transform(image)
        given = transform.apply_image(image[:, :, ::-1] if self._bgr else image)
        moved = transform.apply_box(boxes.astype(np.float64))
        return {
            "image": np.ascontiguousarray(given).astype(np.float32),
            "boxes": moved.astype(np.float32),
        }


class LayerOrdering(NetworkStep):
    """Of two neighbours, the one that the first layer sees more of in the other's region is in
    front.

    It asks the network about the regions of the given masks, whoever has found them: boxes of whole
    objects where they are known. In the region of i, what j holds of it counts by the mean
    probability that an occluder is there. The probabilities are those of a training in which most
    regions have few occluders, and low; which of two is higher tells the order.

    Args:
        runner: runs a BCNet that was trained with ``MODEL.BCNET.OCCLUDERS in_front``.
        dilation: see ``Scene.neighbour_pairs``.
        description: what ``describe`` says.
    """

    def __init__(
        self,
        runner: RegionRunner,
        *,
        dilation: int = 0,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(runner, description)
        self.dilation = dilation

    def __call__(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        """The occlusion graph of every scene."""
        pairs = [scene.neighbour_pairs(self.dilation) for scene in scenes]
        found = self.runner.results(self._samples(scenes, pairs), OccluderMasks())
        return [
            _graph(scene, of_scene, next(found)) if of_scene else OcclusionGraph(len(scene))
            for scene, of_scene in zip(scenes, pairs, strict=True)
        ]

    def _samples(
        self, scenes: Sequence[Scene], pairs: Sequence[list[tuple[int, int]]]
    ) -> Iterator[Sample]:
        # A scene without neighbours has no order to be asked for.
        for scene, of_scene in zip(scenes, pairs, strict=True):
            if of_scene:
                boxes = [_box(scene, row) for row in _rows(of_scene)]
                yield self.runner.sample(require_image(scene), np.array(boxes))


def _rows(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The instances that have a neighbour."""
    return sorted({row for pair in pairs for row in pair})


def _graph(
    scene: Scene, pairs: Sequence[tuple[int, int]], probabilities: np.ndarray
) -> OcclusionGraph:
    """The order of a scene.

    Args:
        pairs: its neighbours.
        probabilities: (N, h, w), of the regions of those that have some.
    """
    seen = dict(zip(_rows(pairs), probabilities, strict=True))
    regions = {row: _Region(_box(scene, row), part) for row, part in seen.items()}
    masks = scene.modal_masks
    shares = np.array([(regions[i].share(masks[j]), regions[j].share(masks[i])) for i, j in pairs])
    # Of the two, i is in front where more of the other is hidden.
    scores = shares[:, 1] - shares[:, 0]
    return OcclusionGraph.from_scores(len(scene), pairs, scores, shares, np.abs(scores))


@dataclass(frozen=True)
class _Region:
    """What the first layer has found in a region.

    Attributes:
        box: (x0, y0, x1, y1) in pixels.
        occluder: (n, m) probabilities.
    """

    box: Box
    occluder: np.ndarray

    def share(self, other: WindowMask) -> float:
        """Mean probability of an occluder where another object is in the region; 0 outside."""
        common = intersect_boxes(self.box, other.box)
        if common is None:
            return 0.0
        inside = other.crop(common)
        if not inside.any():
            return 0.0
        # At the pixels of the common part alone: the region may be large.
        x, y = (
            _positions(common[axis], common[axis + 2], self.box[axis], self.box[axis + 2], cells)
            for axis, cells in ((0, self.occluder.shape[1]), (1, self.occluder.shape[0]))
        )
        maps = np.meshgrid(x, y)
        seen = cv2.remap(self.occluder, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return float(seen[inside].mean())


def _positions(start: int, stop: int, low: int, high: int, cells: int) -> np.ndarray:
    """Where the centres of pixels from start to stop are among the cells of a box's side."""
    centres = np.arange(start, stop) + 0.5
    return ((centres - low) * (cells / (high - low)) - 0.5).astype(np.float32)


def _box(scene: Scene, row: int) -> Box:
    """The region of an instance: the box of the whole object where somebody has given it."""
    if scene.amodal_boxes is None or np.isnan(scene.amodal_boxes[row]).any():
        return scene.modal_masks[row].box
    # What lies further out than the image is large is nothing that the network could see.
    low = np.array([-scene.width, -scene.height] * 2)
    x0, y0, x1, y1 = np.clip(scene.amodal_boxes[row], low, -2 * low)
    box = int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1))
    return box if box[0] < box[2] and box[1] < box[3] else scene.modal_masks[row].box


def needs_images(cfg) -> bool:
    """Scenes need their images: the network looks at nothing else."""
    return True


def own_ordering(cfg) -> str:
    """Trained ``in_front``, it knows the order of what it finds."""
    return "bcnet_layers" if cfg.MODEL.BCNET.OCCLUDERS == IN_FRONT else ""


def build_ordering(cfg, runner: RegionRunner) -> LayerOrdering:
    """The ordering "bcnet_layers"."""
    return LayerOrdering(
        runner,
        dilation=dilation(cfg),
        description={
            "min_size": cfg.INPUT.MIN_SIZE_TEST,
            "max_size": cfg.INPUT.MAX_SIZE_TEST,
            "precision": runner.precision,
        },
    )
