"""The whole method on scenes: order, then complete; by steps of one system or of several."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import default_of, fingerprint, load_config, own_keys, rule_config
from .errors import UserError
from .files import file_sha256
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
    NetworkStep,
    Ordering,
    dilation,
    gap_of,
    owns_pixels,
    require_categories,
)
from .pretrained import DEFAULT, find_pretrained
from .structures import DEFAULT_MIN_SCORE, OVERLAP_RULES, Deocclusion, GapCensus, Scene
from .systems import Step, System, find_step, known_steps, step_names, system_of
from .workers import map_in_order

if TYPE_CHECKING:
    import torch
    from detectron2.config import CfgNode
    from detectron2.structures import Instances

    from .inference.content import ContentFiller
    from .inference.network_runner import NetworkRunner
    from .inference.network_server import NetworkServer
    from .structures import Ownership

# The order that a rule's completion stands on where no config names another.
_RULE_ORDER = "convex"
# Scenes that share the network's batches when a request is measured.
_SCENES_AT_ONCE = 8
# "YAML@WEIGHTS", or "NAME@WEIGHTS" with a config's name, which has no folder.
_SOURCE = re.compile(r"(?P<config>.+?\.ya?ml|[^@/\\]+)@(?P<weights>.+)")


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
        chosen = [_ChosenStep.of(cfg, kind) for kind in ("ordering", "completion")]
        _refuse_ignored_keys(cfg, chosen)
        runners = _Runners(cfg, model)
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

    def _deocclude(self, scenes: Sequence[Scene]) -> list[Deocclusion]:
        scenes, ownerships = self._seen(scenes)
        if not self.owns_pixels:
            return self._completion(scenes, self._ordering(scenes))
        graphs = [
            graph if ownership is None else ownership.ordered(graph)
            for graph, ownership in zip(self._ordering(scenes), ownerships, strict=True)
        ]
        return [
            result if ownership is None else result.of_given_masks(ownership)
            for result, ownership in zip(self._completion(scenes, graphs), ownerships, strict=True)
        ]

    def _seen(self, scenes: Sequence[Scene]) -> tuple[list[Scene], list[Ownership | None]]:
        """Scenes as the steps see them, and who owns what in them."""
        require_categories(scenes, self.steps)
        scenes = [self._with_gap(scene) for scene in scenes]
        if not self.owns_pixels:
            return scenes, [None] * len(scenes)
        owned = [scene.owned() for scene in scenes]
        return [scene for scene, _ in owned], [found for _, found in owned]

    def _with_gap(self, scene: Scene) -> Scene:
        closed = RequestCalibration.of_scenes([scene]).gap if self.gap is None else self.gap
        return scene if scene.gap == closed else replace(scene, gap=closed)

    @property
    def runners(self) -> list[NetworkRunner]:
        """What runs the networks of the steps, each once."""
        runners = [s.runner for s in self.steps if isinstance(s, NetworkStep)]
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
        )
        return replace(self([scene])[0], rows=rows)


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


# -------------------------------------------------------------------- content


def build_content(cfg: CfgNode, model: torch.nn.Module | None = None) -> ContentFiller:
    """What fills hidden pixels with colours, as ``DEOCCLUSION.CONTENT`` says.

    Args:
        model: the config's own trained network; see ``Deoccluder.from_config``.

    Raises:
        UserError: see ``Deoccluder.from_config``.
    """
    step = _ChosenStep.of(cfg, "content")
    return step.build(_Runners(cfg, model))


def content_source(cfg: CfgNode) -> tuple[str, CfgNode | None]:
    """Name of the content step, and the config of its network; None without one."""
    step = _ChosenStep.of(cfg, "content")
    return step.name, step.cfg if step.step.uses_network else None


# -------------------------------------------------------------------- methods of the tools


def method_names() -> list[str]:
    """The completions by their names as methods of the tools, those with a network first."""
    found = sorted(known_steps("completion"), key=lambda found: not found[1].uses_network)
    return [step.method or name for name, step, _ in found]


def accepted_methods() -> list[str]:
    """Every name that tools take as a method: ``method_names``, and the names of the steps."""
    return list(dict.fromkeys([*method_names(), *step_names("completion")]))


def rule_methods() -> list[str]:
    """The completions without a network."""
    return [name for name, step, _ in known_steps("completion") if not step.uses_network]


def method_name(completion: str) -> str:
    """A completion's name as a method; see ``method_names``."""
    name, step, _ = find_step("completion", completion)
    return step.method or name


def uses_network(method: str) -> bool:
    """Whether a method runs a network.

    Raises:
        UserError: there is no such method.
    """
    if method not in accepted_methods():
        raise UserError(f"unknown method {method!r}: use {', '.join(method_names())}")
    return find_step("completion", method)[1].uses_network


def uses_default_network(method: str | None, config_file: str | None, weights: str | None) -> bool:
    """Whether ``method_config`` takes the network that comes with the package.

    Raises:
        UserError: there is no such method.
    """
    if config_file or weights not in (None, "", DEFAULT):
        return False
    return method is None or uses_network(method)


