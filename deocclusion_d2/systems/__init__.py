"""The published systems, one folder each, and the registry that finds them.

A system is a folder here whose ``__init__.py`` defines ``SYSTEM``, or an entry point of the group
``deocclusion_d2.systems`` that names such an object. Nothing else has to be edited. Reading the
declarations loads neither torch nor Detectron2.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .base import (
    AUTO,
    BESIDE_WEIGHTS,
    KINDS,
    LABELS,
    Calibration,
    Lazy,
    Member,
    Network,
    OwnExperiment,
    Published,
    Row,
    Shown,
    Step,
    System,
    Training,
    lazily,
)

if TYPE_CHECKING:
    from detectron2.config import CfgNode

    from ..modeling.released import ReleasedLayout

__all__ = [
    "AUTO",
    "BESIDE_WEIGHTS",
    "Calibration",
    "Lazy",
    "Member",
    "Network",
    "OwnExperiment",
    "Row",
    "Shown",
    "Step",
    "System",
    "Training",
    "default_sweeps",
    "detectors",
    "exported",
    "find_step",
    "known_steps",
    "lazily",
    "own_experiments",
    "published",
    "register_models",
    "released_layouts",
    "remarks",
    "rows",
    "step_names",
    "system",
    "system_of",
    "systems",
    "trainings",
]

ENTRY_POINTS = "deocclusion_d2.systems"
STEP_KINDS = ("ordering", "completion", "content")


@functools.cache
def systems() -> Mapping[str, System]:
    """All systems by name, in the order of their names.

    Raises:
        UserError: two of them bring the same name, step, training or row, or an entry point is no
            system.
    """
    found: dict[str, System] = {}
    origins: dict[str, str] = {}
    for origin, declared in sorted(_declared(), key=lambda pair: pair[1].name):
        if declared.name in found:
            raise UserError(
                f"two systems are named {declared.name!r}: {origins[declared.name]} and {origin}"
            )
        for other in found.values():
            _refuse_twice(declared, other)
        found[declared.name], origins[declared.name] = declared, origin
    return found


def system(name: str) -> System:
    """A system by its name.

    Raises:
        UserError: there is none; the message names those that there are.
    """
    if name not in systems():
        raise UserError(f"MODEL.SYSTEM = {name!r}: use one of {', '.join(systems())}")
    return systems()[name]


def system_of(cfg: CfgNode) -> System:
    """The system whose network a config trains, evaluates or uses.

    It is ``MODEL.SYSTEM``, or else the one that declares the config's ``META_ARCHITECTURE``; an
    architecture of Detectron2's own that no system declares is served as Mask R-CNN is.

    Raises:
        UserError: an unknown system or network, a system without one, or with another than the
            config's; or several that have it, of which none is the default.
    """
    wanted = cfg.MODEL.META_ARCHITECTURE
    if cfg.MODEL.SYSTEM:
        chosen = system(cfg.MODEL.SYSTEM)
        if chosen.network is None:
            raise UserError(f"MODEL.SYSTEM = {chosen.name!r}: it has no network")
        if chosen.network.meta_architecture != wanted and not chosen.network.serves_others:
            raise UserError(
                f"MODEL.SYSTEM = {chosen.name!r} has the network "
                f"{chosen.network.meta_architecture}, but MODEL.META_ARCHITECTURE is {wanted!r}"
            )
        return chosen
    with_network = [s for s in systems().values() if s.network is not None]
    declared = [s for s in with_network if s.network.meta_architecture == wanted]
    if not declared:
        from detectron2.modeling import META_ARCH_REGISTRY

        if wanted not in META_ARCH_REGISTRY:
            raise UserError(f"MODEL.META_ARCHITECTURE = {wanted!r}: there is no such network")
        declared = [s for s in with_network if s.network.serves_others]
    if len(declared) > 1:
        names = ", ".join(s.name for s in declared)
        declared = [s for s in declared if s.network.is_default]
        if len(declared) != 1:
            raise UserError(
                f"MODEL.META_ARCHITECTURE = {wanted!r} is the network of {names}: name one in "
                "MODEL.SYSTEM"
            )
    return declared[0]


def register_models() -> None:
    """Import every network, which registers it with Detectron2."""
    for declared in systems().values():
        if declared.network is not None and isinstance(declared.network.model, Lazy):
            declared.network.model.resolve()


def released_layouts() -> list[ReleasedLayout]:
    """How the files of authors name the tensors of their networks, of all systems that declare it.

    In the order of what the networks learn from (``LABELS``): masks, order, content.
    """
    networks = [s.network for s in systems().values() if s.network is not None]
    networks.sort(key=lambda network: LABELS.index(network.labels))
    return [network.released() for network in networks if network.released is not None]


# -------------------------------------------------------------------- steps


def known_steps(kind: str) -> Iterator[tuple[str, Step, System]]:
    """(name, step, its system) of all steps of a kind: "ordering", "completion" or "content"."""
    for declared in systems().values():
        for name, step in declared.steps(kind).items():
            yield name, step, declared


def step_names(kind: str) -> list[str]:
    """The names of all steps of a kind: those with a network first, then the rules."""
    found = sorted(known_steps(kind), key=lambda found: found[1].is_rule)
    return [name for name, _, _ in found]


def find_step(kind: str, name: str, key: str = "") -> tuple[str, Step, System]:
    """A step by its name, by an alias or as a method.

    Args:
        key: what messages call it; ``DEOCCLUSION.ORDERING`` and so on by default.

    Returns:
        Its own name, itself, and its system.

    Raises:
        UserError: there is none of this name; the message lists them.
    """
    for own, step, declared in known_steps(kind):
        if name in (own, *step.aliases, step.method or own):
            return own, step, declared
    key = key or f"DEOCCLUSION.{kind.upper()}"
    raise UserError(f"{key} = {name!r}: use one of {', '.join(step_names(kind))}")


# -------------------------------------------------------------------- experiments


def trainings() -> dict[str, tuple[Training, System]]:
    """All trainings of experiments by name, with their systems."""
    return {t.name: (t, s) for s in systems().values() for t in s.trainings}


def detectors() -> dict[str, str]:
    """Row -> training of the detectors; Detectron2's own comes first."""
    found = [(t, s.network) for s in systems().values() for t in s.trainings if t.detector]
    found.sort(key=lambda pair: not pair[1].serves_others)
    return {t.detector: t.name for t, _ in found}


