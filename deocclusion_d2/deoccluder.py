"""The whole method on scenes: order, then complete; by steps of one system or of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .chosen_steps import ChosenStep, Runners, refuse_ignored_keys
from .config import rule_config
from .errors import UserError
from .inference.calibration import (
    ENOUGH_PAIRS,
    RequestCalibration,
    chosen_scenes,
    gap_census,
    rounds,
)
from .inference.steps import (
    AUTO_GAP,
    Completion,
    Ordering,
    dilation,
    gap_of,
    owns_pixels,
    require_categories,
)
from .methods import method_config, rule_methods
from .pretrained import DEFAULT, find_pretrained
from .structures import (
    DEFAULT_MIN_SCORE,
    OVERLAP_RULES,
    Deocclusion,
    GapCensus,
    OcclusionGraph,
    Scene,
)
from .systems import find_step
from .workers import map_in_order

if TYPE_CHECKING:
    import torch
    from detectron2.config import CfgNode
    from detectron2.structures import Instances

    from .inference.network_runner import NetworkRunner
    from .inference.network_server import NetworkServer
    from .structures import Ownership

# The order that a rule's completion stands on where no config names another.
_RULE_ORDER = "convex"
# Scenes that share the network's batches when a request is measured.
_SCENES_AT_ONCE = 8


class Deoccluder:
    """De-occludes scenes: modal masks in, occlusion graph and amodal masks out.

    Results do not depend on how scenes are grouped into calls.

    Example::

        deoccluder = Deoccluder.from_pretrained()            # the network of the package
        deoccluder = Deoccluder.from_config(cfg)             # cfg.MODEL.WEIGHTS are loaded
        result = deoccluder.predict(masks, category_ids)     # one image
        result.graph.edges, result.amodal_masks
        results = deoccluder(scenes)                         # many images, one set of batches
    """

    def __init__(
        self,
        ordering: Ordering,
        completion: Completion,
        description: Mapping[str, Any],
        min_score: float = DEFAULT_MIN_SCORE,
        owns_pixels: bool = True,
        gap: int | None = 0,
    ) -> None:
        """Most callers want ``from_config`` or ``baseline``.

        Args:
            ordering, completion: the two steps, see ``inference/steps.py``.
            description: what ``describe`` says.
            min_score: ``predict`` leaves out masks whose score is below it.
            owns_pixels: both steps see masks of which every pixel has one owner, whatever masks
                overlap; see ``structures/ownership.py``.
            gap: the widest gap between masks that is closed, in pixels; None: it is measured, for
                each scene by itself unless ``calibrated`` says it for all.
        """
        self._ordering = ordering
        self._completion = completion
        self._description = dict(description)
        self.uses_rgb = ordering.uses_rgb or completion.uses_rgb
        self.uses_category = ordering.uses_category or completion.uses_category
        self.min_score = min_score
        self.owns_pixels = owns_pixels
        self.gap = gap

    @classmethod
    def from_config(cls, cfg: CfgNode, model: torch.nn.Module | None = None) -> Deoccluder:
        """Build the method that ``cfg.DEOCCLUSION`` names.

        The steps may be of different systems: ``ORDERING_CONFIG`` and ``COMPLETION_CONFIG`` name
        the config, and maybe the weights, of a step's network where it is not the config's own.

        Args:
            cfg: a config with ``add_deocclusion_config``'s keys.
            model: the config's own trained network; without it the config's is built and
                ``cfg.MODEL.WEIGHTS`` loaded, if a step runs it.

        Raises:
            UserError: an unknown step, missing weights, a step of another network than the
                config's, or a key that no step honours; the message names the config key.
        """
        options = cfg.DEOCCLUSION
        gap_of(cfg)
        if (options.DILATION and options.DILATION % 2 == 0) or options.DILATION < 0:
            raise UserError(f"DEOCCLUSION.DILATION = {options.DILATION}: use 0 or an odd number")
        chosen = [ChosenStep.of(cfg, kind) for kind in ("ordering", "completion")]
        refuse_ignored_keys(cfg, chosen)
        runners = Runners(model)
        ordering, completion = (step.build(runners) for step in chosen)
        description = {
            "ordering": chosen[0].name,
            "completion": chosen[1].name,
            "dilation": dilation(cfg),
        }
        described = ordering.describe()
        if described and completion.describe() and chosen[0].cfg is not chosen[1].cfg:
            described = {"ordering_network": described}
        description |= {**described, **completion.describe()}
        for step in chosen:
            description |= step.describe_source()
        if not owns_pixels(cfg) and not options.PAPER_PROTOCOL:
            description["overlaps"] = options.OVERLAPS
        if options.CATEGORY_MAP and (ordering.uses_category or completion.uses_category):
            description["category_map"] = [list(pair) for pair in options.CATEGORY_MAP]
        description |= _describe_gap(cfg)
        return cls(
            ordering, completion, description, options.MIN_SCORE, owns_pixels(cfg), gap_of(cfg)
        )

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = DEFAULT,
        opts: Sequence[str] = (),
        config_file: str | None = None,
    ) -> Deoccluder:
        """Build the method of a trained network, by default of the one that comes along.

        Args:
            name: see ``find_pretrained``: a name, a folder, a file of weights, or hf://...
            opts: alternating config keys and values.
            config_file: the config, for weights that have none beside them.

        Raises:
            UserError: there is no such network, or see ``from_config``.
        """
        return cls.from_config(find_pretrained(name, config_file).load_config(opts))

    @classmethod
    def baseline(
        cls, name: str, overlaps: str = OVERLAP_RULES[0], gap: str | int = 0
    ) -> Deoccluder:
        """A method that needs no network: "raw", "convex" or "convex_r", on the Convex order.

        It loads neither torch nor Detectron2.

        Args:
            overlaps: ``DEOCCLUSION.OVERLAPS``.
            gap: ``DEOCCLUSION.GAP``.
        """
        if name not in rule_methods():
            raise UserError(f"method = {name!r}: use one of {', '.join(rule_methods())}")
        cfg = rule_config()
        cfg.DEOCCLUSION.OVERLAPS = overlaps
        cfg.DEOCCLUSION.GAP = str(gap)
        steps = [
            find_step(kind, wanted)[1].build(cfg, None)
            for kind, wanted in (("ordering", _RULE_ORDER), ("completion", name))
        ]
        description = {"ordering": _RULE_ORDER, "completion": name, "dilation": 0}
        if not owns_pixels(cfg):
            description["overlaps"] = overlaps
        description |= _describe_gap(cfg)
        return cls(*steps, description, owns_pixels=owns_pixels(cfg), gap=gap_of(cfg))

    @property
    def steps(self) -> tuple[Ordering, Completion]:
        """Ordering and completion."""
        return self._ordering, self._completion

    def describe(self) -> dict[str, Any]:
        """What decides the result besides weights and input: names and numbers, for JSON."""
        return dict(self._description)

    @property
    def needs_calibration(self) -> bool:
        """Whether something is measured on the masks of a request, and has not been yet."""
        return self.gap is None or self._ordering.needs_calibration

    def calibration(
        self, read: Callable[[Sequence[int]], list[Scene]], count: int, workers: int = 0
    ) -> RequestCalibration:
        """Measure a request, for ``calibrated``.

        Args:
            read: numbers of the request's images -> the scenes of those that can be used; in any
                process.
            count: of its images.
            workers: processes that measure; the result does not depend on them.
        """
        chosen = chosen_scenes(count)
        found = RequestCalibration(self.gap or 0)
        if self.gap is None:
            parts = _parts(chosen)
            counts = map_in_order(_Count(read), parts, workers if len(parts) > 1 else 0)
            found = RequestCalibration.of_census(sum(counts, GapCensus.empty()))
        # A scene alone is a request of its own, and needs no second look.
        if not self._ordering.needs_calibration or count < 2:
            return found
        measured: dict[int, list[np.ndarray]] = {}
        with_gap = copy(self)
        with_gap.gap = found.gap
        for numbers in rounds(chosen):
            parts = _parts(numbers)
            here = workers if len(parts) > 1 else 0
            with self.serve(here) as server:
                for of_part in map_in_order(_Measure(with_gap, read, server), parts, here):
                    measured |= of_part
            pairs = sum(len(rows) for of_image in measured.values() for rows in of_image)
            if pairs >= ENOUGH_PAIRS:
                break
        in_order = [rows for number in sorted(measured) for rows in measured[number]]
        return replace(found, ordering=self._ordering.fit(in_order))

    def calibrated(self, calibration: RequestCalibration) -> Deoccluder:
        """This deoccluder for one request: all its scenes are seen as the calibration says.

        What a config has settled stays as it is.
        """
        if not self.needs_calibration:
            return self
        other = copy(self)
        if self.gap is None:
            other.gap = calibration.gap
            other._description = {**other._description, **calibration.describe()}
        if self._ordering.needs_calibration and calibration.ordering is not None:
            other._ordering = self._ordering.calibrated(calibration.ordering)
            before, said = self._ordering.describe(), other._ordering.describe()
            news = {key: value for key, value in said.items() if value != before.get(key)}
            if "ordering_network" in other._description:
                news = {"ordering_network": {**other._description["ordering_network"], **news}}
            other._description = {**other._description, **news}
        return other

    def __call__(self, scenes: Sequence[Scene | dict]) -> list[Deocclusion]:
        """De-occlude scenes. All of them share the network's batches.

        Args:
            scenes: scenes, or the dicts of ``SceneMapper``, so that a Deoccluder can stand where
                Detectron2's evaluation loop expects a model.

        Raises:
            UserError: a category id that a network of the steps does not know.
        """
        given = [s["scene"] if isinstance(s, dict) else s for s in scenes]
        results = self._deocclude(given)
        return [replace(r, scene=s) for r, s in zip(results, given, strict=True)]

    def order(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        """Who hides whom in scenes; nothing is completed.

        Raises:
            UserError: see ``__call__``.
        """
        seen, ownerships = self._seen(scenes)
        return [
            scene.of_whole_objects(graph).graph
            if scene.masks_are_amodal
            else _with_overlaps(graph, ownership)
            for scene, graph, ownership in zip(
                scenes, self._ordering(seen), ownerships, strict=True
            )
        ]

    def _deocclude(self, scenes: Sequence[Scene]) -> list[Deocclusion]:
        seen, ownerships = self._seen(scenes)
        graphs = self._ordering(seen)
        modal = [row for row, scene in enumerate(scenes) if not scene.masks_are_amodal]
        ordered = [_with_overlaps(graphs[row], ownerships[row]) for row in modal]
        completed = self._completion([seen[row] for row in modal], ordered) if modal else []
        of_modal = dict(zip(modal, completed, strict=True))
        results = []
        for row, (scene, ownership) in enumerate(zip(scenes, ownerships, strict=True)):
            if row not in of_modal:
                result = scene.of_whole_objects(graphs[row])
            else:
                result = of_modal[row]
                result = result if ownership is None else result.of_given_masks(ownership)
            results.append(result)
        return results

    def _seen(self, scenes: Sequence[Scene]) -> tuple[list[Scene], list[Ownership | None]]:
        """Scenes as the steps see them, and who owns what in them."""
        require_categories(scenes, self.steps)
        scenes = [self._with_gap(scene) for scene in scenes]
        if not self.owns_pixels:
            return scenes, [None] * len(scenes)
        # Whole objects are ordered as they are: who owns what comes out of that.
        owned = [(s, None) if s.masks_are_amodal else s.owned() for s in scenes]
        return [scene for scene, _ in owned], [found for _, found in owned]

    def _with_gap(self, scene: Scene) -> Scene:
        closed = RequestCalibration.of_scenes([scene]).gap if self.gap is None else self.gap
        return scene if scene.gap == closed else replace(scene, gap=closed)

    @property
    def runners(self) -> list[NetworkRunner]:
        """What runs the networks of the steps, each once."""
        runners = [runner for step in self.steps for runner in step.runners]
        return list({id(runner): runner for runner in runners}.values())

    def serve(self, workers: int) -> AbstractContextManager[NetworkServer | None]:
        """Let worker processes use this deoccluder; see ``inference.network_server.serve``."""
        runners = self.runners
        if not runners:
            return nullcontext()
        from .inference.network_server import serve

        return serve(runners, workers)

    def predict(
        self,
        masks: np.ndarray | torch.Tensor | Sequence[Any] | Mapping[str, Instances] | Instances,
        category_ids: Sequence[int] | None = None,
        image: np.ndarray | None = None,
        contiguous_ids: Mapping[int, int] | None = None,
        amodal_boxes: np.ndarray | Sequence[Sequence[float]] | None = None,
        masks_are_amodal: bool = False,
    ) -> Deocclusion:
        """De-occlude one image.

        Masks with scores are predictions. Those with a score below ``min_score``
        (``DEOCCLUSION.MIN_SCORE``) are left out, and a pixel that several of the others hold goes
        to the one of the highest score. Of masks without scores all take part; a pixel that several
        of them hold is the smaller one's for order and erasers (``DEOCCLUSION.OVERLAPS``), and
        every amodal mask holds what was given.

        Args:
            masks: N modal masks: (N, H, W) array or tensor; or N (H, W) arrays, tensors or pictures
                of Pillow (modes 1 and L); or N COCO RLE dicts; or N entries of COCO results of one
                image (dicts with ``segmentation``, ``category_id`` and ``score``); or the dicts of
                Segment Anything's generator (``segmentation`` alone counts); or Detectron2
                ``Instances`` with ``pred_masks`` or ``gt_masks``, and maybe ``scores``, also as
                ``{"instances": ...}``; or what other libraries predict (``adapters``): supervision
                ``Detections`` (RF-DETR's too), ultralytics ``Results``, or what transformers'
                ``post_process_instance_segmentation`` gives, also in a list of one. Values are
                booleans, 0 and 1, or 0 and 255; or probabilities in [0, 1], of which those of 0.5
                and more are foreground. Logits and label maps are refused. (H, W, N) is taken where
                ``image`` shows that it is that.
            category_ids: N ids of the data set that the model was trained on (KINS 1-8), not names.
                Ids that it was not trained with need ``DEOCCLUSION.CATEGORY_MAP``.
                Without, they are those of the results' entries, or those that ``contiguous_ids``
                gives to class numbers (of ``Instances`` and other libraries); else 1.
            image: (H, W, 3) uint8 RGB, or a picture of Pillow; only for models that use colours.
            contiguous_ids: category id of the data set -> class number of the detector, as in
                ``MetadataCatalog.get(name).thing_dataset_id_to_contiguous_id``.
            amodal_boxes: (N, 4) boxes (x0, y0, x1, y1) of the whole objects in pixels, which may
                leave the image; rows of NaN for those without. They count with
                ``DEOCCLUSION.BOXES`` "given", and for the ordering "bcnet_layers".
            masks_are_amodal: the masks are of whole objects, such as those of a detector that has
                learned amodal masks: they are ordered and stay as they are, and a pixel that
                several of them hold shows the one in front.

        Returns:
            The M <= N instances that took part; ``rows`` says which of the N each one is.

        Raises:
            UserError: masks that are not one of these forms; or class numbers, neither
                ``category_ids`` nor ``contiguous_ids``, and a model that depends on category ids;
                or an id that such a model does not know.
        """
        from .inference.scene_input import scene_from_masks

        scene, rows = scene_from_masks(
            masks,
            category_ids,
            image,
            min_score=self.min_score,
            contiguous_ids=contiguous_ids,
            needs_category=self.uses_category,
            amodal_boxes=amodal_boxes,
            masks_are_amodal=masks_are_amodal,
        )
        return replace(self([scene])[0], rows=rows)


def _with_overlaps(graph: OcclusionGraph, ownership: Ownership | None) -> OcclusionGraph:
    """A method's order, and that of overlapping masks in it."""
    return graph if ownership is None else ownership.ordered(graph)


def _parts(numbers: Sequence[int]) -> list[Sequence[int]]:
    starts = range(0, len(numbers), _SCENES_AT_ONCE)
    return [numbers[start : start + _SCENES_AT_ONCE] for start in starts]


@dataclass
class _Count:
    """Counts the gaps in some images of a request, in any process."""

    read: Callable[[Sequence[int]], list[Scene]]

    def __call__(self, numbers: Sequence[int]) -> GapCensus:
        return gap_census(self.read(numbers))

    def enter_worker(self, number: int) -> None:
        """It holds nothing that workers share."""


@dataclass
class _Measure:
    """Measures the pairs of some images of a request, in any process.

    Attributes:
        server: of the networks that the workers share.
    """

    deoccluder: Deoccluder
    read: Callable[[Sequence[int]], list[Scene]]
    server: NetworkServer | None

    def __call__(self, numbers: Sequence[int]) -> dict[int, list[np.ndarray]]:
        by_image = {number: self.read([number]) for number in numbers}
        seen, _ = self.deoccluder._seen([s for scenes in by_image.values() for s in scenes])
        rows = iter(self.deoccluder._ordering.measure(seen))
        return {number: list(islice(rows, len(scenes))) for number, scenes in by_image.items()}

    def enter_worker(self, number: int) -> None:
        if self.server is not None:
            self.server.enter_worker(number)


def _describe_gap(cfg: CfgNode) -> dict[str, Any]:
    """What ``describe`` says of the gap; nothing where none is closed, as before there were any."""
    gap = gap_of(cfg)
    if gap is None:
        return {"gap": AUTO_GAP}
    return RequestCalibration(gap).describe() if gap else {}


def build_deoccluder(
    method: str | None = None,
    config_file: str | None = None,
    weights: str | None = None,
    opts: Sequence[str] = (),
) -> Deoccluder:
    """The deoccluder of a method's name; see ``method_config`` for the arguments.

    Raises:
        UserError: naming the option or key.
    """
    if method in rule_methods() and not config_file:
        return Deoccluder.baseline(method)
    return Deoccluder.from_config(method_config(method, config_file, weights, opts))
