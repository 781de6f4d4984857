"""Experiments: the paper's tables, sweeps of its parameters, comparisons of methods."""

from .compare_methods import (
    METHODS,
    UNSUPERVISED,
    compare_methods,
    comparison_table,
    evaluate_method,
)
from .data import KNOWN_NAMES
from .label_quality import label_quality
from .paper_tables import EXPERIMENTS
from .run import ExperimentSettings, run_experiment
from .sweep import DEFAULT_SWEEPS, SWEPT_METHODS, SweepSettings, parse_sweeps, run_sweep
from .trainings import PRESETS, ROLES

__all__ = [
    "DEFAULT_SWEEPS",
    "EXPERIMENTS",
    "KNOWN_NAMES",
    "METHODS",
    "PRESETS",
    "ROLES",
    "SWEPT_METHODS",
    "UNSUPERVISED",
    "ExperimentSettings",
    "SweepSettings",
    "compare_methods",
    "comparison_table",
    "evaluate_method",
    "label_quality",
    "parse_sweeps",
    "run_experiment",
    "run_sweep",
]