def rows(table: str | None = None) -> dict[str, Row]:
    """Rows by name: rules, then self-supervised systems, then supervised ones.

    Of one kind, those of systems that have been there longer come first: what tables compare with.

    Args:
        table: name of an experiment; None for all rows there are.
    """
    found = [(row, not s.since) for s in systems().values() for row in s.rows]
    found.sort(key=lambda pair: (KINDS.index(pair[0].kind), pair[1]))
    return {row.name: row for row, _ in found if table is None or table in row.tables}


def own_experiments() -> dict[str, OwnExperiment]:
    """The experiments that systems have of their own, by name."""
    return {k: v for declared in systems().values() for k, v in declared.experiments.items()}


def remarks(table: str, column: str) -> list[str]:
    """What systems say about their papers' figures in a table; see ``published``."""
    found = [s.remarks.get(table, {}).get(column) for s in systems().values()]
    return [text for text in found if text]


def published(table: str, column: str) -> dict[str, float]:
    """Row -> figure of the papers, percent; empty where there is none.

    Args:
        table: name of an experiment.
        column: of the paper's table, such as "KINS".
    """
    figures: dict[str, float] = {}
    for declared in systems().values():
        figures |= declared.published.get(table, {}).get(column, {})
    order = list(rows())
    return dict(sorted(figures.items(), key=lambda f: order.index(f[0]) if f[0] in order else -1))


def default_sweeps() -> dict[str, tuple[str, ...]]:
    """Config key -> values, of all systems."""
    return {k: v for declared in systems().values() for k, v in declared.sweeps.items()}


def exported() -> dict[str, Lazy]:
    """Public name -> what it stands for, of all systems."""
    return {k: v for declared in systems().values() for k, v in declared.exports.items()}


# -------------------------------------------------------------------- finding


def _declared() -> Iterator[tuple[str, System]]:
    """(where from, system) of folders and entry points."""
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            name = f"{__name__}.{module.name}"
            yield name, importlib.import_module(name).SYSTEM
    for entry in entry_points(group=ENTRY_POINTS):
        where = f"entry point {entry.name!r} ({entry.value})"
        try:
            found: Any = entry.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"{where} of {ENTRY_POINTS} cannot be loaded: {error}") from error
        if not isinstance(found, System):
            raise UserError(f"{where} of {ENTRY_POINTS} is no System")
        yield where, found


def _refuse_twice(new: System, known: System) -> None:
    pairs = {kind: (_names(new, kind), _names(known, kind)) for kind in STEP_KINDS}
    pairs["training"] = ({t.name for t in new.trainings}, {t.name for t in known.trainings})
    pairs["row"] = ({r.name for r in new.rows}, {r.name for r in known.rows})
    pairs["experiment"] = (set(new.experiments), set(known.experiments))
    pairs["public name"] = (set(new.exports), set(known.exports))
    for what, (here, there) in pairs.items():
        if here & there:
            raise UserError(
                f"the systems {known.name!r} and {new.name!r} both bring the {what} "
                f"{min(here & there)!r}"
            )


def _names(declared: System, kind: str) -> set[str]:
    found: set[str] = set()
    for name, step in declared.steps(kind).items():
        found |= {name, *step.aliases} | ({step.method} - {""})
    return found
