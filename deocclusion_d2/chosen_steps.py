"""The steps that a config names, of its own system or of others, and the networks that they run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import default_of, fingerprint, load_config, own_keys
from .errors import UserError
from .files import file_sha256
from .pretrained import find_pretrained, names
from .systems import Member, Step, System, find_step, known_steps, step_names, system_of, systems

if TYPE_CHECKING:
    import torch
    from detectron2.config import CfgNode

    from .inference.content import ContentFiller
    from .inference.network_runner import NetworkRunner

# "YAML@WEIGHTS", or "NAME@WEIGHTS" with a config's name, which has no folder.
_SOURCE = re.compile(r"(?P<config>.+?\.ya?ml|[^@/\\]+)@(?P<weights>.+)")


@dataclass(frozen=True)
class ChosenStep:
    """A step that a config names.

    Attributes:
        kind: "ordering", "completion" or "content".
        cfg: what it is built of: the config, or that of a network that is not the config's own.
        source: where such a network comes from; "" for the config's own, and for rules.
        where: how messages name what says so.
        members: the steps that it is made of, if it is.
    """

    kind: str
    name: str
    step: Step
    system: System
    cfg: CfgNode
    source: str = ""
    where: str = ""
    members: tuple[ChosenStep, ...] = ()

    @classmethod
    def of(cls, cfg: CfgNode, kind: str) -> ChosenStep:
        key = kind.upper()
        wanted = cfg.DEOCCLUSION[key] or _default_content(cfg)
        name, step, owner = find_step(kind, wanted)
        source = cfg.DEOCCLUSION[f"{key}_CONFIG"]
        where = f"DEOCCLUSION.{key}_CONFIG = {source!r}"
        if step.members:
            if source:
                raise UserError(
                    f"{where}: {name!r} is made of steps that DEOCCLUSION.{step.members} names "
                    "with their networks; leave it ''"
                )
            listed = _listed_members(cfg, kind, step)
            members = tuple(cls._member(cfg, kind, step, *member) for member in listed)
            return cls(kind, name, step, owner, cfg, members=members)
        if not step.uses_network:
            if source:
                raise UserError(f"{where}: {name!r} runs no network; leave it ''")
            return cls(kind, name, step, owner, cfg)
        if source:
            other = _foreign_config(
                cfg, source, owner, where, f"DEOCCLUSION.{key} = {cfg.DEOCCLUSION[key]!r}"
            )
            of_systems = {k for s in (owner, system_of(cfg)) for k in own_keys(s)}
            _use_as(other, cfg, {k for k in of_systems if _is_default(cfg, k)})
            return cls(kind, name, step, owner, other, source, where)
        if system_of(cfg) is not owner:
            needed = owner.network.meta_architecture
            raise UserError(
                f"DEOCCLUSION.{key} = {wanted!r} runs {needed}, but MODEL.META_ARCHITECTURE is "
                f"{cfg.MODEL.META_ARCHITECTURE!r}; use a config of {needed}, another {key}, or "
                f"name a config of {needed} in DEOCCLUSION.{key}_CONFIG"
            )
        return cls(kind, name, step, owner, cfg)

    @classmethod
    def _member(cls, cfg: CfgNode, kind: str, of: Step, name: str, source: str) -> ChosenStep:
        _, step, owner = find_step(kind, name)
        where = _where_member(of, f"{name}={source}" if source else name)
        if not step.uses_network:
            if source:
                raise UserError(f"{where}: {name!r} runs no network; write {name!r} alone")
            return cls(kind, name, step, owner, cfg)
        if source:
            other = _foreign_config(cfg, source, owner, where, repr(name))
            # Two members may both have a threshold: each keeps the one of its network.
            _use_as(other, cfg, _keys_of_systems())
            return cls(kind, name, step, owner, other, source, where)
        if system_of(cfg) is not owner:
            needed = owner.network.meta_architecture
            raise UserError(
                f"{where}: it runs {needed}, but MODEL.META_ARCHITECTURE is "
                f"{cfg.MODEL.META_ARCHITECTURE!r}; write {name}=YAML@WEIGHTS, or use a config of "
                f"{needed}"
            )
        return cls(kind, name, step, owner, cfg)

    @property
    def is_foreign(self) -> bool:
        """Whether it runs a network that is not the config's own."""
        return bool(self.source)

    @property
    def parts(self) -> tuple[ChosenStep, ...]:
        """The steps that it is made of; itself where it is made of none."""
        return self.members or (self,)

    def build(self, runners: Runners, **options: Any) -> Any:
        """The step.

        Args:
            options: keys of ``DEOCCLUSION`` that are to have another value than in the config.
        """
        cfg = self.cfg
        if options:
            cfg = cfg.clone()
            cfg.defrost()
            for key, value in options.items():
                set_option(cfg, key, value)
        if self.members:
            return self.step.build(cfg, [member._as_member(runners) for member in self.members])
        return self.step.build(cfg, runners.of(self) if self.step.uses_network else None)

    def _as_member(self, runners: Runners) -> Member:
        return Member(self.name, partial(self.build, runners), self._describe_weights(""))

    def weights_sha256(self) -> str:
        from detectron2.utils.file_io import PathManager

        return file_sha256(Path(PathManager.get_local_path(self.cfg.MODEL.WEIGHTS)))

    def describe_source(self) -> dict[str, Any]:
        """The weights of a network that is not the config's own, for JSON.

        A step that is made of others describes theirs itself.
        """
        return self._describe_weights(f"{self.kind}_")

    def _describe_weights(self, prefix: str) -> dict[str, Any]:
        if not self.is_foreign:
            return {}
        return {
            f"{prefix}weights": Path(self.cfg.MODEL.WEIGHTS).name,
            f"{prefix}weights_sha256": self.weights_sha256(),
        }


