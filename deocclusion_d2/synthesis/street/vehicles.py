"""Silhouettes of vehicles: cars, vans, trucks, trams, and KINS's "misc" (caravans, tractors).

A body is a side view swept across the width, narrower towards roof and ends; wheels stand below it,
so that one sees through under the body. Every public function draws one object at random and
returns a `Solid`. Lengths are metres; profiles are (forward, up).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .categories import CAR, VAN
from .solids import GLASS, TYRE, Part, Solid, block, extrude, limb, plate, wheel

Colour = tuple[float, float, float]
Width = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Side views as shares of length (-0.5 rear ... 0.5 front) and height, from the rear bottom over the
# roof # to the front bottom; the four marked points (rear of the side windows, roof rear, roof
# front, foot of # the windscreen) bound the glass house.
_SIDE_VIEWS: dict[str, tuple[list[tuple[float, float]], tuple[int, int, int, int]]] = {
    "saloon": (
        [(-0.485, 0.17), (-0.5, 0.36), (-0.485, 0.64), (-0.34, 0.68), (-0.18, 0.965), (-0.03, 1.0),
         (0.08, 0.965), (0.24, 0.66), (0.43, 0.57), (0.49, 0.46), (0.5, 0.3), (0.475, 0.17)],
        (3, 4, 6, 7),
    ),
    "hatchback": (
        [(-0.48, 0.17), (-0.5, 0.34), (-0.48, 0.62), (-0.44, 0.7), (-0.35, 0.95), (-0.1, 1.0),
         (0.06, 0.97), (0.25, 0.64), (0.43, 0.55), (0.49, 0.44), (0.5, 0.28), (0.475, 0.17)],
        (3, 4, 6, 7),
    ),
    "estate": (
        [(-0.485, 0.17), (-0.5, 0.36), (-0.49, 0.62), (-0.46, 0.7), (-0.4, 0.95), (-0.1, 1.0),
         (0.07, 0.965), (0.23, 0.66), (0.43, 0.57), (0.49, 0.46), (0.5, 0.3), (0.475, 0.17)],
        (3, 4, 6, 7),
    ),
    "suv": (
        [(-0.475, 0.22), (-0.5, 0.38), (-0.49, 0.62), (-0.465, 0.68), (-0.41, 0.95), (-0.12, 1.0),
         (0.09, 0.97), (0.22, 0.66), (0.44, 0.61), (0.495, 0.52), (0.5, 0.34), (0.465, 0.22)],
        (3, 4, 6, 7),
    ),
    "pickup": (
        [(-0.485, 0.24), (-0.5, 0.34), (-0.495, 0.58), (-0.13, 0.58), (-0.1, 0.95), (0.0, 1.0),
         (0.1, 0.97), (0.21, 0.64), (0.44, 0.59), (0.495, 0.5), (0.5, 0.34), (0.47, 0.24)],
        (3, 4, 6, 7),
    ),
    "delivery": (
        [(-0.495, 0.15), (-0.5, 0.3), (-0.495, 0.8), (-0.48, 0.96), (-0.2, 1.0), (0.1, 0.99),
         (0.22, 0.94), (0.37, 0.52), (0.47, 0.45), (0.495, 0.36), (0.5, 0.22), (0.48, 0.15)],
        (3, 5, 6, 7),
    ),
    "minibus": (
        [(-0.49, 0.15), (-0.5, 0.3), (-0.49, 0.6), (-0.46, 0.95), (-0.15, 1.0), (0.15, 0.98),
         (0.24, 0.93), (0.42, 0.52), (0.48, 0.44), (0.497, 0.35), (0.5, 0.22), (0.485, 0.15)],
        (2, 3, 6, 7),
    ),
}  # fmt: skip

_CAR_SIZES: dict[str, tuple[float, float, float, float, float]] = {
    # share of the cars, length range, height range
    "saloon": (0.26, 4.3, 4.9, 1.4, 1.5),
    "hatchback": (0.34, 3.6, 4.3, 1.42, 1.56),
    "estate": (0.16, 4.4, 4.9, 1.43, 1.55),
    "suv": (0.2, 4.2, 4.8, 1.62, 1.82),
    "pickup": (0.04, 4.9, 5.4, 1.7, 1.85),
}


def random_paint(rng: np.random.Generator) -> Colour:
    """A car's colour, BGR: mostly black, grey, silver or white, else blue, red, green, yellow."""
    if rng.random() < 0.62:
        grey = rng.choice([35.0, 80.0, 130.0, 175.0, 222.0]) + rng.normal(0, 8)
        return tuple(float(c) for c in np.clip(grey + rng.normal(0, 4, 3), 15, 245))
    base = np.array([(150, 70, 30), (40, 35, 170), (70, 110, 50), (50, 170, 210), (110, 60, 60)])
    pick = base[rng.choice(5, p=[0.4, 0.32, 0.1, 0.08, 0.1])] * rng.uniform(0.6, 1.3)
    return tuple(float(c) for c in np.clip(pick, 10, 245))


