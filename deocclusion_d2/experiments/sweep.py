"""Sweeps of config keys: what thresholds, dilation, gamma and loss weight do to order and masks."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..systems import default_sweeps, rows, trainings
from .data import folder_name, resolve_data, short_name
from .experiment import Experiment
from .plots import draw_sweeps
from .stages import StageStore
from .tables import Column, Table
from .trainings import Trainings

_COLUMNS = [
    Column("order accuracy", "ordering", "Acc"),
    Column("mIoU (sum)", "completion", "mIoU_sum", 2),
    Column("hidden part", "completion", "invisible_IoU_mean"),
    Column("box IoU, level 0", "amodal_box", "IoU-level0"),
    Column("box IoU, level 1", "amodal_box", "IoU-level1"),
    Column("box IoU, level 2", "amodal_box", "IoU-level2"),
]


@dataclass(frozen=True)
class SweepSettings:
    """What to sweep.

    Attributes:
        dataset, test: see ``resolve_data``.
        sweeps: config key -> values as text. Keys of ``DEOCCLUSION`` only use the network anew; all
            others train it anew for every value.
        method: one of ``swept_rows()``.
        preset, seeds, opts, num_gpus: see ``ExperimentSettings``.
    """

    dataset: str
    test: str | None = None
    sweeps: dict[str, tuple[str, ...]] | None = None
    method: str = "OG"
    preset: str = "quick"
    seeds: tuple[int, ...] = (0,)
    opts: tuple[str, ...] = ()
    num_gpus: int = 1


def swept_rows() -> list[str]:
    """The rows that can be swept: those whose one network is trained, on modal labels."""
    trained = {n for n, (t, _) in trainings().items() if t.labels == "modal" and not t.pretrained}
    return [n for n, row in rows().items() if row.training in trained and not row.networks]


def parse_sweeps(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``KEY=V1,V2,...`` of the command line; the defaults when there are none.

    Raises:
        UserError: a text of another form, or a value that is not a number.
    """
    sweeps: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        found = tuple(v.strip() for v in values.split(",") if v.strip())
        try:
            list(map(float, found))
        except ValueError:
            raise UserError(f"--sweep {text}: the values must be numbers") from None
        if not equals or len(found) < 2:
            raise UserError(f"--sweep {text}: write KEY=VALUE,VALUE,... with two or more values")
        sweeps[key] = found
    return sweeps or default_sweeps()


def check_sweeps(sweeps: Mapping[str, Sequence[str]], configs: Trainings, training: str) -> None:
    """Try every value on the config of a network.

    Raises:
        UserError: an unknown key, or a value of a wrong type.
    """
    for key, values in sweeps.items():
        for value in values:
            configs.config(training, key, value)


def run_sweep(settings: SweepSettings, output: Path) -> str:
    """Evaluate a method with every value; write ``sweep.md``, ``.csv``, ``.json`` and ``.png``.

    Args:
        settings: what to sweep.
        output: folder. The report goes to ``sweep-DATASET`` in it, stages to ``stages``, which
            ``run_experiment`` shares.

    Returns:
        The tables, Markdown.

    Raises:
        UserError: an unknown key or method, or a step failed; finished stages stay.
    """
    if settings.method not in swept_rows():
        raise UserError(f"--method {settings.method}: use one of {', '.join(swept_rows())}")
    data = resolve_data(settings.dataset, settings.test)
    output = output.resolve()
    store = StageStore(output / "stages")
    configs = Trainings(store, data, settings.preset, settings.opts, settings.num_gpus)
    sweeps = settings.sweeps or default_sweeps()
    check_sweeps(sweeps, configs, rows()[settings.method].training)
    experiment = Experiment(data, configs, store)
    tables = [(key, _sweep(experiment, settings, key, v)) for key, v in sweeps.items()]
    folder = output / f"sweep-{folder_name(settings.dataset)}"
    folder.mkdir(parents=True, exist_ok=True)
    draw_sweeps(tables, folder / "sweep.png")
    report = "\n\n".join(table.markdown() for _, table in tables)
    (folder / "sweep.md").write_text(f"{report}\n\n![sweep](sweep.png)\n")
    (folder / "sweep.json").write_text(
        json.dumps({key: table.to_dict() for key, table in tables}, indent=1) + "\n"
    )
    _write_csv(tables, folder / "sweep.csv")
    return f"{report}\n\nEverything is in {folder}"


def _sweep(e: Experiment, settings: SweepSettings, key: str, values: Sequence[str]) -> Table:
    method, seeds = settings.method, settings.seeds
    table = Table(key, f"{method} on {short_name(e.data.test)} by {key}, %:", _COLUMNS)
    where = "test_opts" if key.startswith("DEOCCLUSION.") else "train_opts"
    for value in values:
        table.rows[value] = [e.evaluate(method, seed, **{where: (key, value)}) for seed in seeds]
    return table


def _write_csv(tables: Sequence[tuple[str, Table]], path: Path) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "value", "metric", "mean", "seeds"])
        for key, table in tables:
            for value in table.rows:
                for column in _COLUMNS:
                    found = table.values(value, column)
                    if found:
                        mean = sum(found) / len(found)
                        name = f"{column.task}/{column.metric}"
                        writer.writerow([key, value, name, f"{mean:.3f}", len(found)])