class Runners:
    """What runs the networks of a config's steps, each once.

    Args:
        model: the config's own trained network; None: its weights are loaded if a step runs it.
    """

    def __init__(self, model: torch.nn.Module | None) -> None:
        self._model = model
        # Where a network comes from, "" for the config's own -> what runs it.
        self._built: dict[str, NetworkRunner] = {}

    def of(self, step: ChosenStep) -> NetworkRunner:
        source = step.source
        if source not in self._built:
            try:
                model = None if source else self._model
                self._built[source] = _build_runner(step.system, step.cfg, model)
            except UserError as error:
                if not source:
                    raise
                raise UserError(f"{step.where}: {error}") from error
        return self._built[source]


def _build_runner(declared: System, cfg: CfgNode, model: torch.nn.Module | None) -> NetworkRunner:
    if declared.network.runner is not None:
        return declared.network.runner(cfg, model)
    from .inference.network_runner import NetworkRunner

    return NetworkRunner.from_config(cfg, model)


def _foreign_config(cfg: CfgNode, source: str, owner: System, where: str, wanted: str) -> CfgNode:
    """The config of a network that is not a config's own.

    Args:
        source: see ``DEOCCLUSION.ORDERING_CONFIG``.
        owner: the system whose network it is to be.
        where: how messages name what says so.
        wanted: how they name the step.
    """
    try:
        other = _load_source(source)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if not other.MODEL.WEIGHTS:
        raise UserError(f"{where}: it names no weights; write YAML@WEIGHTS")
    if "://" not in other.MODEL.WEIGHTS and not Path(other.MODEL.WEIGHTS).is_file():
        raise UserError(f"{where}: file {other.MODEL.WEIGHTS!r} does not exist")
    if system_of(other) is not owner:
        raise UserError(
            f"{where}: it is a config of {other.MODEL.META_ARCHITECTURE}, but "
            f"{wanted} runs {owner.network.meta_architecture}"
            + ("; leave it '' for the config's own network" if system_of(cfg) is owner else "")
        )
    other.MODEL.DEVICE = cfg.MODEL.DEVICE
    return other


def _load_source(source: str) -> CfgNode:
    if source in names() or source.startswith("hf://") or Path(source).is_dir():
        return find_pretrained(source).load_config()
    match = None if Path(source).is_file() else _SOURCE.fullmatch(source)
    file, weights = (match["config"], match["weights"]) if match else (source, "")
    return load_config(file, ["MODEL.WEIGHTS", weights] if weights else [])


def _use_as(other: CfgNode, cfg: CfgNode, kept: Collection[str]) -> None:
    """Let a network of another config be used as a config says, in place.

    What is said about the whole method (``DILATION``, ``PAPER_PROTOCOL`` and so on) is the
    config's.

    Args:
        kept: full names of the keys that stay those of the other config.
    """
    for name, value in cfg.DEOCCLUSION.items():
        if f"DEOCCLUSION.{name}" not in kept:
            other.DEOCCLUSION[name] = value


def _is_default(cfg: CfgNode, key: str) -> bool:
    """Whether a key of ``DEOCCLUSION``, by its full name, is what it is by default."""
    section, _, name = key.partition(".")
    return section == "DEOCCLUSION" and option(cfg, name) == default_of(key)


def _keys_of_systems() -> set[str]:
    """The full names of all keys that systems add."""
    return {key for declared in systems().values() for key in own_keys(declared)}


def _default_content(cfg: CfgNode) -> str:
    """The content of the config's own system, or the first rule."""
    own = [name for name, step in system_of(cfg).contents.items() if step.own(cfg)]
    rules = [name for name, step, _ in known_steps("content") if step.is_rule]
    return (own or rules)[0]


