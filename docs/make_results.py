"""Writes the tables of docs/RESULTS.md anew, from the figures in docs/results/.

    python docs/make_results.py

A file there is a results.json of tools/run_experiment.py, or the part of one that is shown:

    {"tables": {NAME: {"title": TEXT, "rows": {ROW: [{TASK: {METRIC: VALUE}} for every seed]}}}}

Where only mean and deviation over the seeds were kept, a row has one entry and its values are
[mean, deviation]. The tables of FILE.json stand between <!-- results: FILE --> and <!-- end -->.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from deocclusion_d2.experiments.all_systems import COST
from deocclusion_d2.experiments.paper_tables import COLUMNS
from deocclusion_d2.experiments.tables import Column, Table

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "RESULTS.md"
PART = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

# What no experiment's own report shows.
FURTHER = (
    Column("AP of cars", "segm", "AP-car"),
    Column("L1, erased up to 10 %", "content", "L1-hole0-10", 4),
    Column("10-30 %", "content", "L1-hole10-30", 4),
    Column("more", "content", "L1-hole30-100", 4),
)


def regenerated(page: str) -> str:
    """The page with all of its tables made anew."""
    return PART.sub(lambda part: f"{part[1]}\n{tables(part[2])}\n\n{part[3]}", page)


def tables(name: str) -> str:
    """The tables of docs/results/NAME.json, Markdown."""
    found = json.loads((DOCS / "results" / f"{name}.json").read_text("utf-8"))["tables"]
    made = []
    for key, table in found.items():
        rows = {row: seeds_of(entries) for row, entries in table["rows"].items()}
        notes = table.get("notes", [])
        paper = table.get("paper", {})
        columns = (*COLUMNS, *FURTHER, *COST)
        made.append(Table(key, table["title"], columns, paper, rows, notes))
    return "\n\n".join(table.markdown() for table in made)


def seeds_of(entries: list[dict[str, dict[str, Any]]]) -> list[dict[str, dict[str, float]]]:
    """Metrics of every seed; in place of means and deviations, two seeds that have these."""
    values = [value for metrics in entries[0].values() for value in metrics.values()]
    if not any(isinstance(value, list) for value in values):
        return entries
    return [
        {
            task: {metric: mean + sign * deviation for metric, (mean, deviation) in metrics.items()}
            for task, metrics in entries[0].items()
        }
        for sign in (-(0.5**0.5), 0.5**0.5)
    ]


if __name__ == "__main__":
    PAGE.write_text(regenerated(PAGE.read_text("utf-8")), "utf-8")
