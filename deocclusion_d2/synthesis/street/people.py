"""Silhouettes of people: pedestrians, cyclists and riders of motor scooters, with jointed limbs.

Every function draws one object at random and returns a `Solid`. Lengths are metres.
"""

from __future__ import annotations

import numpy as np

from .categories import CYCLIST, PEDESTRIAN, RIDER
from .solids import TYRE, Part, Solid, block, limb, plate

Colour = tuple[float, float, float]


def random_cloth(rng: np.random.Generator) -> Colour:
    """A colour of clothing, BGR: mostly dark and dull, sometimes bright."""
    if rng.random() < 0.3:
        return tuple(float(c) for c in rng.uniform(30, 230, 3))
    grey = rng.uniform(25, 170)
    return tuple(float(c) for c in np.clip(grey + rng.normal(0, 18, 3), 10, 235))


def _random_skin(rng: np.random.Generator) -> Colour:
    tone = rng.uniform(0.35, 1.0)
    return (150 * tone, 180 * tone, 225 * tone)


def _swing(start: np.ndarray, length: float, angle: float, sideways: float = 0.0) -> np.ndarray:
    """End of a bone that hangs from ``start``, swung by ``angle`` forward and ``sideways`` out."""
    return start + length * np.array(
        [np.sin(angle), np.sin(sideways), -np.cos(angle) * np.cos(sideways)]
    )


def _bend(
    start: np.ndarray, end: np.ndarray, upper: float, lower: float, towards: np.ndarray
) -> np.ndarray:
    """Joint between two bones from ``start`` to ``end`` that bends to the side of ``towards``."""
    span = end - start
    distance = min(float(np.linalg.norm(span)), 0.999 * (upper + lower))
    axis = span / max(float(np.linalg.norm(span)), 1e-6)
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    out = towards - (towards @ axis) * axis
    out /= max(float(np.linalg.norm(out)), 1e-6)
    return start + along * axis + np.sqrt(max(upper**2 - along**2, 0.0)) * out


def _head(
    centre: np.ndarray, size: float, rng: np.random.Generator, helmet: Colour | None
) -> list[Part]:
    skin = _random_skin(rng)
    hair = tuple(float(c) for c in rng.uniform(15, 90) * np.array([0.7, 0.85, 1.0]))
    up = np.array([0.0, 0.0, size])
    parts = [limb([centre - 0.45 * up, centre + 0.25 * up], [0.72 * size, 0.85 * size], skin)]
    crown = [centre + 0.4 * up - [0.25 * size, 0, 0], centre + 0.45 * up + [0.12 * size, 0, 0]]
    parts.append(
        limb(crown, 0.78 * size if helmet is None else 0.95 * size, helmet or hair, layer=2)
    )
    if helmet is None and rng.random() < 0.3:  # long hair
        parts.append(
            limb(
                [centre - [0.4 * size, 0, 0], centre - [0.5 * size, 0, 1.4 * size]],
                0.6 * size,
                hair,
            )
        )
    return parts


