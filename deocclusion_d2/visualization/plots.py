"""How plots of numbers look, and how they are written. Matplotlib alone, without a display."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that people with colour-blindness tell apart (Okabe and Ito).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")


def finish_axes(axes: Axes) -> None:
    """A light grid behind the data, and no frame above and to the right."""
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def save_figure(figure: Figure, file: Path | BinaryIO) -> None:
    """Write a figure: of a path in the format that its ending names, else as PNG."""
    with matplotlib.rc_context({"savefig.dpi": 130}):
        figure.savefig(file)
