"""The steps that a config names, of its own system or of others, and the networks that they run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import default_of, fingerprint, load_config, own_keys
from .errors import UserError
from .files import file_sha256
from .systems import Step, System, find_step, known_steps, system_of

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
    def of(cls, cfg: CfgNode, kind: str) -> ChosenStep:
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

    def build(self, runners: Runners) -> Any:
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


class Runners:
    """What runs the networks of a config's steps, each once."""

    def __init__(self, cfg: CfgNode, model: torch.nn.Module | None) -> None:
        self._cfg, self._model = cfg, model
        # Where a network comes from, "" for the config's own -> what runs it.
        self._built: dict[str, NetworkRunner] = {}

    def of(self, step: ChosenStep) -> NetworkRunner:
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


def refuse_ignored_keys(cfg: CfgNode, chosen: Sequence[ChosenStep]) -> None:
    honoured = {key for step in chosen for key in step.step.keys}
    for key in sorted(step_keys() - honoured):
        value, default = cfg.DEOCCLUSION[key], default_of(f"DEOCCLUSION.{key}")
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
    steps = [ChosenStep.of(cfg, kind) for kind in ("ordering", "completion")]
    return any(s.step.uses_network and s.system.network.needs_images(s.cfg) for s in steps)


def uses_own_network(cfg: CfgNode) -> bool:
    """Whether a step of a config runs the config's own network, so that it needs weights."""
    steps = [ChosenStep.of(cfg, kind) for kind in ("ordering", "completion")]
    return any(step.step.uses_network and not step.is_foreign for step in steps)


def use_fingerprint(cfg: CfgNode) -> str:
    """A hash of all that a config says about what its de-occlusion gives, but for the weights."""
    parts = [fingerprint(cfg, system_of(cfg), "use")]
    for kind in ("ordering", "completion"):
        step = ChosenStep.of(cfg, kind)
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
    return step.build(Runners(cfg, model))


def content_source(cfg: CfgNode) -> tuple[str, CfgNode | None]:
    """Name of the content step, and the config of its network; None without one."""
    step = ChosenStep.of(cfg, "content")
    return step.name, step.cfg if step.step.uses_network else None
