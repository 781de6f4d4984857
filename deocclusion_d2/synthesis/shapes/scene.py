"""Table-top-like scenes of generic objects, as masks with a known order of depth.

Heaps hide much; in half of them the order has nothing to do with the position, so that no rule such
as "lower is nearer" can be learnt from it. In scattered scenes no object touches another one: they
are whole shapes, which a completion that learns from modal masks alone needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..visibility import resolve_visibility
from .families import draw_shape
from .outlines import drawn, normalised

MIN_SIZE, MAX_SIZE = 16, 300
"""Longer side of an object's box in pixels, before it is cut at the image border."""
FEWEST, MOST = 5, 14
"""Objects that are put into a scene; of those in a heap some may be hidden."""

# The largest circle inside an object has at least this radius, so that none is a speck or a hair.
_MIN_RADIUS = 2.5
_MAX_SIZE_SHARE = 0.6  # of the image's shorter side
_TRIES = 40
_GAP = 3  # pixels between scattered objects, at least
_CUT_SHARE = 0.08  # of the objects in heaps may reach beyond the image


@dataclass(frozen=True)
class GenericObject:
    """An object of a scene.

    Attributes:
        family: name of the function that drew it.
        amodal: (H, W) bool, all of it that lies in the image.
        modal: (H, W) bool, the visible part.
    """

    family: str
    amodal: np.ndarray
    modal: np.ndarray


def compose_scene(
    rng: np.random.Generator, height: int, width: int, scattered: bool
) -> list[GenericObject]:
    """Draws a scene.

    Args:
        rng: source of all choices.
        height, width: of the image, in pixels.
        scattered: whether all objects keep apart; else they lie in heaps.

    Returns:
        Objects front-most first. Those of which too little shows are left out and hide nothing
        (see `resolve_visibility`); at least one is there.
    """
    count = int(rng.integers(FEWEST, MOST + 1))
    # On a table things stand more often than they lie, and the lower one is in front.
    table = rng.random() < 0.5
    upright_share = 0.7 if table else 0.1
    if scattered:
        placed = _scatter(rng, height, width, count, upright_share)
    else:
        placed = _heap(rng, height, width, count, upright_share)
    order = [int(i) for i in rng.permutation(len(placed))]
    if table:
        lowest = [int(np.flatnonzero(mask.any(axis=1))[-1]) for _, mask in placed]
        order.sort(key=lambda i: -lowest[i])
    visible = resolve_visibility([mask for _, mask in placed], order)
    return [GenericObject(placed[i][0], placed[i][1], modal) for i, modal in visible.items()]


def draw_object(
    rng: np.random.Generator, size: float, upright_share: float
) -> tuple[str, np.ndarray]:
    """One object as a mask, bool, cut tightly up to a few pixels of rim.

    Args:
        rng: source of all choices.
        size: longer side of its box in pixels. Where shapes of that size come out too thin again
            and again, it grows.
        upright_share: how often it stands on its foot.

    Returns:
        Name of its family, and the mask.
    """
    while True:
        family, shape = draw_shape(rng, upright=bool(rng.random() < upright_share))
        mask = drawn(normalised(shape, size))
        rim = np.pad(mask.view(np.uint8), 1)
        if cv2.distanceTransform(rim, cv2.DIST_L2, 5).max() >= _MIN_RADIUS:
            return family, mask
        size *= 1.05


def _size(rng: np.random.Generator, smallest: float, height: int, width: int) -> float:
    """Log-uniform: as many objects of 20 to 40 px as of 100 to 200 px."""
    largest = min(MAX_SIZE, _MAX_SIZE_SHARE * min(height, width))
    return float(np.exp(rng.uniform(np.log(min(smallest, largest)), np.log(largest))))


def _put(mask: np.ndarray, x: int, y: int, height: int, width: int) -> np.ndarray:
    """(H, W) bool with the upper left pixel of a mask at (x, y), cut at the image border."""
    canvas = np.zeros((height, width), dtype=bool)
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + mask.shape[1], width), min(y + mask.shape[0], height)
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = mask[y0 - y : y1 - y, x0 - x : x1 - x]
    return canvas


def _heap(
    rng: np.random.Generator, height: int, width: int, count: int, upright_share: float
) -> list[tuple[str, np.ndarray]]:
    """Objects around one to three places, with much overlap."""
    image = np.array([width, height])
    heaps = rng.uniform(0.2, 0.8, (int(rng.integers(1, 4)), 2)) * image
    spread = rng.uniform(0.06, 0.2) * min(height, width)
    placed = []
    while len(placed) < count:
        family, mask = draw_object(rng, _size(rng, 1.8 * MIN_SIZE, height, width), upright_share)
        size = np.array(mask.shape[::-1])
        centre = heaps[rng.integers(len(heaps))] + rng.normal(0, spread, 2)
        corner = np.round(centre - size / 2)
        if rng.random() >= _CUT_SHARE:
            corner = np.clip(corner, 0, np.maximum(image - size, 0))
        whole = _put(mask, int(corner[0]), int(corner[1]), height, width)
        if whole.sum() >= 0.4 * mask.sum():
            placed.append((family, whole))
    return placed


def _scatter(
    rng: np.random.Generator, height: int, width: int, count: int, upright_share: float
) -> list[tuple[str, np.ndarray]]:
    """Objects that keep a gap; one that finds no place is left out."""
    taken = np.zeros((height, width), dtype=bool)
    placed = []
    for _ in range(count):
        family, mask = draw_object(rng, _size(rng, MIN_SIZE, height, width), upright_share)
        room = np.array([width, height]) - mask.shape[::-1]
        if (room < 0).any():
            continue
        wide = cv2.dilate(
            np.pad(mask.view(np.uint8), _GAP), np.ones((2 * _GAP + 1,) * 2, dtype=np.uint8)
        ).view(bool)
        for _ in range(_TRIES):
            x, y = (int(value) for value in rng.integers(room + 1))
            if not (taken[y : y + mask.shape[0], x : x + mask.shape[1]] & mask).any():
                taken |= _put(wide, x - _GAP, y - _GAP, height, width)
                placed.append((family, _put(mask, x, y, height, width)))
                break
    return placed
