"""Figures of experiments: rows of a table, completion against the occlusion ratio, sweeps."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..evaluation.reliability import RELIABILITY_BINS, reliability_group
from ..visualization.plots import COLOURS, finish_axes, save_figure
from .experiment import HIDDEN_BINS
from .tables import Column, Table

_MARKERS = "osD^vPX"
# Of more rows than there are colours.
_LINES = ("-", "--", ":")
# Smallest height of a plot of a sweep, in percent points.
_LEAST_SPAN = 1.0


def draw_rows(table: Table, path: Path) -> bool:
    """Draw the first metric of a table: a dot per row, deviation over seeds, the paper's figure.

    Returns:
        Whether there was anything to draw.
    """
    column = next((c for c in table.columns if any(table.values(r, c) for r in table.rows)), None)
    if column is None:
        return False
    rows = [r for r in table.rows if table.values(r, column)]
    figure = Figure(figsize=(6.0, 1.2 + 0.38 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        values = table.values(row, column)
        mean = float(np.mean(values))
        axes.errorbar(mean, place, xerr=_deviation(values), fmt="o", color=COLOURS[0], capsize=3)
        axes.annotate(
            f"{mean:.{column.digits}f}", (mean, place), (0, 6), textcoords="offset points",
            ha="center", fontsize=8,
        )  # fmt: skip
    known = [(table.paper[r], k) for k, r in enumerate(rows) if r in table.paper]
    if known:
        axes.plot(*zip(*known, strict=True), "D", color=COLOURS[3], label="paper", fillstyle="none")
        axes.legend()
    axes.set_yticks(range(len(rows)), [_mathtext(r) for r in rows])
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.margins(x=0.1)
    axes.set_xlabel(column.title)
    axes.set_title(table.title.rstrip(":"), fontsize=9)
    finish_axes(axes)
    save_figure(figure, path)
    return True


def draw_occlusion_curve(table: Table, png: Path, csv_file: Path) -> bool:
    """Draw completion mIoU against the hidden share (the supplement's Fig. 1), and its numbers.

    The CSV has a row per method and bin: mean over instances and seeds, deviation over seeds, the
    sum form, and the number of instances.

    Args:
        table: of completion metrics, with ``HIDDEN_BINS`` bins.

    Returns:
        Whether there was anything to draw: the table is of completions, and the test set has true
        amodal masks.
    """
    if not any(c.task == "completion" for c in table.columns):
        return False  # a table of orders, whose methods may complete nothing
    width = 100 // HIDDEN_BINS
    bins = [(low, low + width) for low in range(0, 100, width)]
    lines: list[list] = []
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for k, row in enumerate(table.rows):
        centres, means, deviations = [], [], []
        for low, high in bins:
            group = f"hidden{low}-{high}"
            mean = table.values(row, Column("", "completion", f"mIoU_mean-{group}"))
            if not mean:
                continue
            total = table.values(row, Column("", "completion", f"mIoU_sum-{group}"))
            count = table.values(row, Column("", "completion", f"instances-{group}"))
            centres.append((low + high) / 2)
            means.append(float(np.mean(mean)))
            deviations.append(_deviation(mean) or 0.0)
            lines.append(
                [row, low, high, f"{means[-1]:.3f}", f"{deviations[-1]:.3f}"]
                + [f"{np.mean(total):.3f}", int(count[0])]
            )
        if centres:
            axes.errorbar(
                centres, means, deviations if any(deviations) else None, label=_mathtext(row),
                capsize=2, markersize=4, **_style(k),
            )  # fmt: skip
    if not lines:
        return False
    axes.set_xlabel("hidden share of the true amodal mask, %")
    axes.set_ylabel("mIoU, %")
    axes.set_xlim(0, 100)
    axes.legend(fontsize=8)
    axes.set_title(table.title.rstrip(":"), fontsize=9)
    finish_axes(axes)
    save_figure(figure, png)
    with open(csv_file, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["method", "hidden_from", "hidden_to", "mIoU_mean", "deviation", "mIoU_sum"]
            + ["instances"]
        )
        writer.writerows(lines)
    return True


def draw_reliability(table: Table, png: Path, csv_file: Path) -> bool:
    """Draw how many pixels are true among those of a probability, and how many of each there are.

    The CSV has a row per method and bin: means over the seeds.

    Args:
        table: of ``ReliabilityEvaluator``'s metrics.

    Returns:
        Whether there was anything to draw.
    """
    if not any(c.task == "reliability" for c in table.columns):
        return False
    figure = Figure(figsize=(5.0, 6.6), layout="constrained")
    axes, shares = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    axes.plot((0, 100), (0, 100), color="0.6", linestyle="--", linewidth=1, label="reliable")
    lines: list[list] = []
    for k, row in enumerate(table.rows):
        points = []
        for number in range(RELIABILITY_BINS):
            group = reliability_group(number)
            predicted, true, pixels = (
                table.values(row, Column("", "reliability", f"{metric}-{group}"))
                for metric in ("predicted", "true", "pixels")
            )
            if pixels:
                points.append((np.mean(predicted), np.mean(true), np.mean(pixels)))
                lines.append([row, group, *(f"{value:.3f}" for value in points[-1])])
        if points:
            predicted, true, pixels = np.array(points).T
            style = _style(k)
            axes.plot(predicted, true, label=_mathtext(row), markersize=4, **style)
            shares.plot(predicted, 100 * pixels / pixels.sum(), markersize=4, **style)
    if not lines:
        return False
    axes.set_ylabel("pixels that are the instance's, %")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.legend(fontsize=8)
    axes.set_title(table.title.rstrip(":"), fontsize=9)
    shares.set_xlabel("probability, %")
    shares.set_ylabel("share of pixels, %")
    shares.set_ylim(bottom=0)
    for part in (axes, shares):
        finish_axes(part)
    save_figure(figure, png)
    with open(csv_file, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "bin", "predicted", "true", "pixels"])
        writer.writerows(lines)
    return True


def draw_sweeps(sweeps: Sequence[tuple[str, Table]], path: Path) -> None:
    """Draw a row of axes per swept key, one for every metric of its table.

    Args:
        sweeps: (config key, table whose rows are the values as text).
    """
    shown = [
        (key, table, [c for c in table.columns if any(table.values(r, c) for r in table.rows)])
        for key, table in sweeps
    ]
    columns = max(len(c) for _, _, c in shown)
    figure = Figure(figsize=(3.2 * columns, 2.6 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for line, (key, table, metrics) in zip(grid, shown, strict=True):
        for axes in line[len(metrics) :]:
            axes.axis("off")
        numbers = [float(r) for r in table.rows]
        for axes, column in zip(line, metrics, strict=False):
            values = [table.values(r, column) for r in table.rows]
            errors = [_deviation(v) or 0.0 for v in values]
            axes.errorbar(
                numbers, [np.mean(v) for v in values], errors if any(errors) else None,
                marker="o", markersize=4, capsize=2, color=COLOURS[0],
            )  # fmt: skip
            # Percents, not offsets from one of them; and what hardly differs looks like it.
            axes.ticklabel_format(axis="y", useOffset=False)
            low, high = axes.get_ylim()
            if high - low < _LEAST_SPAN:
                middle = (low + high) / 2
                axes.set_ylim(middle - _LEAST_SPAN / 2, middle + _LEAST_SPAN / 2)
            axes.set_xlabel(key.split(".")[-1])
            axes.set_title(column.title, fontsize=9)
            finish_axes(axes)
    save_figure(figure, path)


def _style(k: int) -> dict[str, str]:
    """Colour, marker and line of the k-th row."""
    return {
        "color": COLOURS[k % len(COLOURS)],
        "marker": _MARKERS[k % len(_MARKERS)],
        "linestyle": _LINES[k // len(COLOURS) % len(_LINES)],
    }


def _deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None of one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _mathtext(name: str) -> str:
    """Superscripts as matplotlib writes them: Convex^R, OrderNet^{M+I}."""
    base, caret, raised = name.partition("^")
    return f"{base}$^{{{raised.strip('{}')}}}$" if caret else name