def _listed_members(cfg: CfgNode, kind: str, step: Step) -> Iterator[tuple[str, str]]:
    """(name, where its network comes from; "" for the config's own) of what a step is made of.

    Raises:
        UserError: there is none, one is no step of the kind or itself made of others, or two are
            the same.
    """
    listed = option(cfg, step.members)
    if not listed:
        raise UserError(f"DEOCCLUSION.{step.members} is empty: name one {kind} at least")
    known = {name: found for name, found, _ in known_steps(kind) if not found.members}
    seen: set[tuple[str, str]] = set()
    for text in listed:
        wanted, _, source = str(text).partition("=")
        where = _where_member(step, text)
        try:
            name = find_step(kind, wanted)[0]
        except UserError:
            name = ""
        if name not in known:
            usable = ", ".join(n for n in step_names(kind) if n in known)
            raise UserError(f"{where}: use one of {usable}")
        if (name, source) in seen:
            raise UserError(f"{where}: it is there twice")
        seen.add((name, source))
        yield name, source


def _where_member(step: Step, text: Any) -> str:
    """How messages name an entry of the key that lists what a step is made of."""
    return f"DEOCCLUSION.{step.members}, {text!r}"


def honoured_keys(cfg: CfgNode, kind: str) -> set[str]:
    """Those keys of ``DEOCCLUSION`` that only some steps honour, and that a config's step does.

    A step that is made of others honours what one of them does. One whose network is not the
    config's own takes the keys of systems from its own config.

    Args:
        kind: "ordering" or "completion".

    Raises:
        UserError: there is no such step.
    """
    _, step, _ = find_step(kind, cfg.DEOCCLUSION[kind.upper()])
    honoured = set(step.keys)
    for name, source in _listed_members(cfg, kind, step) if step.members else ():
        of_member = set(find_step(kind, name)[1].keys)
        if source:
            of_member -= {key.removeprefix("DEOCCLUSION.") for key in _keys_of_systems()}
        honoured |= of_member
    return honoured - set(step.drops)


def option(cfg: CfgNode, key: str) -> Any:
    """A value of ``DEOCCLUSION``, by the name of its key, which may go on: "NODE.KEY"."""
    node = cfg.DEOCCLUSION
    for name in key.split("."):
        node = node[name]
    return node


def set_option(cfg: CfgNode, key: str, value: Any) -> None:
    """Change a value of ``DEOCCLUSION``, in place; see ``option``."""
    *nodes, leaf = key.split(".")
    (option(cfg, ".".join(nodes)) if nodes else cfg.DEOCCLUSION)[leaf] = value


def refuse_ignored_keys(cfg: CfgNode, chosen: Sequence[ChosenStep]) -> None:
    honoured = {key for step in chosen for key in honoured_keys(cfg, step.kind)}
    for key in sorted(step_keys() - honoured):
        value, default = option(cfg, key), default_of(f"DEOCCLUSION.{key}")
        if value != default:
            raise UserError(
                f"DEOCCLUSION.{key} = {value!r}: neither {chosen[0].name!r} nor "
                f"{chosen[1].name!r} can honour it; leave it {default!r}, or name other steps"
            )


def step_keys() -> set[str]:
    """The keys of ``DEOCCLUSION`` that only some steps honour."""
    kinds = ("ordering", "completion")
    return {key for kind in kinds for _, step, _ in known_steps(kind) for key in step.keys}


def images_needed(cfg: CfgNode) -> bool:
    """Whether scenes need their image for what a config's system is evaluated by."""
    network = system_of(cfg).network
    if network.needs_images(cfg):
        return True
    if network.predictor is not None or network.test_loader is not None:
        return False
    return any(s.step.uses_network and s.system.network.needs_images(s.cfg) for s in _parts(cfg))


def uses_own_network(cfg: CfgNode) -> bool:
    """Whether a step of a config runs the config's own network, so that it needs weights."""
    return any(part.step.uses_network and not part.is_foreign for part in _parts(cfg))


def _parts(cfg: CfgNode) -> list[ChosenStep]:
    """Ordering and completion, or what they are made of; all of them are there, or it raises."""
    steps = [ChosenStep.of(cfg, kind) for kind in ("ordering", "completion")]
    return [part for step in steps for part in step.parts]


def use_fingerprint(cfg: CfgNode) -> str:
    """A hash of all that a config says about what its de-occlusion gives, but for the weights."""
    parts = [fingerprint(cfg, system_of(cfg), "use")]
    for step in _parts(cfg):
        if step.is_foreign or step.system is not system_of(cfg):
            parts.append(fingerprint(step.cfg, step.system, "use"))
        if step.is_foreign:
            parts.append(step.weights_sha256())
    return parts[0] if len(parts) == 1 else "+".join(parts)


def build_content(cfg: CfgNode, model: torch.nn.Module | None = None) -> ContentFiller:
    """What fills hidden pixels with colours, as ``DEOCCLUSION.CONTENT`` says.

    Args:
        model: the config's own trained network; see ``Deoccluder.from_config``.

    Raises:
        UserError: see ``Deoccluder.from_config``.
    """
    step = ChosenStep.of(cfg, "content")
    return step.build(Runners(model))


def content_source(cfg: CfgNode) -> tuple[str, CfgNode | None]:
    """Name of the content step, and the config of its network; None without one."""
    step = ChosenStep.of(cfg, "content")
    return step.name, step.cfg if step.step.uses_network else None