def pedestrian(rng: np.random.Generator) -> Solid:
    """A standing or walking adult or child, with or without coat, skirt, bag or backpack."""
    size = rng.uniform(1.05, 1.45) if rng.random() < 0.14 else rng.normal(1.72, 0.09)
    girth = rng.uniform(0.85, 1.25)
    walking = rng.random() < 0.7
    stride = rng.uniform(0.25, 0.52) if walking else rng.uniform(-0.06, 0.06)
    spread = 0.03 if walking else rng.uniform(0.03, 0.16)
    trousers, top, shoes = random_cloth(rng), random_cloth(rng), (35.0, 35.0, 40.0)
    skin = _random_skin(rng)

    hip_up, parts, soles = 0.52 * size, [], []
    legs: list[Part] = []
    for side, phase in ((1.0, 1.0), (-1.0, -1.0)):
        hip = np.array([0.0, side * 0.052 * size, hip_up])
        knee = _swing(hip, 0.25 * size, stride * phase, side * spread)
        shin_angle = stride * phase - (rng.uniform(0.15, 0.7) if walking and phase < 0 else 0.05)
        ankle = _swing(knee, 0.235 * size, shin_angle, side * spread)
        toe = ankle + size * np.array(
            [0.095, side * 0.012, 0.02 if phase > 0 and walking else -0.012]
        )
        legs += [
            limb([hip, knee], [0.05 * size * girth, 0.038 * size * girth], trousers),
            limb([knee, ankle], [0.038 * size * girth, 0.026 * size], trousers),
            limb(
                [ankle - [0.01 * size, 0, 0.008 * size], toe], [0.024 * size, 0.018 * size], shoes
            ),
        ]
        soles.append(min(ankle[2] - 0.032 * size, toe[2] - 0.018 * size))
    drop = np.array([0.0, 0.0, -min(soles)])

    lean = rng.uniform(0.0, 0.05) * size
    shoulder_up = 0.80 * size
    torso = [[0, 0.05 * size, hip_up], [0, -0.05 * size, hip_up]]
    torso += [[lean, s * 0.078 * size * girth, shoulder_up] for s in (1, -1)]
    parts.append(limb(torso, [0.062 * size * girth] * 2 + [0.05 * size] * 2, top))
    if rng.random() < 0.3:  # skirt or coat, down to the thighs or the knees
        hem = hip_up - rng.uniform(0.1, 0.24) * size
        flare = rng.uniform(0.09, 0.12) * size
        skirt = [[0, s * 0.05 * size, hip_up] for s in (1, -1)]
        skirt += [[f * 0.5 * flare, s * flare, hem] for s in (1, -1) for f in (1, -1)]
        parts.append(limb(skirt, 0.04 * size, top if rng.random() < 0.6 else random_cloth(rng)))

    pose = rng.random()
    hands = []
    for side, phase in ((1.0, -1.0), (-1.0, 1.0)):
        shoulder = np.array([lean, side * 0.112 * size * girth, shoulder_up - 0.015 * size])
        if pose < 0.72:
            angle = 1.1 * stride * phase + rng.normal(0, 0.08)
            elbow = _swing(shoulder, 0.17 * size, angle, side * rng.uniform(0.1, 0.35))
            hand = _swing(elbow, 0.16 * size, angle + rng.uniform(0.1, 0.6), side * 0.05)
        elif pose < 0.86 or side < 0:  # hands in the pockets, elbows out
            hand = np.array([0.04 * size, side * 0.1 * size, hip_up + 0.03 * size])
            elbow = _bend(
                shoulder, hand, 0.17 * size, 0.16 * size, np.array([-0.6, side * 1.0, 0.0])
            )
        else:  # one hand up: a telephone, a wave
            hand = np.array([0.1 * size, side * 0.11 * size, rng.uniform(0.82, 0.98) * size])
            elbow = _bend(shoulder, hand, 0.17 * size, 0.16 * size, np.array([0.5, side, -0.8]))
        sleeve = top if rng.random() < 0.75 else skin
        parts += [
            limb([shoulder, elbow], [0.036 * size, 0.029 * size], top),
            limb([elbow, hand], [0.028 * size, 0.021 * size], sleeve),
            limb([hand], 0.026 * size, skin),
        ]
        hands.append(hand)

    neck = np.array([lean, 0.0, shoulder_up])
    head = np.array([lean + 0.02 * size, 0.0, 0.925 * size])
    parts.append(limb([neck, head], 0.033 * size, skin))
    parts += _head(head, 0.062 * size, rng, None)
    parts += _luggage(rng, size, shoulder_up, hip_up, hands[0])
    moved = [
        Part(p.points + drop, p.colour, p.layer, p.normal, p.is_hull, p.radius)
        for p in legs + parts
    ]
    return Solid(PEDESTRIAN, tuple(moved))


def _luggage(
    rng: np.random.Generator, size: float, shoulder_up: float, hip_up: float, hand: np.ndarray
) -> list[Part]:
    """A backpack, a bag in the hand, a case on wheels, or (mostly) nothing."""
    kind, colour = rng.random(), random_cloth(rng)
    if kind < 0.18:
        pack = [
            [-0.12 * size, s * 0.05 * size, h]
            for s in (1, -1)
            for h in (shoulder_up - 0.03 * size, hip_up + 0.1 * size)
        ]
        return [limb(pack, 0.045 * size, colour)]
    if kind < 0.34:
        grip = np.array([hand[0], hand[1], hand[2] - 0.02 * size])
        low, high = (
            grip - [0.1 * size, 0.03 * size, 0.22 * size],
            grip + [0.1 * size, 0.03 * size, -0.05 * size],
        )
        return [
            *block(low, high, colour, shaded=False),
            limb([grip, grip - [0, 0, 0.08 * size]], 0.008 * size, colour),
        ]
    return []


