"""Outlines that generic objects are made of, and how they are bent and drawn.

A `Ring` is a closed outline that does not cross itself; a `Part` is what lies inside an odd number
of its rings, so that a second ring is a hole; a `Shape` is the union of its parts. Coordinates have
no unit until an object gets its size: x to the right, y down, an object stands along y.

Shape shorthand: M: number of corners of a ring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import cv2
import numpy as np

Ring: TypeAlias = np.ndarray  # (M, 2) float64, M >= 3
Part: TypeAlias = list[Ring]
Shape: TypeAlias = list[Part]

_SHIFT = 4  # sub-pixel bits of cv2's polygon filling

# -------------------------------------------------------------------- rings


def superellipse(
    centre: Sequence[float], semi_axes: Sequence[float], exponent: float = 2.0, corners: int = 64
) -> Ring:
    """|x / a|^n + |y / b|^n = 1: an ellipse for n = 2, nearly a rectangle for n = 8."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    spots = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(centre) + semi_axes * np.sign(spots) * np.abs(spots) ** (2 / exponent)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Ring:
    """A rectangle by two opposite corners."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)


def capsule(start: np.ndarray, end: np.ndarray, start_radius: float, end_radius: float) -> Ring:
    """Outline of the convex hull of two circles."""
    along = np.asarray(end, dtype=np.float64) - start
    length = float(np.hypot(*along))
    if length <= abs(start_radius - end_radius):  # one circle holds the other
        return (
            superellipse(start, [start_radius] * 2, corners=32)
            if start_radius >= end_radius
            else superellipse(end, [end_radius] * 2, corners=32)
        )
    heading = np.arctan2(along[1], along[0])
    opening = np.arccos((start_radius - end_radius) / length)
    back = heading + np.linspace(opening, 2 * np.pi - opening, 16)
    front = heading + np.linspace(-opening, opening, 16)
    return np.concatenate(
        [
            start + start_radius * np.stack([np.cos(back), np.sin(back)], axis=1),
            end + end_radius * np.stack([np.cos(front), np.sin(front)], axis=1),
        ]
    )


def convex_polygon(rng: np.random.Generator, corners: int) -> Ring:
    """A random convex polygon in the unit square, by Valtr's method: the vectors between sorted
    random coordinates, put in the order of their angles."""

    def steps() -> np.ndarray:
        values = np.sort(rng.random(corners))
        upper = rng.random(corners - 2) < 0.5
        first, last, inner = values[0], values[-1], values[1:-1]
        up = np.concatenate([[first], inner[upper], [last]])
        down = np.concatenate([[first], inner[~upper], [last]])
        return np.concatenate([np.diff(up), -np.diff(down)])

    vectors = np.stack([steps(), rng.permutation(steps())], axis=1)
    order = np.argsort(np.arctan2(vectors[:, 1], vectors[:, 0]), kind="stable")
    return np.cumsum(vectors[order], axis=0)


def star_polygon(rng: np.random.Generator, corners: int, depth: float) -> Ring:
    """A polygon that sees its centre from everywhere, with dents of up to a share ``depth``."""
    spread = 0.35 * 2 * np.pi / corners
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    angles += rng.uniform(-spread, spread, corners)
    radii = 1 - depth * rng.random(corners)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def fourier_blob(rng: np.random.Generator, order: int, decay: float, strength: float) -> Ring:
    """A smooth outline: the logarithm of its radius is a random Fourier series.

    Args:
        order: number of harmonics, from the second on (the first only moves it).
        decay: the amplitude of harmonic k goes by k^-decay.
        strength: standard deviation of the logarithm of the radius.
    """
    angles = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    harmonics = np.arange(2, order + 2)
    amplitudes = rng.standard_normal(order) * harmonics**-decay
    amplitudes *= strength * np.sqrt(2) / max(float(np.hypot.reduce(amplitudes)), 1e-6)
    phases = rng.uniform(0, 2 * np.pi, order)
    waves = np.cos(harmonics[:, None] * angles + phases[:, None])
    radii = np.exp(np.clip(amplitudes @ waves, -1.2, 1.2))
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def rounded(ring: Ring, times: int, closed: bool = True) -> Ring:
    """Cuts the corners off at a quarter of either side, again and again (Chaikin)."""
    for _ in range(times):
        following = np.roll(ring, -1, axis=0) if closed else ring[1:]
        start = ring if closed else ring[:-1]
        cut = np.stack([0.75 * start + 0.25 * following, 0.25 * start + 0.75 * following], axis=1)
        inner = cut.reshape(-1, 2)
        ring = inner if closed else np.concatenate([ring[:1], inner[1:-1], ring[-1:]])
    return ring


def tube(line: np.ndarray, radii: np.ndarray) -> list[Part]:
    """A line (M, 2) as thick as its radii (M,): one capsule per segment."""
    return [[capsule(line[i], line[i + 1], radii[i], radii[i + 1])] for i in range(len(line) - 1)]


# -------------------------------------------------------------------- maps of the plane
#
# Each is one to one on shapes inside the unit circle, so that rings never come to cross themselves.


def map_shape(shape: Shape, change: Callable[[np.ndarray], np.ndarray]) -> Shape:
    """A shape with all corners (M, 2) moved."""
    return [[change(ring) for ring in part] for part in shape]


def swirl(spots: np.ndarray, turn: float) -> np.ndarray:
    """Turns every spot by ``turn`` radians times its distance from the origin."""
    angles = turn * np.hypot(spots[:, 0], spots[:, 1])
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.stack(
        [cosine * spots[:, 0] - sine * spots[:, 1], sine * spots[:, 0] + cosine * spots[:, 1]],
        axis=1,
    )


def wave(spots: np.ndarray, height: float, frequency: float, phase: float) -> np.ndarray:
    """Shifts rows sideways along a sine."""
    return spots + np.stack(
        [height * np.sin(frequency * spots[:, 1] + phase), np.zeros(len(spots))], axis=1
    )


def bend(spots: np.ndarray, curvature: float) -> np.ndarray:
    """Lays the y axis along a circle of a curvature of 0 < |k| < 1 (1 / radius)."""
    radius, angles = 1 / curvature - spots[:, 0], curvature * spots[:, 1]
    return np.stack([1 / curvature - radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def dense(ring: Ring, step: float) -> Ring:
    """The same outline with a corner at least every ``step``."""
    sides = np.roll(ring, -1, axis=0) - ring
    counts = np.maximum(np.ceil(np.hypot(sides[:, 0], sides[:, 1]) / step).astype(int), 1)
    start = np.repeat(np.arange(len(ring)), counts)
    share = (np.arange(len(start)) - np.repeat(np.cumsum(counts) - counts, counts)) / counts[start]
    return ring[start] + share[:, None] * sides[start]


def extent(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest x and y, (2,) each."""
    spots = np.concatenate([ring for part in shape for ring in part])
    return spots.min(axis=0), spots.max(axis=0)


def normalised(shape: Shape, longest: float) -> Shape:
    """A shape with its box centred on the origin, the longer side of the box as given."""
    low, high = extent(shape)
    scale = longest / max(float((high - low).max()), 1e-9)
    return map_shape(shape, lambda spots: (spots - (low + high) / 2) * scale)


# -------------------------------------------------------------------- pixels


def drawn(shape: Shape) -> np.ndarray:
    """A shape in pixels as a mask, bool, cut tightly up to a few pixels of rim.

    Corners are placed to 1/16 px; pixels that an outline crosses belong to the shape.
    """
    low, high = extent(shape)
    width, height = np.ceil(high - low).astype(int) + 3
    canvas = np.zeros((height, width), dtype=np.uint8)
    for part in shape:
        spots = [np.round((ring - low + 1) * (1 << _SHIFT)).astype(np.int32) for ring in part]
        cv2.fillPoly(canvas, spots, 1, lineType=cv2.LINE_8, shift=_SHIFT)
    return canvas.view(bool)
