"""All experiments by their names: what runs them, their rows, and what they show beside tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from ..systems import Shown, detectors, own_experiments, rows
from . import all_systems
from .content import content_rows
from .experiment import Experiment
from .paper_tables import (
    TRUE_LABELS,
    completion,
    content,
    detection,
    label_conversion,
    ordering,
    own_table,
    predicted_modal,
    reliability,
)
from .tables import Table

Run = Callable[[Experiment, Sequence[int], Sequence[str]], list[Table]]
Figures = Callable[[Experiment, Sequence[int], Sequence[Table], Path], Iterable[Shown]]

# Name -> what runs it, of those that belong to no system.
EXPERIMENTS: dict[str, Run] = {
    "ordering": ordering,
    "completion": completion,
    "predicted_modal": predicted_modal,
    "label_conversion": label_conversion,
    "content": content,
    "detection": detection,
    "reliability": reliability,
    all_systems.NAME: all_systems.all_systems,
}


def known_experiments() -> dict[str, Run]:
    """All experiments, those of systems last: name -> what runs it."""
    return {**EXPERIMENTS, **{name: partial(own_table, name) for name in own_experiments()}}


def experiment_rows(experiment: str) -> tuple[str, ...]:
    """The rows that an experiment can have, in the order of its table, or tables."""
    if experiment in own_experiments():
        return own_experiments()[experiment].rows
    if experiment == all_systems.NAME:
        of_tables = [experiment_rows(table) for table in all_systems.TABLES]
        return tuple(dict.fromkeys(row for of_table in of_tables for row in of_table))
    if experiment == "detection":
        return tuple(detectors())
    if experiment == "content":
        return content_rows()
    first = (TRUE_LABELS,) if experiment == "label_conversion" else ()
    return (*first, *rows(experiment))


def figures_of(experiment: str) -> Figures | None:
    """What an experiment shows beside its tables; None where it shows plots of them alone."""
    if experiment == all_systems.NAME:
        return all_systems.draw_objects
    own = own_experiments().get(experiment)
    if own is None:
        return None
    return lambda e, seeds, tables, folder: own.figures(e, seeds, tables[0].rows, folder)