def _width(
    half: float, belt: float, roof: float, narrow: float, length: float, taper: float
) -> Width:
    """Half width: full up to the belt line, ``narrow`` of it at the roof, tapered at both ends."""

    def at(along: np.ndarray, up: np.ndarray) -> np.ndarray:
        rise = np.clip((up - belt) / (roof - belt), 0, 1)
        end = np.clip((np.abs(along) / length - 0.36) / 0.14, 0, 1)
        return half * (1 - (1 - narrow) * rise) * (1 - taper * end**2)

    return at


def _between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    return first + share * (second - first)


def _rounded(profile: np.ndarray, cut: float = 0.2) -> np.ndarray:
    """Cuts every corner of a closed outline at ``cut`` of its edges."""
    following = np.roll(profile, -1, axis=0)
    ends = [profile + cut * (following - profile), profile + (1 - cut) * (following - profile)]
    return np.stack(ends, axis=1).reshape(-1, 2)


def _across(low: np.ndarray, high: np.ndarray, width: Width, colour: Colour, inset: float) -> Part:
    """A pane between two profile points, across the vehicle (windscreen, rear window)."""
    direction = high - low
    outward = np.array([direction[1], -direction[0]])
    outward *= np.sign(outward[0] * (low[0] + high[0] - 0.4)) or 1.0
    outward /= np.linalg.norm(outward)
    ends = np.stack([_between(low, high, 0.1), _between(low, high, 0.9)])
    half = width(ends[:, 0], ends[:, 1]) * inset
    ends = ends + 0.004 * outward
    corners = [(ends[i, 0], s * half[i], ends[i, 1]) for i, s in ((0, -1), (0, 1), (1, 1), (1, -1))]
    return plate(corners, colour, (outward[0], 0, outward[1]), 2)


def _side_panes(corners: np.ndarray, cuts: list[float], width: Width, colour: Colour) -> list[Part]:
    """Side windows: a quadrilateral (4, 2) from rear foot over the top to front foot, cut up."""
    middle = corners.mean(axis=0)
    quad = middle + (corners - middle) * [0.93, 0.78]
    parts = []
    for start, stop in zip([0.0, *cuts], [*cuts, 1.0], strict=True):
        first, last = start + 0.02, stop - 0.02
        outline = np.array(
            [_between(quad[0], quad[3], first), _between(quad[1], quad[2], first),
             _between(quad[1], quad[2], last), _between(quad[0], quad[3], last)]
        )  # fmt: skip
        half = width(outline[:, 0], outline[:, 1]) + 0.006
        for side in (1, -1):
            points = np.stack([outline[:, 0], side * half, outline[:, 1]], axis=1)
            parts.append(plate(points, colour, (0, side, 0), 2))
    return parts


def _ends(length: float, height: float, half: float, low: float, dark: Colour) -> list[Part]:
    """Head and tail lamps, plates and a grille, on the front and rear of a car or van."""
    parts: list[Part] = []
    for end, lamp in ((1, (215.0, 225.0, 230.0)), (-1, (30.0, 25.0, 165.0))):
        face = end * (0.5 * length + 0.004)
        level = height * (0.43 if end > 0 else 0.53)
        for side in (1, -1):
            inner, outer = side * 0.58 * half, side * 0.86 * half
            spots = [
                (face, inner, level),
                (face, outer, level),
                (face, outer, level + 0.13),
                (face, inner, level + 0.13),
            ]
            parts.append(plate(spots, lamp, (end, 0, 0.2), 2))
        for span, bottom, top, colour in (
            (0.27, low + 0.2, low + 0.32, (205.0, 215.0, 215.0)),
            (0.8, low + 0.02, low + 0.14, dark),
        ):
            spots = [
                (face, -span * half, bottom),
                (face, span * half, bottom),
                (face, span * half, top),
                (face, -span * half, top),
            ]
            parts.append(plate(spots, colour, (end, 0, 0), 2))
    return parts


