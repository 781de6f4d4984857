"""Colours of instances and of everything else in the pictures. All colours are RGB."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence
from functools import lru_cache

import cv2
import numpy as np

Color = tuple[int, int, int]

BACKGROUND: Color = (30, 32, 36)
"""Of a scene without an image file."""
PAPER: Color = (255, 255, 255)
INK: Color = (20, 20, 20)
ARROW: Color = (255, 255, 255)
CYCLE: Color = (255, 45, 45)
UNDECIDED: Color = (200, 200, 200)
"""Between neighbours without an order."""
MUTUAL: Color = (255, 205, 70)
"""Between instances that hide parts of each other."""
PANEL: Color = (46, 49, 55)
"""Behind a legend: as dark as a dimmed scene, so that signs look as they do there."""

_NUM_COLORS = 64
_RESERVED = np.array([BACKGROUND, PAPER, INK, CYCLE, (128, 128, 128)], dtype=np.uint8)


def instance_color(number: int) -> Color:
    """The colour of a number; the same in every picture.

    The first colours are the farthest apart. They repeat after 64 numbers.

    Returns:
        (R, G, B), 0-255.
    """
    return tuple(int(v) for v in _palette()[number % _NUM_COLORS])


def color_numbers(ids: Sequence[Hashable]) -> list[int]:
    """The number of the colour of each id, for ``instance_color``.

    It follows the id alone, not the place among the others, so that an object keeps its colour
    from picture to picture; only where several ids of a picture would share a colour do the later
    ones, by id, take the next that is free.
    """
    wanted = [
        key % _NUM_COLORS
        if isinstance(key, (int, np.integer))
        else zlib.crc32(str(key).encode("utf-8", "backslashreplace")) % _NUM_COLORS
        for key in ids
    ]
    numbers = [0] * len(wanted)
    taken: set[int] = set()
    for row in sorted(range(len(wanted)), key=lambda row: _rank(ids[row])):
        number = wanted[row]
        while number in taken:
            number = (number + 1) % _NUM_COLORS
        numbers[row] = number
        taken.add(number)
        if len(taken) == _NUM_COLORS:
            taken.clear()
    return numbers


def _rank(key: Hashable) -> tuple[bool, int, str]:
    is_number = isinstance(key, (int, np.integer))
    return (not is_number, int(key) if is_number else 0, str(key))


def lighten(color: Color, amount: float) -> Color:
    """Mix a colour with white. ``amount`` is the share of white, 0-1."""
    return tuple(round(v + (255 - v) * amount) for v in color)


def text_color(color: Color) -> Color:
    """Black or white, whichever is easier to read on ``color``."""
    luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    return INK if luminance > 135 else PAPER


@lru_cache(maxsize=1)
def _palette() -> np.ndarray:
    """(64, 3) uint8 RGB: each colour is the one farthest, in CIELAB, from all before it."""
    levels = np.linspace(0, 255, 13)
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    candidates = candidates.astype(np.uint8)
    lab = _to_lab(candidates)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # Neither as dark as the dimmed street nor as pale as a lightened hidden part.
    usable = (lab[:, 0] > 45) & (lab[:, 0] < 88) & (chroma > 35)
    candidates, lab = candidates[usable], lab[usable]
    distance = np.full(len(lab), np.inf)
    for reserved in _to_lab(_RESERVED):
        distance = np.minimum(distance, np.linalg.norm(lab - reserved, axis=1))
    chosen = []
    for _ in range(_NUM_COLORS):
        best = int(np.argmax(distance))
        chosen.append(best)
        distance = np.minimum(distance, np.linalg.norm(lab - lab[best], axis=1))
    return candidates[chosen]


def _to_lab(colors: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 RGB -> (N, 3) float L (0-100), a, b."""
    return cv2.cvtColor(colors[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
