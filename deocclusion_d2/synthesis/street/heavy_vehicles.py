"""Silhouettes of trucks, trams, and KINS's "misc" (caravans, tractors).

Every public function draws one object at random and returns a `Solid`. Lengths are metres; profiles
are (forward, up).
"""

from __future__ import annotations

import numpy as np

from .categories import MISC, TRAM, TRUCK
from .solids import GLASS, TYRE, Part, Solid, block, extrude, limb, plate, wheel
from .vehicles import Colour, random_paint

_STEEL = (60.0, 60.0, 62.0)


def _panel(
    along: tuple[float, float], up: tuple[float, float], half: float, colour: Colour, group: int
) -> list[Part]:
    """A rectangle on both sides of a body (window, stripe)."""
    parts = []
    for side in (1, -1):
        spots = [
            (along[i], side * (half + 0.006), up[j]) for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))
        ]
        parts.append(plate(spots, colour, (0, side, 0), 2, group))
    return parts


def _front_panel(
    face: float, up: tuple[float, float], half: float, colour: Colour, group: int
) -> Part:
    """A rectangle across the front (``face`` > 0) or rear of a body."""
    spots = [(face, -half, up[0]), (face, half, up[0]), (face, half, up[1]), (face, -half, up[1])]
    return plate(spots, colour, (np.sign(face), 0, 0), 2, group)


def truck(rng: np.random.Generator) -> Solid:
    """A rigid truck or a tractor with trailer: cab, gap, box or open load, frame, wheels."""
    jointed = rng.random() < 0.25
    load = rng.uniform(8.0, 10.5) if jointed else rng.uniform(3.8, 7.0)
    cab_length, gap = rng.uniform(1.7, 2.2), rng.uniform(0.25, 0.6)
    deck, half = rng.uniform(0.95, 1.15), rng.uniform(1.15, 1.25)
    cab_top = rng.uniform(2.4, 3.0) + (0.4 if jointed else 0.0)
    total = load + gap + cab_length
    rear, nose = -total / 2, total / 2
    cab_rear = nose - cab_length
    paint, cargo = random_paint(rng), random_paint(rng)

    slant = rng.uniform(0.08, 0.3)
    outline = np.array(
        [(cab_rear, 0.5), (cab_rear, cab_top - 0.1), (cab_rear + 0.3, cab_top),
         (nose - slant - 0.1, cab_top - 0.08),
         (nose - slant, cab_top - 0.3), (nose - 0.02, 1.45), (nose, 0.6), (nose - 0.08, 0.42)]
    )  # fmt: skip
    parts = extrude(outline, lambda a, h: np.full_like(a, half - 0.04), paint, group=0)
    glass = tuple(c * rng.uniform(0.7, 1.3) for c in GLASS)
    parts += _panel(
        (cab_rear + 0.65, nose - slant - 0.12), (1.6, cab_top - 0.4), half - 0.04, glass, 0
    )
    tilt = (0.97, 0, 0.2)
    low, high = nose - 0.02 - 0.1 * slant, nose - slant * 0.95
    screen = [
        (low, -0.88 * half, 1.55),
        (low, 0.88 * half, 1.55),
        (high, 0.88 * half, cab_top - 0.4),
        (high, -0.88 * half, cab_top - 0.4),
    ]
    parts.append(plate([(x + 0.02, y, z) for x, y, z in screen], glass, tilt, 2, 0))
    parts.append(_front_panel(nose + 0.005, (0.75, 1.2), 0.7 * half, _STEEL, 0))
    for side in (1, -1):
        arm = [[nose - 0.25, side * (half + 0.02), 2.05], [nose - 0.1, side * (half + 0.2), 2.0]]
        parts.append(limb([*arm, [nose - 0.1, side * (half + 0.2), 1.6]], 0.06, _STEEL, group=0))

    back = cab_rear - gap
    kind = rng.random()
    if jointed or kind < 0.6:  # box
        top = rng.uniform(2.9, 3.75)
        parts += block((rear, -half, deck), (back, half, top), cargo, group=1)
        if rng.random() < 0.5:
            stripe = random_paint(rng)
            parts += _panel((rear + 0.3, back - 0.3), (1.6, 2.3), half, stripe, 1)
        parts.append(
            _front_panel(
                rear - 0.005,
                (deck + 0.1, top - 0.15),
                0.9 * half,
                tuple(0.85 * c for c in cargo),
                1,
            )
        )
    elif kind < 0.8:  # tipper
        top, overhang = rng.uniform(1.9, 2.5), rng.uniform(0.2, 0.5)
        body = np.array([(rear, deck + 0.3), (rear - 0.1, top - 0.2), (back - 0.1, top),
                         (back + 0.1, top + 0.25),
                         (back + 0.1, top + 0.1), (back - overhang, deck)])  # fmt: skip
        parts += extrude(body, lambda a, h: np.full_like(a, half - 0.02), cargo, group=1)
    else:  # flat bed with crates
        parts += block((rear, -half, deck), (back, half, deck + 0.14), cargo, group=1)
        parts += block((back - 0.1, -half, deck), (back, half, deck + 1.1), _STEEL, group=1)
        spot = rear + rng.uniform(0.1, 0.6)
        while spot < back - 1.0:
            size = min(rng.uniform(0.8, 1.8), back - 0.3 - spot)
            parts += block(
                (spot, -half + 0.15, deck + 0.14),
                (spot + size, half - 0.15, deck + rng.uniform(0.6, 1.6)),
                random_paint(rng),
                group=1,
                layer=2,
            )
            spot += size + rng.uniform(0.15, 0.8)
    parts += block(
        (rear + 0.1, -0.45, deck - 0.3),
        (cab_rear + 0.2, 0.45, deck),
        _STEEL,
        layer=0,
        group=2,
        shaded=False,
    )
    lamp = (30.0, 25.0, 150.0)
    parts.append(_front_panel(rear - 0.01, (deck - 0.16, deck - 0.02), 0.9 * half, lamp, 1))
    radius = rng.uniform(0.45, 0.52)
    axles = [nose - rng.uniform(0.75, 1.2), rear + rng.uniform(0.9, 1.5)]
    if jointed:
        axles += [axles[1] + 1.25, cab_rear - 0.6]
    elif load > 6:
        axles.append(axles[1] + 1.2)
    for along in axles:
        for side in (1, -1):
            parts += wheel(
                along, side * (half - 0.03), radius, 0.35, (105.0, 105.0, 108.0), group=2
            )
    return Solid(TRUCK, tuple(parts))


