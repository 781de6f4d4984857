"""A survey as one picture: gaps and overlaps, sizes, shares, and a place where two masks meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..data.datasets.formats import locate
from ..data.datasets.image_files import ImageFinder
from ..data.images import read_rgb
from ..errors import UserError
from ..structures import GapCensus, WindowMask, seam
from ..visualization.palette import BACKGROUND, PAPER, Color, instance_color
from ..visualization.plots import COLOURS, finish_axes, save_figure
from .survey import Example, Survey
from .survey_report import Report

_MOST_BINS = 40
_OPACITY = 0.6


def draw_report(report: Report, title: str, photo_folder: Path, path: Path) -> None:
    """Draw a report that was made with an example.

    Args:
        title: of the picture, a line.
        photo_folder: where the example's image is looked for; without it, the masks are drawn on a
            plain ground.
        path: a file that may be written, of any name; it becomes a PNG.
    """
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    figure.suptitle(_plain(title), fontsize=11, parse_math=False)
    (pairs, sizes), (shares, example) = figure.subplots(2, 2)
    _draw_pairs(pairs, report.survey.census)
    _draw_sizes(sizes, report.survey)
    _draw_shares(shares, report)
    for axes in (pairs, sizes, shares):
        finish_axes(axes)
    if report.survey.example is None:
        example.axis("off")
        example.set_title("No two masks are near each other", fontsize=10)
    else:
        _draw_example(example, report.survey.example, report.survey.census, photo_folder)
    with path.open("wb") as file:
        save_figure(figure, file)


def _draw_pairs(axes: Axes, census: GapCensus) -> None:
    """Overlapping pairs to the left of 0, the less the nearer to it; pairs with a gap right."""
    overlaps, gaps = census.overlaps, census.pairs
    axes.bar(-0.5 - np.arange(len(overlaps)), overlaps, 0.9, color=COLOURS[1], label="that overlap")
    axes.bar(np.arange(len(gaps)) + 0.5, gaps, 0.9, color=COLOURS[0], label="that do not")
    if max(overlaps.max(), gaps.max()) > 20:
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
    closing = census.closing()
    if closing:
        axes.axvline(
            closing + 1, color=COLOURS[3], linestyle="--", label=f"closing of {closing} px"
        )
    ticks = {-len(overlaps): "100 %", -len(overlaps) / 2: "50 %", 0.5: "0 px"}
    ticks |= {gap + 0.5: f"{gap}" for gap in range(4, len(gaps), 4)}
    axes.set_xticks(list(ticks), list(ticks.values()), fontsize=8)
    axes.set_xlabel("shared part of the smaller mask    |    gap, px (0: they touch)")
    axes.set_ylabel("pairs")
    axes.set_title("Neighbours: overlaps and gaps", fontsize=10)
    axes.legend(fontsize=8)


def _draw_sizes(axes: Axes, survey: Survey) -> None:
    sides = np.sqrt(survey.areas)
    if len(sides):
        lowest, highest = np.log10(sides.min()), np.log10(sides.max())
        margin = max(0.02 * (highest - lowest), 0.01)
        bars = min(max(round(2 * len(sides) ** 0.5), 5), _MOST_BINS)
        bins = np.logspace(lowest - margin, highest + margin, bars + 1)
        axes.hist(sides, bins, color=COLOURS[2])
        axes.set_xscale("log")
        axes.axvline(
            float(np.median(sides)),
            color=COLOURS[6],
            linestyle=":",
            label=f"median {np.median(sides):.0f} px",
        )
        axes.legend(fontsize=8)
    axes.set_xlabel("square root of the visible area, px")
    axes.set_ylabel("instances")
    axes.set_title("Sizes", fontsize=10)


def _draw_shares(axes: Axes, report: Report) -> None:
    shares = report.shares()
    places = np.arange(len(shares))
    values = np.array([100 * count / total if total else 0.0 for _, count, total in shares])
    axes.barh(places, values, 0.6, color=COLOURS[5])
    for place, value, (_, count, _) in zip(places, values, shares, strict=True):
        axes.annotate(
            f"{value:.1f} % ({count:,})", (value, place), (4, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
    axes.set_yticks(places, [name for name, _, _ in shares], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 125)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("share of the instances, %")
    axes.set_title("Shares", fontsize=10)


def _draw_example(axes: Axes, example: Example, census: GapCensus, photo_folder: Path) -> None:
    """Two masks in their colours, and white what is between them, or belongs to both."""
    first, second = example.masks
    colors = (instance_color(0), instance_color(1))
    x0, y0, x1, y1 = example.box
    pixels = _ground(example, photo_folder)
    overlap = first & second
    gap = 0 if overlap.area else int(GapCensus.of_scene([first, second]).pairs.argmax())
    between = seam(first, second, max(gap, census.closing())) if gap else overlap
    for mask, color in ((first, colors[0]), (second, colors[1]), (between, PAPER)):
        _paint(pixels, mask, color, example)
    axes.imshow(pixels, interpolation="nearest", extent=(x0, x1, y1, y0))
    for mask, color in ((first, colors[0]), (second, colors[1])):
        _outline(axes, mask, color)
    if overlap.area:
        what = f"they share {overlap.area:,} px (white)"
    elif gap:
        what = f"a gap of {gap} px (white: what a closing fills)"
    else:
        what = "they touch"
        _outline(axes, first.dilate(3) & second, PAPER)
    axes.set_title(
        _plain(f"{locate(example.image, example.ids[0])} and {example.ids[1]}: {what}"),
        fontsize=8, parse_math=False, wrap=True,
    )  # fmt: skip
    axes.tick_params(labelsize=7)


def _ground(example: Example, photo_folder: Path) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the example's part of the photo, or a plain ground without one."""
    x0, y0, x1, y1 = example.box
    image = example.image
    path, _ = ImageFinder(str(photo_folder), lambda: [image.file_name]).find(image.file_name)
    try:
        return read_rgb(path, (image.height, image.width))[y0:y1, x0:x1].copy()
    except UserError:
        return np.full((y1 - y0, x1 - x0, 3), BACKGROUND, np.uint8)


def _paint(pixels: np.ndarray, mask: WindowMask, color: Color, example: Example) -> None:
    inside = mask.crop(example.box)
    blended = pixels[inside] * (1 - _OPACITY) + np.asarray(color) * _OPACITY
    pixels[inside] = np.round(blended).astype(np.uint8)


def _outline(axes: Axes, mask: WindowMask, color: Color) -> None:
    if mask.is_empty:
        return
    padded = np.pad(mask.array.astype(np.float32), 1)
    x = np.arange(padded.shape[1]) - 0.5 + mask.x0
    y = np.arange(padded.shape[0]) - 0.5 + mask.y0
    axes.contour(x, y, padded, levels=[0.5], colors=[np.asarray(color) / 255], linewidths=[1.2])


def _plain(text: str) -> str:
    """Text in characters that every font has."""
    return text.encode("ascii", "backslashreplace").decode("ascii")
