"""Runs an experiment of the paper from data to report; what ``tools/run_experiment.py`` calls."""

from __future__ import annotations

import json
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import detectron2
import torch

from ..errors import UserError
from ..systems import Shown, own_experiments, trainings
from ..version import __version__
from .costs import hardware
from .data import folder_name, resolve_data, short_name
from .experiment import Experiment
from .known import experiment_rows, figures_of, known_experiments
from .plots import draw_occlusion_curve, draw_reliability, draw_rows
from .stages import Stage, StageStore
from .tables import Table
from .trainings import PRESETS, Trainings


@dataclass(frozen=True)
class ExperimentSettings:
    """What to run.

    Attributes:
        experiment: key of ``known_experiments()``.
        dataset, test, supervised_train: see ``resolve_data``.
        preset: key of ``PRESETS``: "quick" for CPUs, "paper" for the paper's schedules.
        seeds: every training is done once for each.
        methods: rows of the table, in order; None for all.
        opts: config overrides, see ``Trainings``.
        num_gpus: for training.
    """

    experiment: str
    dataset: str
    test: str | None = None
    supervised_train: str | None = None
    preset: str = "quick"
    seeds: tuple[int, ...] = (0,)
    methods: tuple[str, ...] | None = None
    opts: tuple[str, ...] = ()
    num_gpus: int = 1

    def chosen_methods(self) -> tuple[str, ...]:
        """The rows of the table.

        Raises:
            UserError: an unknown experiment, or a row that it does not have.
        """
        if self.experiment not in known_experiments():
            names = ", ".join(known_experiments())
            raise UserError(f"unknown experiment {self.experiment!r}: use {names}")
        known = experiment_rows(self.experiment)
        unknown = [m for m in self.methods or () if m not in known]
        if unknown:
            raise UserError(
                f"--methods {unknown[0]}: {self.experiment} compares {', '.join(known)}"
            )
        return self.methods or known


def run_experiment(settings: ExperimentSettings, output: Path, name: str | None = None) -> str:
    """Train what is missing, evaluate, and write ``results.json``, ``report.md`` and plots.

    Args:
        settings: what to run.
        output: folder. Stages go to ``stages`` in it, which all experiments with this output share.
        name: folder in ``output`` for the report; ``EXPERIMENT-DATASET`` when None.

    Returns:
        The report, Markdown.

    Raises:
        UserError: settings that don't fit, or a step failed; finished stages stay.
    """
    methods = settings.chosen_methods()
    output = output.resolve()
    experiment = build_experiment(settings, output)
    start = time.monotonic()
    tables = known_experiments()[settings.experiment](experiment, settings.seeds, methods)
    folder = output / (name or f"{settings.experiment}-{folder_name(settings.dataset)}")
    folder.mkdir(parents=True, exist_ok=True)
    pictures = _draw(tables, folder, curves=settings.experiment not in own_experiments())
    figures = figures_of(settings.experiment)
    shown = list(figures(experiment, settings.seeds, tables, folder)) if figures else []
    facts = _facts(settings, time.monotonic() - start)
    used = list(experiment.store.used.values())
    report = _report(settings, tables, pictures, shown, used, facts)
    (folder / "report.md").write_text(report + "\n")
    results = {
        "settings": asdict(settings),
        **facts,
        "tables": {t.name: t.to_dict() for t in tables},
        **({"shown": {s.picture: dict(s.values) for s in shown}} if shown else {}),
        "stages": [_stage_facts(s) for s in used],
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return f"{report}\n\nEverything is in {folder}"


def build_experiment(settings: ExperimentSettings, output: Path) -> Experiment:
    """The experiment of some settings, nothing of it run yet; see ``run_experiment``."""
    if settings.preset not in PRESETS:
        raise UserError(f"unknown preset {settings.preset!r}: use {', '.join(PRESETS)}")
    if not settings.seeds or len(set(settings.seeds)) < len(settings.seeds):
        raise UserError("--seeds: name at least one, and each once")
    data = resolve_data(settings.dataset, settings.test, settings.supervised_train)
    if settings.experiment == "label_conversion" and data.supervised != data.train:
        raise UserError(
            f"label_conversion needs a training set with true amodal labels; {data.train} has none"
        )
    store = StageStore(output / "stages")
    configs = Trainings(store, data, settings.preset, settings.opts, settings.num_gpus)
    return Experiment(data, configs, store)


def _draw(tables: Sequence[Table], folder: Path, curves: bool) -> list[str]:
    """Pictures of tables; an experiment of a system has curves of its own."""
    written = []
    for table in tables:
        if draw_rows(table, folder / f"{table.name}.png"):
            written.append(f"{table.name}.png")
        curve = f"{table.name}_by_occlusion"
        files = folder / f"{curve}.png", folder / f"{curve}.csv"
        if curves and draw_occlusion_curve(table, *files):
            written.append(f"{curve}.png")
        diagram = f"{table.name}_diagram"
        if draw_reliability(table, folder / f"{diagram}.png", folder / f"{diagram}.csv"):
            written.append(f"{diagram}.png")
    return written


def _facts(settings: ExperimentSettings, seconds: float) -> dict:
    return {
        "command": shlex.join([f"tools/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "hardware": hardware(),
        "versions": f"deocclusion_d2 {__version__}, torch {torch.__version__}, "
        f"Detectron2 {detectron2.__version__}, Python {platform.python_version()}",
        "seconds": round(seconds, 1),
    }


def _stage_facts(stage: Stage) -> dict:
    return {
        "name": stage.name,
        "folder": stage.folder.name,
        "seconds": stage.seconds,
        "resumed": stage.resumed,
    }


def _report(
    settings: ExperimentSettings,
    tables: Sequence[Table],
    pictures: Sequence[str],
    shown: Sequence[Shown],
    stages: Sequence[Stage],
    facts: dict,
) -> str:
    seeds = ", ".join(map(str, settings.seeds))
    over = "; ± is the sample standard deviation over them" if len(settings.seeds) > 1 else ""
    trained = [s for s in stages if s.name in trainings()]
    times = ", ".join(
        f"{s.name} {s.seconds / 60:.1f} min{' (last part of it)' if s.resumed else ''}"
        for s in trained
    )
    parts = [
        f"# {settings.experiment}, {short_name(settings.dataset)}, preset {settings.preset}",
        *(t.markdown() for t in tables),
        *(f"![{p.removesuffix('.png')}]({p})" for p in pictures),
        *(f"{s.text}\n\n![{s.picture.removesuffix('.png')}]({s.picture})" for s in shown),
        f"Seeds: {seeds}{over}.",
        f"Trainings: {times or 'none'}.",
        f"`{facts['command']}`",
        f"{facts['hardware']}; {facts['versions']}.",
    ]
    return "\n\n".join(parts)
