"""What a published system declares, so that everything else finds it: ``SYSTEM`` of its folder.

A declaration costs nothing to read: what needs torch or Detectron2 is named by ``lazily`` and
imported when it is first called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the heavy part of every annotation below
    import numpy as np
    import torch
    from detectron2.config import CfgNode
    from detectron2.engine import HookBase
    from detectron2.evaluation import DatasetEvaluator

    from ..inference.network_runner import NetworkRunner
    from ..modeling.released import ReleasedLayout

# A calibration's key: it is fitted to what is worked on, or is the file beside the weights alone,
# which training writes.
AUTO = "auto"
BESIDE_WEIGHTS = "weights"

LABELS = ("modal", "amodal", "order", "appearance", "full_object")
KINDS = ("rule", "self-supervised", "supervised")


class Lazy:
    """A function or class of a module that is imported when it is first needed.

    Args:
        module: absolute name.
        name: what to take from it; it may go on, as in "Class.from_config".
        args: that go before those of a call.
    """

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.module = module
        self.name = name
        self.args = args

    def resolve(self) -> Any:
        """The function or class itself.

        Raises:
            ImportError, AttributeError: the declaration names something that is not there.
        """
        found = importlib.import_module(self.module)
        for attribute in self.name.split("."):
            found = getattr(found, attribute)
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.resolve()(*self.args, *args, **kwargs)

    def __repr__(self) -> str:
        return f"{self.module}.{self.name}"


def lazily(package: str) -> Callable[..., Lazy]:
    """What names functions and classes in the files of a folder.

    Args:
        package: of the folder, its ``__name__``.

    Returns:
        "file.name", and arguments that go first in a call, -> ``Lazy``.

    Example:
        >>> _ = lazily("collections")
        >>> _("abc.Mapping").resolve().__name__
        'Mapping'
    """

    def name(text: str, *args: Any) -> Lazy:
        module, _, attribute = text.partition(".")
        return Lazy(f"{package}.{module}", attribute, *args)

    return name


@dataclass(frozen=True)
class Step:
    """An ordering, a completion or a content of ``cfg.DEOCCLUSION``.

    Attributes:
        build: (config, what runs the system's network; None where ``uses_network`` is False) ->
            the step, see ``inference/steps.py``. With ``members``: (config, its ``Member``s) -> the
            step.
        uses_network: whether it runs the network of its system.
        members: for a step that is made of others: the key of ``DEOCCLUSION`` that lists those, of
            the same kind, each as ``NAME``, or as ``NAME=SOURCE`` where its network is not the
            config's own. "" for a step that is not.
        drops: keys that its members may honour, but it does not: what they give is lost in it.
        keys: names of those keys of ``DEOCCLUSION`` that only some steps can honour, of which this
            is one. A config that sets such a key and names no step that honours it is refused.
        method: its name as a method of the tools and of ``info.deocclusion``, where that is not
            the step's own.
        text: what it does, for ``--help``.
        own: config -> whether it is the content of its system's configs that name none.
        aliases: further names that configs may call it by.
    """

    build: Callable[[CfgNode, Any], Any]
    uses_network: bool = True
    members: str = ""
    drops: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    method: str = ""
    text: str = ""
    own: Callable[[CfgNode], bool] = lambda cfg: True
    aliases: tuple[str, ...] = ()

    @property
    def is_rule(self) -> bool:
        """Whether it needs no config: neither it nor a member of it runs a network."""
        return not self.uses_network and not self.members


@dataclass(frozen=True)
class Member:
    """A step that another one is made of; see ``Step.members``.

    Attributes:
        name: of the step.
        build: what keys of ``DEOCCLUSION`` are to be instead of what they are, by name -> the step.
        source: what describes a network that is not the config's own, for JSON; empty for others.
    """

    name: str
    build: Callable[..., Any]
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """What is fitted to data without labels once a network is trained, and belongs to its use.

    Attributes:
        key: of ``DEOCCLUSION``: it names the file. "weights" there is the file beside the weights,
            which training writes; "auto" is fitted to what is worked on, and that file is for what
            is too little for a fit.
        file: its name there.
        wanted: config -> whether the config asks for it.
        fit: (config, names of data sets, file to write, model=the trained network) -> None.
        settings: config -> the config's values that decide it.
    """

    key: str
    file: str
    wanted: Callable[[CfgNode], bool]
    fit: Callable[..., Any]
    settings: Callable[[CfgNode], list]


def _none(cfg: CfgNode) -> list:
    return []


def _no(cfg: CfgNode) -> bool:
    return False


def _nothing(cfg: CfgNode) -> str:
    return ""


@dataclass(frozen=True)
class Network:
    """A network that is trained and evaluated.

    Attributes:
        meta_architecture: its name in Detectron2's registry.
        model: the class, or whatever else registers it when its module is imported.
        labels: what it learns from: "modal", "amodal" or "order" labels, "appearance" (modal masks
            and images), or "full_object" (amodal masks, images, and the colours of what is hidden).
        train_loader: config -> batches; with ``wants_order`` also (config, order), see
            ``data/occluders.py``.
        test_loader: (config, data set's name) -> batches of evaluation. None: scenes.
        evaluators: (config, data set's name, output folder) -> what judges the results. None: by
            the data set's ``evaluator_type``.
        predictor: (config, trained model) -> what maps the test loader's batches to what the
            evaluators take. None: the ``Deoccluder`` of the config; with a ``test_loader`` the
            model itself.
        runner: (config, trained model or None) -> what runs it for the system's steps. None:
            ``NetworkRunner``.
        picture: (batch, the model's result, or None) -> (H, W, 3) uint8, samples of training as
            TensorBoard and ``visualize_training_samples`` show them; None: it draws none.
        regions: (photo as (H, W, 3) uint8 RGB, Detectron2's ``Instances`` of N objects that the
            network has found in it, N category names) -> (h, w, 3) uint8, what it has made of each
            of them beside its mask; None where it has made nothing of the kind.
        own_ordering: config -> the ordering of its system that knows best who is in front of the
            whole objects that it finds; "" for none.
        needs_images: config -> whether scenes need their image.
        wants_order: config -> whether training wants to know who hides whom in its scenes, as
            ``DEOCCLUSION.ORDERING`` says.
        masks: (config, data set's name, COCO results JSON to write) -> number of modal masks that
            it has predicted for the data set; None: it predicts none.
        hooks: config -> further hooks of training; they run before evaluations.
        calibration: see ``Calibration``; None for none.
        released: () -> how its authors' files name its tensors, see ``modeling/released.py``;
            ``tools/import_official_checkpoint.py`` reads and writes them. None: there are none.
        is_default: of several systems with one meta-architecture, the one of configs that leave
            ``MODEL.SYSTEM`` empty.
        serves_others: also serves meta-architectures that no system declares: Detectron2's.
    """

    meta_architecture: str
    model: Callable[..., torch.nn.Module]
    labels: str
    train_loader: Callable[[CfgNode], Iterable]
    test_loader: Callable[[CfgNode, str], Iterable] | None = None
    evaluators: Callable[[CfgNode, str, str | None], DatasetEvaluator] | None = None
    predictor: Callable[[CfgNode, torch.nn.Module], Callable] | None = None
    runner: Callable[[CfgNode, torch.nn.Module | None], NetworkRunner] | None = None
    picture: Callable[[Mapping, Mapping | None], np.ndarray] | None = None
    regions: Callable[..., np.ndarray | None] | None = None
    own_ordering: Callable[[CfgNode], str] = _nothing
    needs_images: Callable[[CfgNode], bool] = _no
    wants_order: Callable[[CfgNode], bool] = _no
    masks: Callable[[CfgNode, str, str], int] | None = None
    hooks: Callable[[CfgNode], Sequence[HookBase]] = _none
    calibration: Calibration | None = None
    released: Callable[[], ReleasedLayout] | None = None
    is_default: bool = False
    serves_others: bool = False

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise ValueError(f"labels {self.labels!r}: use one of {', '.join(LABELS)}")


@dataclass(frozen=True)
class Training:
    """A training of experiments: which config, and what it learns from.

    Attributes:
        name: of the training in overrides (``NAME.KEY VALUE``), stages and reports.
        config: stem of the config's file name. ``{family}`` is that of the data (kins, cocoa,
            kitti_mots), ``{depth}`` the preset's ResNet.
        labels: see ``Network``, whose further stages may need more.
        starts_from: the training whose weights it starts from; "" for none.
        like: the training that it only differs from in how the network is used: overrides of that
            one are for this one too, and where they are trained alike, they are one network.
        beyond_paper: the preset's overrides, the paper's protocol, are not for it.
        pretrained: the network that it stands for, see ``pretrained.find_pretrained``; its own
            config is used, and nothing is trained. "" for none.
        evaluated: its own evaluation on the test set belongs to its result.
        detector: its row among detectors; "" for what is none.
        opts: config keys -> values as text that it has in place of the config's; those that a user
            names come before them.
    """

    name: str
    config: str
    labels: str
    starts_from: str = ""
    like: str = ""
    beyond_paper: bool = False
    pretrained: str = ""
    evaluated: bool = False
    detector: str = ""
    opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A row of the experiments' tables.

    Attributes:
        name: in the tables.
        ordering, completion: ``DEOCCLUSION.ORDERING`` and ``DEOCCLUSION.COMPLETION``; a row of
            colours alone leaves them.
        training: whose network it uses, and whose config; "" for none.
        kind: "rule", "self-supervised" or "supervised"; tables stand in this order.
        tables: names of the experiments that have it.
        networks: a step of the row (its ordering, its completion, or one that this is made of) ->
            the training whose network it runs, where that is not ``training``.
        options: keys of ``DEOCCLUSION`` -> values as text, in place of the config's; those that a
            user names come before them.
        samples: the key of ``DEOCCLUSION`` that says how many completions are drawn for an object,
            and how many evaluations draw; None for a row that draws none.
        content: ``DEOCCLUSION.CONTENT``; "" for a row that has no colours.
    """

    name: str
    ordering: str = "convex"
    completion: str = "raw"
    training: str = ""
    kind: str = "rule"
    tables: tuple[str, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[str, int] | None = None
    content: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"row {self.name}: kind {self.kind!r}: use one of {', '.join(KINDS)}")
        if self.networks and not self.training:
            raise ValueError(f"row {self.name}: networks without a training: name one of its own")

    @property
    def trainings(self) -> tuple[str, ...]:
        """All trainings whose networks it uses, its own first."""
        return tuple(dict.fromkeys([*filter(None, [self.training]), *self.networks.values()]))


@dataclass(frozen=True)
class Shown:
    """What an experiment of a system's own shows beside its table.

    Attributes:
        picture: file name of a PNG in the report's folder.
        text: what is to be seen, Markdown.
        values: the numbers of it, for JSON.
    """

    picture: str
    text: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OwnExperiment:
    """An experiment of one system: rows of the completion table, and the figures of its paper.

    Attributes:
        text: what it is, for titles and ``--help``.
        rows: names of rows, of any system.
        figures: (the ``experiments.experiment.Experiment``, seeds, row -> metrics of each seed, the
            report's folder) -> ``Shown``s; it writes their PNGs and CSVs into the folder.
    """

    text: str
    rows: tuple[str, ...]
    figures: Callable[..., Iterable[Shown]]


# Experiment -> column of the paper ("KINS") -> row -> figure, percent.
Published = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class System:
    """A published system, or the baselines.

    Attributes:
        name: of its folder, of its configs (``configs/NAME_*.yaml``), and ``MODEL.SYSTEM``.
        add_config: adds its keys to a config; only new ones.
        network: what it trains; None for none.
        orderings, completions, contents: its steps by the names that configs give them.
        trainings, rows: of experiments.
        published: figures of its paper, to stand beside measured ones.
        remarks: experiment -> column of the paper -> a sentence below the table that has them: what
            its figures are of, and those that the table has no column for.
        experiments: experiments of its own by their names.
        renamed_keys: old name of a config key -> its name now; old configs keep loading.
        sweeps: config keys and values that ``tools/sweep.py`` tries when nothing else is asked for.
        since: the version of this package that its keys came with; "" for later ones than 0.1.
        configs: folder of its configs, where they are not among this package's.
        exports: public name -> what it stands for, importable from ``deocclusion_d2``.
    """

    name: str
    add_config: Callable[[CfgNode], None] | None = None
    network: Network | None = None
    orderings: Mapping[str, Step] = field(default_factory=dict)
    completions: Mapping[str, Step] = field(default_factory=dict)
    contents: Mapping[str, Step] = field(default_factory=dict)
    trainings: tuple[Training, ...] = ()
    rows: tuple[Row, ...] = ()
    published: Published = field(default_factory=dict)
    remarks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    experiments: Mapping[str, OwnExperiment] = field(default_factory=dict)
    renamed_keys: Mapping[str, str] = field(default_factory=dict)
    sweeps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    since: str = ""
    configs: str | None = None
    exports: Mapping[str, Lazy] = field(default_factory=dict)

    def steps(self, kind: str) -> Mapping[str, Step]:
        """Its steps of a kind: "ordering", "completion" or "content"."""
        return {
            "ordering": self.orderings,
            "completion": self.completions,
            "content": self.contents,
        }[kind]
