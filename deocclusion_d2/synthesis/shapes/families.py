"""Families of generic objects: each function draws one object of its kind.

Nothing stands for a real category. What matters is the variety of outlines: straight and curved,
convex and not, alike on both sides and not, with thin ends, and some with holes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .outlines import (
    Part,
    Shape,
    bend,
    capsule,
    convex_polygon,
    dense,
    fourier_blob,
    map_shape,
    normalised,
    rectangle,
    rounded,
    star_polygon,
    superellipse,
    swirl,
    tube,
    wave,
)

Family = Callable[[np.random.Generator], Shape]

_STEP = 0.04  # of a unit circle's radius: how finely outlines are cut before they are bent


def _rounded(rng: np.random.Generator, ring: np.ndarray) -> np.ndarray:
    """With sharp corners, blunt ones or none."""
    return rounded(ring, int(rng.integers(0, 4)))


def _turned(spots: np.ndarray, angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return spots @ np.array([[cosine, sine], [-sine, cosine]])


def _towards(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])


# -------------------------------------------------------------------- one outline


def polygon(rng: np.random.Generator) -> Shape:
    """Convex, with few or many corners."""
    corners = int(rng.integers(3, 7) if rng.random() < 0.6 else rng.integers(7, 16))
    return [[_rounded(rng, convex_polygon(rng, corners))]]


def dented_polygon(rng: np.random.Generator) -> Shape:
    """Not convex."""
    return [[_rounded(rng, star_polygon(rng, int(rng.integers(5, 12)), rng.uniform(0.4, 0.75)))]]


def blob(rng: np.random.Generator) -> Shape:
    """Smooth; with a low decay it has many dents."""
    order = int(rng.integers(1, 9))
    return [[fourier_blob(rng, order, rng.uniform(0.5, 2.0), rng.uniform(0.08, 0.35))]]


def box(rng: np.random.Generator) -> Shape:
    """A rectangle, or a super-ellipse: from a lens over an ellipse to nearly a rectangle."""
    if rng.random() < 0.25:
        return [[rectangle(-rng.uniform(0.3, 1), -1, rng.uniform(0.3, 1), 1)]]
    exponent = float(np.exp(rng.uniform(np.log(1.3), np.log(10))))
    return [[superellipse((0, 0), (rng.uniform(0.35, 1), 1), exponent)]]


# -------------------------------------------------------------------- solids of revolution


def _revolved(heights: np.ndarray, radii: np.ndarray, tilt: float) -> Shape:
    """A profile turned about the y axis, seen a little from above.

    Args:
        heights: (M,) from the top down.
        radii: (M,).
        tilt: height of the ellipse of a rim over its width, 0 from the side.
    """
    side = np.stack([radii, heights], axis=1)
    parts: Shape = [[np.concatenate([side, side[::-1] * (-1, 1)])]]
    for row in (0, -1):
        if tilt * radii[row] > 0.01:
            axes = (radii[row], tilt * radii[row])
            parts.append([superellipse((0, heights[row]), axes)])
    return parts


def _smooth_profile(rng: np.random.Generator, controls: list[tuple[float, float]]) -> np.ndarray:
    """(M, 2) of radius and height through control points, with corners sharp or blunt."""
    return rounded(np.array(controls), int(rng.integers(0, 4)), closed=False)


def bottle(rng: np.random.Generator) -> Shape:
    """Body, shoulder, neck and lip."""
    body = rng.uniform(0.22, 0.5)
    neck = body * rng.uniform(0.22, 0.6)
    foot = body * rng.uniform(0.8, 1.0)
    shoulder, collar = rng.uniform(-0.3, 0.25), rng.uniform(-0.75, -0.4)
    lip = neck * rng.uniform(1.0, 1.4)
    side = _smooth_profile(
        rng,
        [(lip, -1), (lip, -0.93), (neck, -0.9), (neck, collar), (body, shoulder)]
        + [(body, 0.75), (foot, 1)],
    )
    return _revolved(side[:, 1], side[:, 0], rng.uniform(0, 0.25))


def vessel(rng: np.random.Generator) -> Shape:
    """A vase, a glass or a bowl: any smooth profile."""
    heights = np.linspace(-1, 1, 40)
    order = int(rng.integers(1, 5))
    waves = np.cos(
        np.pi * np.arange(1, order + 1)[:, None] * (heights + 1) / 2
        + rng.uniform(0, 2 * np.pi, (order, 1))
    )
    profile = rng.normal(0, 0.35, order) / np.sqrt(np.arange(1, order + 1)) @ waves
    width = np.exp(rng.uniform(np.log(0.3), np.log(1.3)))
    return _revolved(heights, width * np.exp(np.clip(profile, -0.9, 0.9)), rng.uniform(0, 0.35))


def goblet(rng: np.random.Generator) -> Shape:
    """A bowl on a stem with a foot; upside down, a lamp or a mushroom."""
    stem, bowl, foot = rng.uniform(0.06, 0.14), rng.uniform(0.3, 0.6), rng.uniform(0.25, 0.5)
    top, bottom = rng.uniform(-0.3, 0.3), rng.uniform(0.6, 0.85)
    side = _smooth_profile(
        rng,
        [(bowl * rng.uniform(0.6, 1.05), -1), (bowl, rng.uniform(-0.7, -0.4)), (bowl * 0.7, top)]
        + [(stem, top + 0.12), (stem, bottom), (foot, bottom + 0.1), (foot, 1)],
    )
    up = 1 if rng.random() < 0.7 else -1
    shape = _revolved(side[:, 1], side[:, 0], rng.uniform(0, 0.3))
    return map_shape(shape, lambda spots: spots * (1, up))


def cup(rng: np.random.Generator) -> Shape:
    """A tapered body with a handle at its side, which leaves a hole or is filled; or two."""
    top, bottom = rng.uniform(0.5, 0.95), rng.uniform(0.4, 0.9)
    shape = _revolved(np.array([-1.0, 1.0]), np.array([top, bottom]), rng.uniform(0, 0.35))
    reach, height = rng.uniform(0.25, 0.6), rng.uniform(0.35, 0.7)
    middle = rng.uniform(-0.3, 0.2)
    thickness = rng.uniform(0.1, 0.22)
    for side in (1, -1) if rng.random() < 0.2 else (1,):
        centre = (side * (top + bottom) / 2, middle)
        outer = superellipse(centre, (reach + thickness, height), rng.uniform(1.8, 4))
        inner = superellipse(centre, (reach, height - thickness), 2)
        shape.append([outer, inner] if rng.random() < 0.7 else [outer])
    return shape


# -------------------------------------------------------------------- several parts


def _body(rng: np.random.Generator) -> np.ndarray:
    """A compact outline of radius about 1."""
    kind = rng.integers(3)
    if kind == 0:
        return superellipse((0, 0), (1, rng.uniform(0.5, 1)), rng.uniform(1.8, 6))
    if kind == 1:
        return fourier_blob(rng, int(rng.integers(1, 5)), 1.5, rng.uniform(0.05, 0.2))
    return _rounded(rng, normalised([[convex_polygon(rng, int(rng.integers(5, 10)))]], 2)[0][0])


def compound(rng: np.random.Generator) -> Shape:
    """Two or three compact bodies grown together."""
    shape: Shape = [[_body(rng)]]
    for _ in range(int(rng.integers(1, 3))):
        size = rng.uniform(0.4, 0.9)
        centre = _towards(rng.uniform(0, 2 * np.pi)) * rng.uniform(0.5, 0.7 + 0.5 * size)
        ring = _turned(_body(rng) * size, rng.uniform(0, 2 * np.pi)) + centre
        shape.append([ring])
    return shape


def limbed(rng: np.random.Generator) -> Shape:
    """A body with tapered limbs, bent or straight, and sometimes a head: toys, animals, plants."""
    body = (rng.uniform(0.5, 1), rng.uniform(0.5, 1))
    shape: Shape = [[superellipse((0, 0), body, rng.uniform(1.8, 4))]]
    count = int(rng.integers(2, 7))
    start = rng.uniform(0, 2 * np.pi)
    spread = rng.uniform(0.5, 1) * 2 * np.pi
    for number in range(count):
        angle = start + spread * (number + rng.uniform(-0.3, 0.3)) / count
        root = 0.6 * np.array(body) * _towards(angle)
        knee = root + _towards(angle) * rng.uniform(0.4, 0.8)
        tip = knee + _towards(angle + rng.uniform(-1, 1)) * rng.uniform(0.2, 0.8)
        thick = rng.uniform(0.14, 0.32)
        radii = thick * np.array([1, rng.uniform(0.7, 1.0), rng.uniform(0.5, 1.0)])
        shape += tube(np.stack([root, knee, tip]), radii)
    if rng.random() < 0.5:
        head = rng.uniform(0.3, 0.55)
        axes = (head, head * rng.uniform(0.8, 1.2))
        shape.append([superellipse((0, -body[1] - 0.5 * head), axes)])
    return shape


def handled(rng: np.random.Generator) -> Shape:
    """A body with one long handle: pans, spoons, brushes, rackets."""
    body = _turned(_body(rng), rng.uniform(0, 2 * np.pi))
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(1.0, 3.5)
    thick = rng.uniform(0.12, 0.3)
    start, end = 0.4 * _towards(angle), (0.8 + length) * _towards(angle)
    return [[body], [capsule(start, end, thick, thick * rng.uniform(0.6, 1.5))]]


def tool(rng: np.random.Generator) -> Shape:
    """A long shaft with a head at one end or both: hammers, wrenches, knives, screwdrivers."""
    thick = rng.uniform(0.06, 0.18)
    shaft = np.array([[0, -1], [0, 1]], dtype=np.float64)
    shape: Shape = tube(shaft, thick * np.array([rng.uniform(0.7, 1.2), rng.uniform(0.8, 1.6)]))
    for end in (-1, 1) if rng.random() < 0.3 else (-1,):
        size = np.array([rng.uniform(0.12, 0.45), rng.uniform(0.12, 0.35)])
        kind = rng.integers(3)
        if kind == 0:
            ring = superellipse((0, 0), size, rng.uniform(1.8, 8))
        elif kind == 1:
            ring = _rounded(rng, (convex_polygon(rng, int(rng.integers(3, 8))) - 0.5) * 2 * size)
            ring = ring - (ring.min(axis=0) + ring.max(axis=0)) / 2
        else:
            ring = star_polygon(rng, int(rng.integers(5, 9)), 0.5) * size
        shape.append([ring + (rng.uniform(-0.3, 0.3) * size[0], end * 0.95)])
    return shape


def bar_letter(rng: np.random.Generator) -> Shape:
    """Bars that stand on each other at right angles: L, T, U, plus, steps."""
    thick = rng.uniform(0.2, 0.6)
    arm, place = rng.uniform(0.5, 1.0), rng.uniform(-1, 1 - thick)
    shape: Shape = [[rectangle(-1, 1 - thick, 1, 1)]]
    kind = rng.integers(4)
    if kind == 0:  # L
        shape.append([rectangle(-1, 1 - 2 * arm, -1 + thick, 1)])
    elif kind == 1:  # T, anywhere along the bar
        shape.append([rectangle(place, 1 - 2 * arm, place + thick, 1)])
    elif kind == 2:  # U, its arms of two lengths
        shape.append([rectangle(-1, 1 - 2 * arm, -1 + thick, 1)])
        shape.append([rectangle(1 - thick, 1 - 2 * rng.uniform(0.4, 1.0), 1, 1)])
    else:  # plus
        shape.append([rectangle(place, 1 - thick / 2 - arm, place + thick, 1 - thick / 2 + arm)])
    return shape


def bent_tube(rng: np.random.Generator) -> Shape:
    """A smooth thick line through a few points: hoses, bananas, hooks, snakes."""
    steps = int(rng.integers(2, 6))
    turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.9, steps))
    lengths = rng.uniform(0.5, 1, steps)
    moves = lengths[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    line = rounded(np.concatenate([[[0, 0]], np.cumsum(moves, axis=0)]), 3, closed=False)
    thick = rng.uniform(0.12, 0.3)
    ends = rng.uniform(0.4, 1.3, 3)
    radii = thick * np.interp(np.linspace(0, 2, len(line)), [0, 1, 2], ends)
    return tube(line, radii)


def ring(rng: np.random.Generator) -> Shape:
    """A body with a large hole."""
    body = _body(rng)
    centre = body.mean(axis=0)
    return [[body, centre + rng.uniform(0.45, 0.75) * (body - centre)]]


def holed(rng: np.random.Generator) -> Shape:
    """A super-ellipse with two or three small round holes in a row."""
    half = rng.uniform(0.3, 0.6)
    part: Part = [superellipse((0, 0), (1, half), rng.uniform(2, 8))]
    count = int(rng.integers(2, 4))
    radius = min(half * rng.uniform(0.35, 0.6), 0.35 / count * 1.4)
    for x in np.linspace(-0.55, 0.55, count):
        part.append(superellipse((x, 0), (radius, radius), corners=32))
    return [part]


FAMILIES: dict[Family, float] = {
    polygon: 14,
    dented_polygon: 6,
    blob: 16,
    box: 10,
    bottle: 8,
    vessel: 9,
    goblet: 4,
    cup: 6,
    compound: 6,
    limbed: 8,
    handled: 6,
    tool: 6,
    bar_letter: 5,
    bent_tube: 7,
    ring: 3,
    holed: 1,
}
"""Family to how often it is drawn, relative to the others."""


def draw_shape(rng: np.random.Generator, upright: bool) -> tuple[str, Shape]:
    """Draws an object: a family, its outline, a bend, anisotropic scale and a rotation.

    Args:
        rng: source of all choices.
        upright: whether it stands on its foot, up to a tilt of about 10 degrees, instead of lying
            any way round.

    Returns:
        Name of the family, and the shape with its box's longer side 2, centred on the origin.
    """
    families, weights = list(FAMILIES), np.array(list(FAMILIES.values()), dtype=np.float64)
    family = families[int(rng.choice(len(families), p=weights / weights.sum()))]
    shape = _warped(rng, family(rng), often=family in (blob, box, tool, handled))
    if rng.random() < 0.5:
        shape = map_shape(shape, lambda spots: spots * (-1, 1))
    stretch = np.exp(rng.normal(0, 0.25))
    if upright:
        tilt = rng.normal(0, 0.08)
        shape = map_shape(shape, lambda spots: _turned(spots * (stretch, 1), tilt))
    else:
        angles = rng.uniform(0, 2 * np.pi, 2)
        shape = map_shape(
            shape, lambda spots: _turned(_turned(spots, angles[0]) * (stretch, 1), angles[1])
        )
    return family.__name__, normalised(shape, 2)


def _warped(rng: np.random.Generator, shape: Shape, often: bool) -> Shape:
    """Bends a shape, makes its sides wavy, swirls it, or leaves it as it is."""
    shape = normalised(shape, 2**0.5)  # inside the unit circle
    if rng.random() > (0.5 if often else 0.2):
        return shape
    shape = [[dense(outline, _STEP) for outline in part] for part in shape]
    kind = rng.integers(3)
    if kind == 0:
        curvature = rng.uniform(0.3, 0.95) * rng.choice([-1, 1])
        quarter = int(rng.integers(2)) * np.pi / 2
        return map_shape(shape, lambda spots: bend(_turned(spots, quarter), curvature))
    if kind == 1:
        height, frequency = rng.uniform(0.05, 0.2), rng.uniform(2, 5)
        phase = rng.uniform(0, 2 * np.pi)
        return map_shape(shape, lambda spots: wave(spots, height, frequency, phase))
    turn = rng.uniform(0.4, 1.4) * rng.choice([-1, 1])
    return map_shape(shape, lambda spots: swirl(spots, turn))
