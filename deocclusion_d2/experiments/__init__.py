"""Experiments: the paper's tables, sweeps of its parameters, comparisons of methods."""

from typing import Any

from ..evaluation.label_quality import label_quality
from ..systems import default_sweeps, rows, trainings
from .compare_methods import (
    compare_methods,
    comparison_table,
    default_rows,
    evaluate_row,
)
from .data import KNOWN_NAMES
from .known import EXPERIMENTS, known_experiments
from .run import ExperimentSettings, run_experiment
from .sweep import SweepSettings, parse_sweeps, run_sweep, swept_rows
from .trainings import PRESETS

__all__ = [
    "EXPERIMENTS",
    "KNOWN_NAMES",
    "PRESETS",
    "ExperimentSettings",
    "SweepSettings",
    "compare_methods",
    "comparison_table",
    "evaluate_row",
    "known_experiments",
    "label_quality",
    "parse_sweeps",
    "run_experiment",
    "run_sweep",
]

# What were constants before 0.2, when the systems were not found but listed.
_ASKED = {
    "DEFAULT_SWEEPS": default_sweeps,
    "METHODS": rows,
    "ROLES": lambda: tuple(trainings()),
    "SWEPT_METHODS": lambda: tuple(swept_rows()),
    "UNSUPERVISED": lambda: tuple(default_rows()),
}


def __getattr__(name: str) -> Any:
    if name == "evaluate_method":
        return evaluate_row
    if name not in _ASKED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _ASKED[name]()
