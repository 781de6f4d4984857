"""What the signs in pictures mean, and which objects there are: strips below the pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..structures import OcclusionGraph, Scene, WindowMask
from .canvas import SceneCanvas, text_width
from .labels import Label
from .palette import ARROW, CYCLE, MUTUAL, PANEL, PAPER, UNDECIDED, Color

_SIGN_WIDTH = 3.2
_MOST_OBJECTS = 240


Sign = tuple[str, str]
"""A kind, one of those of ``legend``, and what it means."""

HATCHED: Sign = ("hatched", "hidden part, completed")
ENLARGED: Sign = ("inset", "shown enlarged in a corner")


def graph_signs(graph: OcclusionGraph, confidences: bool) -> list[Sign]:
    """The signs that a drawn graph holds.

    Args:
        confidences: whether some are written in the picture.
    """
    edges = graph.edges
    mutual = graph.mutual_pairs
    undecided = [p for p in graph.neighbour_pairs if graph.order(*p) == 0 and p not in mutual]
    signs = []
    if edges:
        signs.append(("arrow", "is in front of"))
    if graph.cycles():
        signs.append(("cycle", "in front of, on a circle: no order fits all of it"))
    if confidences:
        signs.append(("confidence", "confidence of an order, from 0 (a guess) to 1"))
    if undecided:
        signs.append(("dotted", "neighbours without an order"))
    if mutual:
        signs.append(("mutual", "each hides a part of the other"))
    return signs


def legend(signs: Sequence[Sign], width: int, letters: float) -> np.ndarray:
    """The meaning of signs, in as many lines as they need.

    Args:
        signs: their kinds are "arrow", "cycle", "confidence", "dotted",
            "mutual", "hatched" and "inset".
        width: of the strip in pixels.
        letters: height of the letters in pixels.

    Returns:
        (h, width, 3) uint8 RGB; without a line when there are no signs.
    """
    line, sign = 1.7 * letters, _SIGN_WIDTH * letters
    places: list[tuple[float, float]] = []
    x, y = letters, line / 2 + 0.3 * letters
    for _, text in signs:
        needed = sign + 0.6 * letters + text_width(text, letters)
        if x > letters and x + needed > width - letters:
            x, y = letters, y + line
        places.append((x, y))
        x += needed + 1.6 * letters
    height = round(y + line / 2 + 0.3 * letters) if signs else 0
    if not height:
        return np.zeros((0, width, 3), np.uint8)
    canvas = _strip(height, width)
    bars = [
        WindowMask.filled(
            (round(x), round(y - letters / 2), round(x + sign), round(y + letters / 2))
        )
        for (kind, _), (x, y) in zip(signs, places, strict=True)
        if kind == "hatched"
    ]
    for bar in bars:
        canvas.fill(bar, (150, 190, 230), 0.95, stripes=1, gap=0.25)
    for bar in bars:
        canvas.outline(bar, (215, 230, 245), width=1.3, dashed=True)
    for (kind, text), (x, y) in zip(signs, places, strict=True):
        _draw_sign(canvas, kind, x, y, sign, letters)
        canvas.text((x + sign + 0.6 * letters, y), text, letters, PAPER)
    return canvas.render()


def _draw_sign(
    canvas: SceneCanvas, kind: str, x: float, y: float, width: float, letters: float
) -> None:
    ends = [(x, y), (x + width, y)]
    if kind in ("arrow", "cycle"):
        canvas.arrow(*ends, CYCLE if kind == "cycle" else ARROW, width=0.13 * letters / canvas.unit)
    elif kind == "confidence":
        canvas.text((x + width / 2, y), "0.87", 0.9 * letters, ARROW, centred=True)
    elif kind in ("dotted", "mutual"):
        color = UNDECIDED if kind == "dotted" else MUTUAL
        canvas.line(ends, color, 0.16 * letters / canvas.unit, dotted=True)
    elif kind == "inset":
        side = 0.45 * letters
        box = np.array([x + width / 2 - side, y - side, x + width / 2 + side, y + side])
        canvas.rectangle(box, PAPER, width=0.1 * letters / canvas.unit, dashed=False)


def object_key(
    labels: Sequence[Label], colors: Sequence[Color], width: int, letters: float
) -> np.ndarray:
    """Which colour and number is which object, in columns.

    Returns:
        (h, width, 3) uint8 RGB; without a line when there are no objects. Beyond 240 objects the
        last line says how many are left out.
    """
    rows = [(label.short, label.detail, color) for label, color in zip(labels, colors, strict=True)]
    more = len(rows) - _MOST_OBJECTS
    if more > 0:
        rows = [*rows[:_MOST_OBJECTS], ("...", f"and {more} more", PANEL)]
    if not rows:
        return np.zeros((0, width, 3), np.uint8)
    tag = max(SceneCanvas.tag_size(short, 1.25 * letters)[0] for short, _, _ in rows)
    texts = max(text_width(detail, letters) for _, detail, _ in rows)
    if tag + texts + 2 * letters > width:
        letters *= max(width / (tag + texts + 2 * letters), 0.4)
        return (
            object_key(labels, colors, width, letters)
            if letters >= 5
            else _strip(1, width).render()
        )
    column = tag + texts + 2.2 * letters
    columns = max(int((width - letters) // column), 1)
    lines = -(-len(rows) // columns)
    line = 1.55 * letters
    canvas = _strip(round(lines * line + 0.6 * letters), width)
    for number, (short, detail, color) in enumerate(rows):
        x = letters + (number // lines) * column
        y = 0.3 * letters + (number % lines + 0.5) * line
        canvas.tag((x + tag / 2, y), (tag, 1.25 * letters), short, color)
        canvas.text((x + tag + 0.5 * letters, y), detail, letters, PAPER)
    return canvas.render()


def _strip(height: int, width: int) -> SceneCanvas:
    plain = np.full((height, width, 3), PANEL, np.uint8)
    return SceneCanvas(Scene(height, width, [], np.zeros(0), image=plain))