def method_config(
    method: str | None, config_file: str | None, weights: str | None, opts: Sequence[str] = ()
) -> CfgNode:
    """The config of a method, with method and weights in it.

    Args:
        method: see ``accepted_methods``; None for the config's own completion.
        config_file: YAML file, or a config's name; None for that of the weights.
        weights: checkpoint; None or "" for the config's ``MODEL.WEIGHTS``. Without ``config_file``
            what ``find_pretrained`` takes, and None for the network that comes along.
        opts: alternating config keys and values.

    Raises:
        UserError: naming the option or key.
    """
    if len(opts) % 2:
        raise UserError(f"config overrides are KEY VALUE pairs, {' '.join(opts)!r} is not")
    if config_file:
        chosen = ["MODEL.WEIGHTS", weights] if weights else []
        cfg = load_config(config_file, [*opts, *chosen])
    else:
        cfg = find_pretrained(weights or DEFAULT).load_config(opts)
    if method is not None:
        name = find_step("completion", method, "--method")[0]
        cfg = with_steps(cfg, completion=name, keep=opts[::2])
    return cfg


def with_steps(
    cfg: CfgNode,
    ordering: str | None = None,
    completion: str | None = None,
    keep: Sequence[str] = (),
) -> CfgNode:
    """A config with other steps, without what it says for the steps that it had.

    Args:
        ordering, completion: names of steps; None for the config's.
        keep: full names of keys that stay as they are, whether a step honours them or not.
    """
    cfg = cfg.clone()
    cfg.defrost()
    options = cfg.DEOCCLUSION
    honoured: set[str] = set()
    for key, name in (("ORDERING", ordering), ("COMPLETION", completion)):
        _, before, owner_before = find_step(key.lower(), options[key])
        options[key] = name or options[key]
        _, step, owner = find_step(key.lower(), options[key])
        honoured |= set(step.keys)
        # The network of a step that it had, or of none.
        gone = not step.uses_network or (before.uses_network and owner is not owner_before)
        if gone and f"DEOCCLUSION.{key}_CONFIG" not in keep:
            options[f"{key}_CONFIG"] = ""
    for key in _step_keys() - honoured:
        if f"DEOCCLUSION.{key}" not in keep:
            options[key] = default_of(f"DEOCCLUSION.{key}")
    return cfg


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


def images_needed(cfg: CfgNode) -> bool:
    """Whether scenes need their image for what a config's system is evaluated by."""
    network = system_of(cfg).network
    if network.needs_images(cfg):
        return True
    if network.predictor is not None or network.test_loader is not None:
        return False
    steps = [_ChosenStep.of(cfg, kind) for kind in ("ordering", "completion")]
    return any(s.step.uses_network and s.system.network.needs_images(s.cfg) for s in steps)


def uses_own_network(cfg: CfgNode) -> bool:
    """Whether a step of a config runs the config's own network, so that it needs weights."""
    steps = [_ChosenStep.of(cfg, kind) for kind in ("ordering", "completion")]
    return any(step.step.uses_network and not step.is_foreign for step in steps)


def use_fingerprint(cfg: CfgNode) -> str:
    """A hash of all that a config says about what its de-occlusion gives, but for the weights."""
    parts = [fingerprint(cfg, system_of(cfg), "use")]
    for kind in ("ordering", "completion"):
        step = _ChosenStep.of(cfg, kind)
        if step.is_foreign or step.system is not system_of(cfg):
            parts.append(fingerprint(step.cfg, step.system, "use"))
        if step.is_foreign:
            parts.append(step.weights_sha256())
    return parts[0] if len(parts) == 1 else "+".join(parts)


# -------------------------------------------------------------------- steps of a config


@dataclass(frozen=True)
class _ChosenStep:
    """A step that a config names.

    Attributes:
        kind: "ordering", "completion" or "content".
        cfg: what it is built of: the config, or that of its ``*_CONFIG``.
        is_foreign: whether it is the latter.
    """

    kind: str
    name: str
    step: Step
    system: System
    cfg: CfgNode
    is_foreign: bool

    @classmethod
    def of(cls, cfg: CfgNode, kind: str) -> _ChosenStep:
        key = kind.upper()
        wanted = cfg.DEOCCLUSION[key] or _default_content(cfg)
        name, step, owner = find_step(kind, wanted)
        source = cfg.DEOCCLUSION[f"{key}_CONFIG"]
        if not step.uses_network:
            if source:
                raise UserError(
                    f"DEOCCLUSION.{key}_CONFIG = {source!r}: {name!r} runs no network; leave it ''"
                )
            return cls(kind, name, step, owner, cfg, False)
        if source:
            return cls(kind, name, step, owner, _foreign_config(cfg, key, source, owner), True)
        if system_of(cfg) is not owner:
            needed = owner.network.meta_architecture
            raise UserError(
                f"DEOCCLUSION.{key} = {wanted!r} runs {needed}, but MODEL.META_ARCHITECTURE is "
                f"{cfg.MODEL.META_ARCHITECTURE!r}; use a config of {needed}, another {key}, or "
                f"name a config of {needed} in DEOCCLUSION.{key}_CONFIG"
            )
        return cls(kind, name, step, owner, cfg, False)

    def build(self, runners: _Runners) -> Any:
        return self.step.build(self.cfg, runners.of(self) if self.step.uses_network else None)

    def weights_sha256(self) -> str:
        from detectron2.utils.file_io import PathManager

        return file_sha256(Path(PathManager.get_local_path(self.cfg.MODEL.WEIGHTS)))

    def describe_source(self) -> dict[str, Any]:
        """The weights of a network that is not the config's own, for JSON."""
        if not self.is_foreign:
            return {}
        return {
            f"{self.kind}_weights": Path(self.cfg.MODEL.WEIGHTS).name,
            f"{self.kind}_weights_sha256": self.weights_sha256(),
        }