def _road_vehicle(
    rng: np.random.Generator, view: str, length: float, height: float, width: float, panes: bool
) -> tuple[Part, ...]:
    """A car or van: swept body, glass, lamps, mirrors and four wheels."""
    shares, (foot_r, roof_r, roof_f, foot_f) = _SIDE_VIEWS[view]
    profile = np.array(shares) + np.array([rng.normal(0, 0.008), 0])
    profile[1:-1] += rng.normal(0, 0.009, (len(shares) - 2, 2))
    profile *= [length, height / profile[:, 1].max()]
    belt, half = float(profile[foot_f, 1]), width / 2
    shape = _width(half, belt, height, rng.uniform(0.72, 0.8) if panes else 0.86, length, 0.12)
    paint = random_paint(rng)
    glass = tuple(c * rng.uniform(0.6, 1.4) for c in GLASS)
    parts = extrude(_rounded(profile), shape, paint)

    screen = (profile[foot_f], profile[roof_f])
    parts.append(_across(*screen, shape, glass, 0.86))
    if panes:
        parts.append(_across(profile[foot_r], profile[roof_r], shape, glass, 0.82))
        house = profile[[foot_r, roof_r, roof_f, foot_f]]
        cuts = [0.33, 0.66] if view in ("estate", "suv", "minibus") else [rng.uniform(0.42, 0.55)]
        parts += _side_panes(house, [] if view == "pickup" else cuts, shape, glass)
    else:
        back = _between(profile[roof_f], profile[roof_r], 0.28)
        house = np.array(
            [[back[0], belt], [back[0], profile[roof_f, 1]], profile[roof_f], profile[foot_f]]
        )
        parts += _side_panes(house, [], shape, glass)
    dark = tuple(0.35 * c for c in paint)
    low = float(profile[0, 1])
    parts += _ends(length, height, half, low, dark)
    along = profile[foot_f, 0] - 0.06 * length
    for side in (1, -1):
        mirror = [
            [along, side * (half + 0.02), belt + 0.05],
            [along, side * (half + 0.14), belt + 0.08],
        ]
        parts.append(limb(mirror, 0.065, paint, layer=1))
        sill = [
            (s * 0.46 * length, side * (half * 0.97), low + d)
            for s, d in ((-1, 0), (-1, 0.07), (1, 0.07), (1, 0))
        ]
        parts.append(plate(sill, dark, (0, side, 0), 2))
    radius = rng.uniform(0.3, 0.335) if height < 1.6 else rng.uniform(0.34, 0.38)
    rim_grey = rng.uniform(90, 200)
    axle = (-rng.uniform(0.275, 0.3) * length, rng.uniform(0.295, 0.32) * length)
    for along in axle:
        for side in (1, -1):
            parts += wheel(along, side * (half - 0.02), radius, 0.21, (rim_grey,) * 3)
    parts += block(
        (axle[0], -half * 0.6, low - 0.03),
        (axle[1], half * 0.6, low + 0.1),
        TYRE,
        layer=0,
        shaded=False,
    )
    return tuple(parts)


def car(rng: np.random.Generator) -> Solid:
    """A saloon, hatchback, estate, SUV or pick-up."""
    names = list(_CAR_SIZES)
    name = names[rng.choice(len(names), p=[_CAR_SIZES[n][0] for n in names])]
    _, short, long_, low, high = _CAR_SIZES[name]
    size = (rng.uniform(short, long_), rng.uniform(low, high), rng.uniform(1.68, 1.88))
    return Solid(CAR, _road_vehicle(rng, name, *size, panes=True))


def van(rng: np.random.Generator) -> Solid:
    """A delivery van or a minibus."""
    if rng.random() < 0.5:
        size = (rng.uniform(4.8, 6.2), rng.uniform(2.1, 2.7), rng.uniform(1.9, 2.05))
        return Solid(VAN, _road_vehicle(rng, "delivery", *size, panes=False))
    size = (rng.uniform(4.4, 5.2), rng.uniform(1.85, 2.1), rng.uniform(1.82, 1.98))
    return Solid(VAN, _road_vehicle(rng, "minibus", *size, panes=True))
