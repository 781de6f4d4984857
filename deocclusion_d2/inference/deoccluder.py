"""The whole method on scenes: order, then complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from detectron2.structures import Instances

from ..errors import UserError
from ..structures import DEFAULT_MIN_SCORE, Deocclusion, Scene
from .baselines import HeuristicOrdering
from .scene_input import scene_from_masks
from .steps import (
    BASELINES,
    COMPLETIONS,
    ORDERINGS,
    Completion,
    Ordering,
    build_runner,
    describe_network,
    dilation,
    needed_network,
)


class Deoccluder:
    """De-occludes scenes: modal masks in, occlusion graph and amodal masks out.

    Results do not depend on how scenes are grouped into calls.

    Example::

        deoccluder = Deoccluder.from_config(cfg)             # cfg.MODEL.WEIGHTS are loaded
        result = deoccluder.predict(masks, category_ids)     # one image
        result.graph.edges, result.amodal_masks
        results = deoccluder(scenes)                         # many images, one set of batches
    """

    def __init__(
        self,
        ordering: Ordering,
        completion: Completion,
        description: dict[str, Any],
        uses_rgb: bool,
        uses_category: bool = False,
        min_score: float = DEFAULT_MIN_SCORE,
    ) -> None:
        """Most callers want ``from_config`` or ``baseline``.

        Args:
            ordering, completion: the two steps, see ``steps.py``.
            description: what ``describe`` says.
            uses_rgb: whether scenes need their image.
            uses_category: whether the result depends on category ids.
            min_score: ``predict`` leaves out masks whose score is below it.
        """
        self._ordering = ordering
        self._completion = completion
        self._description = description
        self.uses_rgb = uses_rgb
        self.uses_category = uses_category
        self.min_score = min_score

    @classmethod
    def from_config(cls, cfg, model: torch.nn.Module | None = None) -> Deoccluder:
        """Build the method that ``cfg.DEOCCLUSION`` names.

        Args:
            cfg: a config with ``add_deocclusion_config``'s keys.
            model: the trained network of the method; without it the config's is built and
                ``cfg.MODEL.WEIGHTS`` loaded.

        Raises:
            UserError: an unknown method, missing weights, or a method of another network than
                ``cfg.MODEL.META_ARCHITECTURE``; the message names the config key.
        """
        options = cfg.DEOCCLUSION
        _check("DEOCCLUSION.ORDERING", options.ORDERING, ORDERINGS)
        _check("DEOCCLUSION.COMPLETION", options.COMPLETION, COMPLETIONS)
        if (options.DILATION and options.DILATION % 2 == 0) or options.DILATION < 0:
            raise UserError(f"DEOCCLUSION.DILATION = {options.DILATION}: use 0 or an odd number")
        for key in ("MUTUAL_SHARE", "MUTUAL_DIFFERENCE"):
            if not 0 <= options[key] <= 1:
                raise UserError(f"DEOCCLUSION.{key} = {options[key]}: use a number from 0 to 1")
        runner = build_runner(cfg, model) if needed_network(cfg) else None
        description: dict[str, Any] = {
            "ordering": options.ORDERING,
            "completion": options.COMPLETION,
            "dilation": dilation(cfg),
        }
        if runner is not None:
            description |= describe_network(cfg, runner)
        return cls(
            ORDERINGS[options.ORDERING](cfg, runner),
            COMPLETIONS[options.COMPLETION](cfg, runner),
            description,
            uses_rgb=runner is not None and runner.uses_rgb,
            uses_category=runner is not None and runner.uses_category,
            min_score=options.MIN_SCORE,
        )

    @classmethod
    def baseline(cls, name: str) -> Deoccluder:
        """A method that needs no network: "raw", "convex" or "convex_r", on the Convex order."""
        _check("method", name, BASELINES)
        description = {"ordering": "convex", "completion": name, "dilation": 0}
        return cls(HeuristicOrdering("convex"), BASELINES[name](), description, uses_rgb=False)

    def describe(self) -> dict[str, Any]:
        """What decides the result besides weights and input: names and numbers, for JSON."""
        return dict(self._description)

    def __call__(self, scenes: Sequence[Scene | dict]) -> list[Deocclusion]:
        """De-occlude scenes. All of them share the network's batches.

        Args:
            scenes: scenes, or the dicts of ``SceneMapper``, so that a Deoccluder can stand where
                Detectron2's evaluation loop expects a model.
        """
        scenes = [s["scene"] if isinstance(s, dict) else s for s in scenes]
        return self._completion(scenes, self._ordering(scenes))

    def predict(
        self,
        masks: np.ndarray | Sequence[dict] | Instances,
        category_ids: Sequence[int] | None = None,
        image: np.ndarray | None = None,
        contiguous_ids: Mapping[int, int] | None = None,
    ) -> Deocclusion:
        """De-occlude one image.

        Masks with scores are predictions. Those with a score below ``min_score``
        (``DEOCCLUSION.MIN_SCORE``) are left out, and a pixel that several of the others hold goes
        to the one of the highest score. Masks without scores stay as they are, all of them.

        Args:
            masks: N modal masks: (N, H, W) array or tensor, non-zero is foreground; or N compressed
                COCO RLE dicts; or N entries of COCO results of one image (dicts with
                ``segmentation``, ``category_id`` and ``score``); or Detectron2 ``Instances`` with
                ``pred_masks`` or ``gt_masks``, and maybe ``scores``.
            category_ids: N ids of the data set that the model was trained on (KINS 1-8). Without,
                they are those of the results' entries, or those that ``contiguous_ids`` gives to
                the classes of ``Instances``; else 1.
            image: (H, W, 3) uint8 RGB; only for models that use colours.
            contiguous_ids: category id of the data set -> class number of the detector, as in
                ``MetadataCatalog.get(name).thing_dataset_id_to_contiguous_id``.

        Returns:
            The M <= N instances that took part; ``rows`` says which of the N each one is.

        Raises:
            UserError: masks that are not one of these forms; or ``Instances`` with classes, neither
                ``category_ids`` nor ``contiguous_ids``, and a model that depends on category ids.
        """
        scene, rows = scene_from_masks(
            masks,
            category_ids,
            image,
            min_score=self.min_score,
            contiguous_ids=contiguous_ids,
            needs_category=self.uses_category,
        )
        return replace(self([scene])[0], rows=rows)


def _check(key: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise UserError(f"{key} = {value!r}: use one of {', '.join(known)}")