def _bicycle(rng: np.random.Generator, radius: float, base: float, colour: Colour) -> list[Part]:
    """Wheels one sees through, a diamond frame, fork, saddle and handle bar."""
    angle = np.linspace(0, 2 * np.pi, 22, False)
    ring = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], axis=1)
    parts: list[Part] = []
    for along in (-base / 2, base / 2):
        hub = np.array([along, 0.0, radius])
        slab = np.concatenate([hub + radius * ring + [0, off, 0] for off in (0.022, -0.022)])
        parts.append(Part(slab, (90.0, 92.0, 95.0), 0, is_hull=True, opacity=0.35))
        for off in (0.022, -0.022):
            band = np.concatenate([radius * ring, (radius - 0.05) * ring[::-1]])
            closed = np.concatenate([band[:22], band[:1], band[21:22], band[22:], band[22:23]])
            parts.append(plate(hub + closed + [0, off, 0], TYRE))
    rear, front = np.array([-base / 2, 0, radius]), np.array([base / 2, 0, radius])
    crank, seat = np.array([-0.08, 0, 0.29]), np.array([-0.26, 0, 0.82])
    stem = np.array([base / 2 - 0.16, 0, 0.92])
    tubes = [(rear, crank), (rear, seat), (seat, crank), (crank, stem - [0, 0, 0.15])]
    tubes += [(seat - [0, 0, 0.08], stem - [0, 0, 0.08]), (stem + [0, 0, 0.1], front)]
    parts += [limb(tube, 0.02, colour) for tube in tubes]
    parts.append(limb([seat + [-0.1, 0, 0.08], seat + [0.12, 0, 0.08]], 0.04, (30.0, 30.0, 30.0)))
    bar = stem + [0, 0, 0.1]
    parts.append(limb([bar + [0, 0.28, 0], bar + [0, -0.28, 0]], 0.018, (60.0, 60.0, 60.0)))
    if rng.random() < 0.3:  # basket or pannier
        low, high = (-base / 2 - 0.2, -0.18, 0.5), (-base / 2 + 0.15, 0.18, 0.78)
        parts += block(low, high, random_cloth(rng), shaded=False)
    return parts


def _seated(
    rng: np.random.Generator,
    hip: np.ndarray,
    grip: np.ndarray,
    feet: tuple[np.ndarray, np.ndarray],
    lean: float,
    helmet: Colour | None,
) -> list[Part]:
    """A person who sits at ``hip``, holds ``grip`` (and its mirror image), feet on ``feet``."""
    size = rng.normal(1.73, 0.07)
    trousers, top, skin = random_cloth(rng), random_cloth(rng), _random_skin(rng)
    back = 0.29 * size * np.array([np.sin(lean), 0, np.cos(lean)])
    shoulders = hip + back
    parts = [
        limb(
            [
                hip + [0, 0.05, 0.02],
                hip + [0, -0.05, 0.02],
                shoulders + [0, 0.13, 0],
                shoulders - [0, 0.13, 0],
            ],
            [0.12, 0.12, 0.085, 0.085],
            top,
        )
    ]
    for side, foot in zip((1.0, -1.0), feet, strict=True):
        joint = hip + [0, side * 0.09, 0]
        knee = _bend(joint, foot, 0.255 * size, 0.26 * size, np.array([1.0, side * 0.25, 0.3]))
        parts += [
            limb([joint, knee], [0.09, 0.065], trousers),
            limb([knee, foot], [0.065, 0.042], trousers),
            limb(
                [foot - [0.05, 0, 0.02], foot + [0.15, 0, -0.02]], [0.04, 0.03], (35.0, 35.0, 40.0)
            ),
        ]
        shoulder, hand = shoulders + [0, side * 0.18, -0.02], grip * [1, side, 1]
        elbow = _bend(shoulder, hand, 0.17 * size, 0.16 * size, np.array([-0.3, side * 0.8, -0.6]))
        parts += [
            limb([shoulder, elbow], [0.06, 0.048], top),
            limb([elbow, hand], [0.046, 0.036], top),
        ]
    head = shoulders + np.array([0.06 + 0.1 * np.sin(lean), 0, 0.125 * size])
    parts.append(limb([shoulders, head], 0.055, skin))
    return parts + _head(head, 0.107, rng, helmet)


