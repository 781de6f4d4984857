"""Tables of an experiment: methods against metrics, over seeds, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tabulate import tabulate

from ..engine.evaluate import Metrics


@dataclass(frozen=True)
class Column:
    """A metric of a table.

    Attributes:
        header: what stands above it.
        task, metric: where it is in the metrics.
        digits: after the point.
        unit: of the values; "" for none.
    """

    header: str
    task: str
    metric: str
    digits: int = 1
    unit: str = "%"

    @property
    def title(self) -> str:
        """The header with the unit."""
        return f"{self.header}, {self.unit}" if self.unit else self.header


@dataclass
class Table:
    """Rows of metrics, one set per seed.

    Attributes:
        name: key in ``results.json``, and the header of the rows' names.
        title: sentence above it.
        columns: what may be shown; those that no row has are left out.
        paper: row -> the paper's figure of the first column.
        rows: row -> metrics, one per seed.
        notes: sentences below it, such as why a row is missing.
    """

    name: str
    title: str
    columns: Sequence[Column]
    paper: dict[str, float] = field(default_factory=dict)
    rows: dict[str, list[Metrics]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def values(self, row: str, column: Column) -> list[float]:
        """A metric over the seeds that have it."""
        found = [m.get(column.task, {}).get(column.metric) for m in self.rows[row]]
        return [v for v in found if v is not None]

    def markdown(self) -> str:
        """The table with its title and notes."""
        shown = [c for c in self.columns if any(self.values(r, c) for r in self.rows)]
        headers = [self.name, *(c.header for c in shown)]
        if self.paper:
            headers.insert(2, "paper")
        cells = []
        for row in self.rows:
            line: list[str] = [row, *(_cell(self.values(row, c), c.digits) for c in shown)]
            if self.paper:
                figure = self.paper.get(row)
                line.insert(2, "" if figure is None else f"{figure:g}")
            cells.append(line)
        text = tabulate(cells, headers, tablefmt="github", disable_numparse=True)
        return "\n\n".join([self.title, text, *self.notes])

    def to_dict(self) -> dict:
        """For ``results.json``: every metric of every row and seed, shown or not."""
        return {"title": self.title, "paper": self.paper, "rows": self.rows, "notes": self.notes}


def _cell(values: Sequence[float], digits: int) -> str:
    """Mean ± sample standard deviation; without it for one value."""
    if not values:
        return ""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    deviation = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"
