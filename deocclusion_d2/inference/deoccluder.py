"""The whole method on scenes: order, then complete."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.modeling import build_model
from detectron2.structures import Instances

from ..errors import UserError
from ..structures import DEFAULT_MIN_SCORE, Deocclusion, OcclusionGraph, Scene, WindowMask
from .amodal_completion import PCNetCompletion
from .baselines import ConvexCompletion, HeuristicOrdering, RawCompletion
from .ordering import DualCompletion
from .patch_completer import PatchCompleter
from .scene_input import scene_from_masks

ORDERINGS = ("dual_completion", "area", "y_axis", "convex")
COMPLETIONS = ("og", "nog", "raw", "convex", "convex_r")
BASELINES = ("raw", "convex", "convex_r")


Ordering = Callable[[Sequence[Scene]], list[OcclusionGraph]]
Completion = Callable[[Sequence[Scene], Sequence[OcclusionGraph]], list[list[WindowMask]]]


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
            ordering, completion: the two steps, see ``ordering.py``, ``amodal_completion.py`` and
                ``baselines.py``.
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
            model: a trained PCNet-M; without it one is built and ``cfg.MODEL.WEIGHTS`` loaded.

        Raises:
            UserError: an unknown method, or missing weights; the message names the config key.
        """
        options = cfg.DEOCCLUSION
        _check("DEOCCLUSION.ORDERING", options.ORDERING, ORDERINGS)
        _check("DEOCCLUSION.COMPLETION", options.COMPLETION, COMPLETIONS)
        if (options.DILATION and options.DILATION % 2 == 0) or options.DILATION < 0:
            raise UserError(f"DEOCCLUSION.DILATION = {options.DILATION}: use 0 or an odd number")
        paper = options.PAPER_PROTOCOL
        dilation = 0 if paper else options.DILATION
        needs_network = options.ORDERING == "dual_completion" or options.COMPLETION in ("og", "nog")
        completer = None
        if needs_network:
            completer = PatchCompleter(
                load_model(cfg) if model is None else model,
                batch_size=options.PATCHES_PER_BATCH,
                precision="float32" if paper else options.PRECISION,
                optimize=not paper,
            )
        patch = {
            "patch_size": cfg.INPUT.PARTIAL_COMPLETION.PATCH_SIZE,
            "enlarge": cfg.INPUT.PARTIAL_COMPLETION.ENLARGE_BOX,
            "dilation": dilation,
        }
        if options.ORDERING == "dual_completion":
            ordering = DualCompletion(completer, threshold=options.ORDER_THRESHOLD, **patch)
        else:
            ordering = HeuristicOrdering(
                options.ORDERING, larger_in_front=options.LARGER_IN_FRONT, dilation=dilation
            )
        if options.COMPLETION in ("og", "nog"):
            completion = PCNetCompletion(
                completer,
                grounded=options.COMPLETION == "og",
                threshold=options.AMODAL_THRESHOLD,
                constrain=options.CONSTRAIN and not paper,
                **patch,
            )
        else:
            completion = _baseline_completion(options.COMPLETION)
        description: dict[str, Any] = {
            "ordering": options.ORDERING,
            "completion": options.COMPLETION,
            "dilation": dilation,
        }
        if needs_network:
            description |= {
                "order_threshold": options.ORDER_THRESHOLD,
                "amodal_threshold": options.AMODAL_THRESHOLD,
                "patch_size": patch["patch_size"],
                "enlarge_box": patch["enlarge"],
                "constrain": options.CONSTRAIN and not paper,
                "paper_protocol": paper,
                "precision": completer.precision,
            }
        uses_rgb = completer is not None and completer.uses_rgb
        uses_category = completer is not None and completer.uses_category
        return cls(ordering, completion, description, uses_rgb, uses_category, options.MIN_SCORE)

    @classmethod
    def baseline(cls, name: str) -> Deoccluder:
        """A method that needs no network: "raw", "convex" or "convex_r", on the Convex order."""
        _check("method", name, BASELINES)
        description = {"ordering": "convex", "completion": name, "dilation": 0}
        return cls(
            HeuristicOrdering("convex"), _baseline_completion(name), description, uses_rgb=False
        )

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
        graphs = self._ordering(scenes)
        masks = self._completion(scenes, graphs)
        return [Deocclusion(g, m) for g, m in zip(graphs, masks, strict=True)]

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


def load_model(cfg) -> torch.nn.Module:
    """Build the model of a config and load ``MODEL.WEIGHTS`` into it, ready to infer.

    Raises:
        UserError: there are no weights, or they are not a checkpoint of this model.
    """
    weights = cfg.MODEL.WEIGHTS
    if not weights:
        raise UserError(
            "MODEL.WEIGHTS is empty: name a trained checkpoint (--weights, or MODEL.WEIGHTS FILE)"
        )
    if "://" not in weights and not os.path.isfile(weights):
        raise UserError(f"MODEL.WEIGHTS: file {weights!r} does not exist")
    model = build_model(cfg)
    try:
        StrictCheckpointer(model).load(weights)
    except UserError:
        raise
    # What a broken file makes torch and Detectron2 raise.
    except (
        AssertionError,
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        reason = " ".join(str(error).split()[:20])
        raise UserError(
            f"MODEL.WEIGHTS: {weights!r} is not a readable checkpoint "
            f"({type(error).__name__}: {reason})"
        ) from error
    return model.eval()


class StrictCheckpointer(DetectionCheckpointer):
    """A checkpointer that refuses weights which do not fit, instead of warning.

    A model with half of its weights runs and gives wrong masks.
    """

    def _log_incompatible_keys(self, incompatible) -> None:
        problems = [
            f"{name} has shape {tuple(found)}, the config's model {tuple(wanted)}"
            for name, found, wanted in incompatible.incorrect_shapes
        ]
        problems += [f"{name} is missing" for name in incompatible.missing_keys]
        problems += [f"{name} is unknown" for name in incompatible.unexpected_keys]
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UserError(f"MODEL.WEIGHTS do not fit this config: {problems[0]}{more}")


def _baseline_completion(name: str) -> RawCompletion | ConvexCompletion:
    return RawCompletion() if name == "raw" else ConvexCompletion(refined=name == "convex_r")


def _check(key: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UserError(f"{key} = {value!r}: use one of {', '.join(known)}")