def tram(rng: np.random.Generator) -> Solid:
    """A tram of one to three sections with slanted noses, bogies, joints and a pantograph."""
    sections, section = int(rng.integers(1, 4)), rng.uniform(7.0, 9.5)
    joint, half = 0.5, rng.uniform(1.15, 1.3)
    top, low = rng.uniform(3.1, 3.5), rng.uniform(0.42, 0.6)
    total = sections * section + (sections - 1) * joint
    paint, roof, band = random_paint(rng), (150.0, 150.0, 148.0), random_paint(rng)
    glass = tuple(c * rng.uniform(0.7, 1.2) for c in GLASS)
    nose = rng.uniform(0.5, 1.1)
    parts: list[Part] = []
    for number in range(sections):
        start = -total / 2 + number * (section + joint)
        stop = start + section
        rear = nose if number == 0 else 0.0
        front = nose if number == sections - 1 else 0.0
        outline = np.array(
            [(start + 0.3 * rear, low), (start, low + 0.5 * (rear > 0)),
             (start + 0.1 * rear, 1.4), (start + 0.8 * rear, top - 0.15),
             (start + rear + 0.1, top), (stop - front - 0.1, top), (stop - 0.8 * front, top - 0.15),
             (stop - 0.1 * front, 1.4), (stop, low + 0.5 * (front > 0)), (stop - 0.3 * front, low)]
        )  # fmt: skip

        def width(along: np.ndarray, up: np.ndarray, ends: float = total / 2) -> np.ndarray:
            return half * (1 - 0.3 * np.clip((np.abs(along) - ends + 1.0) / 1.0, 0, 1) ** 2)

        parts += extrude(outline, width, paint, group=number)
        parts += _panel(
            (start + 1.1 * rear + 0.2, stop - 1.1 * front - 0.2),
            (low + 0.1, low + 0.4),
            half,
            band,
            number,
        )
        count = int(section // 1.5)
        left, right = start + 1.2 * rear + 0.3, stop - 1.2 * front - 0.3
        pitch = (right - left) / count
        for pane in range(count):
            span = (left + pane * pitch + 0.1, left + (pane + 1) * pitch - 0.1)
            bottom = 0.75 if pane % 3 == 1 else 1.5
            parts += _panel(span, (bottom, top - 0.65), half, glass, number)
        for end, size, edge in ((-1, rear, start), (1, front, stop)):
            if size:
                pane_x = (edge - end * 0.12 * size, edge - end * 0.75 * size)
                spots = [
                    (pane_x[0], -0.6 * half, 1.5),
                    (pane_x[0], 0.6 * half, 1.5),
                    (pane_x[1], 0.72 * half, top - 0.35),
                    (pane_x[1], -0.72 * half, top - 0.35),
                ]
                parts.append(
                    plate(
                        [(x + end * 0.02, y, z) for x, y, z in spots],
                        glass,
                        (end, 0, 0.3),
                        2,
                        number,
                    )
                )
        for share in (0.22, 0.78):
            middle = start + share * section
            parts += block(
                (middle - 0.95, -half + 0.15, 0.02),
                (middle + 0.95, half - 0.15, low + 0.1),
                TYRE,
                layer=0,
                group=number,
                shaded=False,
            )
        if number:
            parts += block(
                (start - joint - 0.05, -half + 0.18, low + 0.15),
                (start + 0.05, half - 0.18, top - 0.25),
                _STEEL,
                layer=0,
                group=number,
                shaded=False,
            )
        unit = (start + 0.3 * section, start + 0.62 * section)
        parts += block(
            (unit[0], -0.7, top), (unit[1], 0.7, top + rng.uniform(0.15, 0.35)), roof, group=number
        )
    mast = -total / 2 + 0.72 * section
    elbow, contact = np.array([mast - 0.8, 0, top + 0.65]), np.array([mast + 0.1, 0, top + 1.3])
    parts.append(limb([[mast, 0, top], elbow], 0.045, _STEEL))
    parts.append(limb([elbow, contact], 0.04, _STEEL))
    parts.append(limb([contact + [0, 0.75, 0], contact - [0, 0.75, 0]], 0.05, _STEEL))
    return Solid(TRAM, tuple(parts))


def misc(rng: np.random.Generator) -> Solid:
    """A caravan with its drawbar, or a farm tractor."""
    return _caravan(rng) if rng.random() < 0.6 else _tractor(rng)


def _caravan(rng: np.random.Generator) -> Solid:
    length, top, half = rng.uniform(3.8, 5.2), rng.uniform(2.4, 2.65), rng.uniform(1.0, 1.15)
    tone = rng.uniform(170, 235)
    outline = np.array(
        [
            (-0.46, 0.17),
            (-0.5, 0.5),
            (-0.47, 0.9),
            (-0.4, 1.0),
            (0.36, 1.0),
            (0.5, 0.62),
            (0.5, 0.35),
            (0.42, 0.17),
        ]
    )
    parts = extrude(outline * [length, top], lambda a, h: np.full_like(a, half), (tone, tone, tone))
    glass = tuple(c * 1.1 for c in GLASS)
    parts += _panel((-0.35 * length, -0.1 * length), (0.52 * top, 0.78 * top), half, glass, 0)
    parts += _panel((0.1 * length, 0.32 * length), (0.52 * top, 0.78 * top), half, glass, 0)
    parts += _panel(
        (-0.48 * length, 0.48 * length), (0.34 * top, 0.4 * top), half, random_paint(rng), 0
    )
    parts.append(_front_panel(-0.5 * length, (0.55 * top, 0.78 * top), 0.7 * half, glass, 0))
    for side in (1, -1):
        parts += wheel(-0.04 * length, side * (half - 0.04), 0.33, 0.2, (140.0,) * 3)
    parts.append(
        limb([[0.4 * length, 0, 0.48], [0.5 * length + 1.1, 0, 0.48]], 0.05, _STEEL, layer=0)
    )
    parts.append(
        limb(
            [[0.5 * length + 0.95, 0, 0.48], [0.5 * length + 0.95, 0, 0.08]], 0.06, _STEEL, layer=0
        )
    )
    return Solid(MISC, tuple(parts))


def _tractor(rng: np.random.Generator) -> Solid:
    paint = random_paint(rng)
    big, small = rng.uniform(0.72, 0.88), rng.uniform(0.42, 0.55)
    length, half = rng.uniform(3.5, 4.2), rng.uniform(0.9, 1.0)
    rear, front = -0.5 * length + big, 0.5 * length - small
    parts = block((rear + 0.5, -0.35, 0.75), (front + 0.35, 0.35, 1.45), paint, group=0)
    top = rng.uniform(2.4, 2.7)
    cab = np.array(
        [
            (rear - 0.5, 1.0),
            (rear - 0.45, top - 0.1),
            (rear - 0.2, top),
            (rear + 0.7, top - 0.03),
            (rear + 0.85, 1.3),
            (rear + 0.8, 0.8),
        ]
    )
    parts += extrude(cab, lambda a, h: np.full_like(a, 0.62), paint, group=1)
    parts += _panel((rear - 0.3, rear + 0.65), (1.4, top - 0.2), 0.62, GLASS, 1)
    parts.append(_front_panel(rear - 0.55, (1.4, top - 0.2), 0.52, GLASS, 1))
    spots = [
        (rear + 0.86, -0.5, 1.5),
        (rear + 0.86, 0.5, 1.5),
        (rear + 0.74, 0.5, top - 0.2),
        (rear + 0.74, -0.5, top - 0.2),
    ]
    parts.append(plate(spots, GLASS, (1, 0, 0.1), 2, 1))
    parts.append(limb([[front - 0.2, 0.28, 1.4], [front - 0.2, 0.28, 2.1]], 0.045, _STEEL, group=0))
    parts += block(
        (rear - 0.2, -0.5, 0.55), (front, 0.5, 0.85), _STEEL, layer=0, group=0, shaded=False
    )
    for side in (1, -1):
        parts += wheel(rear, side * half, big, 0.42, (60.0, 160.0, 190.0), group=2)
        parts += wheel(front, side * (half - 0.1), small, 0.3, (60.0, 160.0, 190.0), group=3)
    return Solid(MISC, tuple(parts))