class _Runners:
    """What runs the networks of a config's steps, each once."""

    def __init__(self, cfg: CfgNode, model: torch.nn.Module | None) -> None:
        self._cfg, self._model = cfg, model
        # Where a network comes from, "" for the config's own -> what runs it.
        self._built: dict[str, NetworkRunner] = {}

    def of(self, step: _ChosenStep) -> NetworkRunner:
        key = step.kind.upper()
        source = self._cfg.DEOCCLUSION[f"{key}_CONFIG"]
        if source not in self._built:
            try:
                model = None if source else self._model
                self._built[source] = _build_runner(step.system, step.cfg, model)
            except UserError as error:
                if not source:
                    raise
                raise UserError(f"{_where(self._cfg, key)}: {error}") from error
        return self._built[source]


def _build_runner(declared: System, cfg: CfgNode, model: torch.nn.Module | None) -> NetworkRunner:
    if declared.network.runner is not None:
        return declared.network.runner(cfg, model)
    from .inference.network_runner import NetworkRunner

    return NetworkRunner.from_config(cfg, model)


def _where(cfg: CfgNode, key: str) -> str:
    """How messages name what says where a step's own network comes from."""
    return f"DEOCCLUSION.{key}_CONFIG = {cfg.DEOCCLUSION[f'{key}_CONFIG']!r}"


def _foreign_config(cfg: CfgNode, key: str, source: str, owner: System) -> CfgNode:
    """The config of a step's own network, used as the config says.

    What is said about the whole method (``DILATION``, ``PAPER_PROTOCOL`` and so on) is the
    config's; of the step's own keys those that the config sets.
    """
    match = None if Path(source).is_file() else _SOURCE.fullmatch(source)
    file, weights = (match["config"], match["weights"]) if match else (source, "")
    where = _where(cfg, key)
    try:
        other = load_config(file, ["MODEL.WEIGHTS", weights] if weights else [])
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if not other.MODEL.WEIGHTS:
        raise UserError(f"{where}: it names no weights; write YAML@WEIGHTS")
    if "://" not in other.MODEL.WEIGHTS and not Path(other.MODEL.WEIGHTS).is_file():
        raise UserError(f"{where}: file {other.MODEL.WEIGHTS!r} does not exist")
    if system_of(other) is not owner:
        raise UserError(
            f"{where}: it is a config of {other.MODEL.META_ARCHITECTURE}, but "
            f"DEOCCLUSION.{key} = {cfg.DEOCCLUSION[key]!r} runs {owner.network.meta_architecture}"
        )
    of_systems = {k for s in (owner, system_of(cfg)) for k in own_keys(s)}
    for name, value in cfg.DEOCCLUSION.items():
        full = f"DEOCCLUSION.{name}"
        if full not in of_systems or value != default_of(full):
            other.DEOCCLUSION[name] = value
    other.MODEL.DEVICE = cfg.MODEL.DEVICE
    return other


def _default_content(cfg: CfgNode) -> str:
    """The content of the config's own system, or the first rule."""
    own = list(system_of(cfg).contents)
    rules = [name for name, step, _ in known_steps("content") if not step.uses_network]
    return (own or rules)[0]


def _refuse_ignored_keys(cfg: CfgNode, chosen: Sequence[_ChosenStep]) -> None:
    honoured = {key for step in chosen for key in step.step.keys}
    for key in sorted(_step_keys() - honoured):
        value, default = cfg.DEOCCLUSION[key], default_of(f"DEOCCLUSION.{key}")
        if value != default:
            raise UserError(
                f"DEOCCLUSION.{key} = {value!r}: neither {chosen[0].name!r} nor "
                f"{chosen[1].name!r} can honour it; leave it {default!r}, or name other steps"
            )


def _step_keys() -> set[str]:
    """The keys of ``DEOCCLUSION`` that only some steps honour."""
    kinds = ("ordering", "completion")
    return {key for kind in kinds for _, step, _ in known_steps(kind) for key in step.keys}