def cyclist(rng: np.random.Generator) -> Solid:
    """A person on a bicycle; wheels and frame count as filled, as annotators draw them."""
    radius, base = rng.uniform(0.31, 0.36), rng.uniform(1.0, 1.12)
    turn = rng.uniform(0, 2 * np.pi)
    reach = 0.17 * np.array([np.cos(turn), 0, np.sin(turn)])
    crank = np.array([-0.08, 0.0, 0.31])
    feet = (crank + reach + [0, 0.11, 0.02], crank - reach - [0, 0.11, -0.02])
    parts = _bicycle(rng, radius, base, random_cloth(rng))
    parts += [limb([crank + reach, crank], 0.015, TYRE), limb([crank - reach, crank], 0.015, TYRE)]
    helmet = random_cloth(rng) if rng.random() < 0.5 else None
    grip = np.array([base / 2 - 0.16, 0.26, 1.04])
    parts += _seated(rng, np.array([-0.3, 0.0, 0.96]), grip, feet, rng.uniform(0.2, 0.75), helmet)
    return Solid(CYCLIST, tuple(parts))


def rider(rng: np.random.Generator) -> Solid:
    """A person on a motor scooter: small thick wheels, leg shield, seat box and mirrors."""
    radius, base, colour = rng.uniform(0.22, 0.27), rng.uniform(1.2, 1.35), random_cloth(rng)
    angle = np.linspace(0, 2 * np.pi, 18, False)
    ring = radius * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
    parts: list[Part] = []
    for along in (-base / 2, base / 2):
        slab = np.concatenate([ring + [along, off, radius] for off in (0.06, -0.06)])
        parts.append(Part(slab, TYRE, 0, is_hull=True))
    half, top = base / 2, rng.uniform(0.68, 0.76)
    parts.append(
        limb(
            [
                [-half - 0.22, 0, top - 0.08],
                [-0.12, 0, top - 0.1],
                [-0.2, 0, 0.32],
                [-half + 0.1, 0, 0.42],
            ],
            0.13,
            colour,
        )
    )
    parts.append(limb([[-half - 0.2, 0, top], [-0.05, 0, top]], 0.08, (35.0, 35.0, 35.0)))
    parts.append(limb([[-0.15, 0, 0.27], [half - 0.3, 0, 0.25]], 0.1, colour))
    parts.append(
        limb(
            [[half - 0.28, 0, 0.28], [half - 0.2, 0.08, 0.8], [half - 0.2, -0.08, 0.8]],
            0.08,
            colour,
        )
    )
    parts.append(limb([[half - 0.22, 0, 0.95], [half, 0, radius]], 0.05, colour))
    for side in (1, -1):
        grip = np.array([half - 0.26, side * 0.3, 1.0])
        parts += [
            limb([[half - 0.22, 0, 0.98], grip], 0.025, TYRE),
            limb([grip, grip + [0.05, side * 0.06, 0.22]], 0.012, TYRE),
        ]
        parts.append(limb([grip + [0.05, side * 0.06, 0.24]], 0.055, (60.0, 60.0, 60.0)))
    if rng.random() < 0.5:
        parts += block(
            (-half - 0.42, -0.19, top + 0.02),
            (-half - 0.06, 0.19, top + 0.4),
            random_cloth(rng),
            shaded=False,
        )
    feet = tuple(np.array([half - 0.38, side * 0.12, 0.38]) for side in (1, -1))
    grip = np.array([half - 0.26, 0.28, 1.0])
    parts += _seated(
        rng, np.array([-0.25, 0, top + 0.1]), grip, feet, rng.uniform(0.05, 0.3), random_cloth(rng)
    )
    return Solid(RIDER, tuple(parts))
