"""Solid objects made of simple parts, and their projection to polygons in the image.

Object frame (metres): ``forward``, ``right``, ``up``; the origin lies on the ground under the
object's middle. Arrays of object points have shape (N, 3) in that order. Colours are BGR, 0 to 255.

The silhouette of an object is the union of its projected parts; painting them in order, far ones
first, gives its picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .camera import Camera, Ground

_CIRCLE = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 12, False)), np.sin(np.linspace(0, 2 * np.pi, 12, False))],
    axis=1,
)

TYRE = (28, 27, 27)
GLASS = (70, 60, 52)


@dataclass(frozen=True)
class Part:
    """One piece of a solid: a flat plate, or the hull of points or of balls.

    Attributes:
        points: (N, 3) object points; the outline in order for a plate, any order for a hull.
        colour: BGR, 0 to 255.
        layer: parts of a higher layer are painted over those of a lower one of the same group.
        normal: outward direction (3,) of a plate; a plate that faces away is not painted. None for
            a plate seen from both sides, and for a hull.
        is_hull: whether the part is the convex hull of its projected points.
        radius: (N,) radius of a ball around every point, metres; None for points.
        group: parts of a group are painted together; the farthest group is painted first.
        opacity: 1 for a solid part, less where one sees through it (spokes).
    """

    points: np.ndarray
    colour: tuple[float, float, float]
    layer: int = 1
    normal: np.ndarray | None = None
    is_hull: bool = False
    radius: np.ndarray | None = None
    group: int = 0
    opacity: float = 1.0


@dataclass(frozen=True)
class Solid:
    """An object of the street.

    Attributes:
        category_id: KINS category.
        parts: what it is made of.
    """

    category_id: int
    parts: tuple[Part, ...]

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner (3,) of the object's box, in object coordinates (metres)."""
        low = np.min([(p.points - _ball(p)).min(axis=0) for p in self.parts], axis=0)
        high = np.max([(p.points + _ball(p)).max(axis=0) for p in self.parts], axis=0)
        return low, high


@dataclass(frozen=True)
class Patch:
    """A projected part: ``polygon`` (M, 2) in pixels (column, row), its shaded BGR colour.

    ``painted`` is False for a plate that faces away from the camera, which still counts for the
    silhouette.
    """

    polygon: np.ndarray
    colour: tuple[float, float, float]
    opacity: float
    painted: bool


def _ball(part: Part) -> np.ndarray | float:
    return 0.0 if part.radius is None else part.radius[:, None]


def plate(
    points: Sequence[Sequence[float]] | np.ndarray,
    colour: tuple[float, float, float],
    normal: Sequence[float] | None = None,
    layer: int = 1,
    group: int = 0,
) -> Part:
    """A flat polygon; see `Part` for the arguments."""
    direction = None if normal is None else np.asarray(normal, dtype=np.float64)
    return Part(np.asarray(points, dtype=np.float64), colour, layer, direction, group=group)


def limb(
    points: Sequence[Sequence[float]] | np.ndarray,
    radius: float | Sequence[float],
    colour: tuple[float, float, float],
    layer: int = 1,
    group: int = 0,
) -> Part:
    """The hull of balls: a ball for one point, a (tapered) rod for two, a rounded body for more."""
    array = np.asarray(points, dtype=np.float64)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(array),)).copy()
    return Part(array, colour, layer, is_hull=True, radius=radii, group=group)


def block(
    low: Sequence[float],
    high: Sequence[float],
    colour: tuple[float, float, float],
    layer: int = 1,
    group: int = 0,
    shaded: bool = True,
) -> list[Part]:
    """A box between two corners: six plates, or one hull of a single tone where not ``shaded``."""
    low_, high_ = np.asarray(low, float), np.asarray(high, float)
    if not shaded:
        corners = np.stack(np.meshgrid(*np.stack([low_, high_], axis=1), indexing="ij"), -1)
        return [Part(corners.reshape(-1, 3), colour, layer, is_hull=True, group=group)]
    outline = np.array(
        [[low_[0], low_[2]], [low_[0], high_[2]], [high_[0], high_[2]], [high_[0], low_[2]]]
    )
    middle, half = (low_[1] + high_[1]) / 2, (high_[1] - low_[1]) / 2
    parts = extrude(outline, lambda a, h: np.full_like(a, half), colour, layer, group)
    shift = np.array([0.0, middle, 0.0])
    return [Part(p.points + shift, p.colour, p.layer, p.normal, group=group) for p in parts]


def extrude(
    profile: np.ndarray,
    half_width: Callable[[np.ndarray, np.ndarray], np.ndarray],
    colour: tuple[float, float, float],
    layer: int = 1,
    group: int = 0,
) -> list[Part]:
    """Sweeps a side view across the object's width.

    Args:
        profile: (N, 2) side outline, (forward, up) in metres.
        half_width: gives the half width (N,) at (forward, up); it may narrow towards the roof and
            ends.
        colour: BGR, 0 to 255.
        layer: see `Part`.
        group: see `Part`.

    Returns:
        The two side plates and one plate per edge of the profile.
    """
    along, up = profile[:, 0], profile[:, 1]
    half = half_width(along, up)
    right = np.stack([along, half, up], axis=1)
    left = np.stack([along, -half, up], axis=1)
    parts = [
        plate(right, colour, (0, 1, 0), layer, group),
        plate(left, colour, (0, -1, 0), layer, group),
    ]
    step = np.roll(profile, -1, axis=0) - profile
    turn = np.sign(np.sum(along * np.roll(up, -1) - np.roll(along, -1) * up))
    for i, j in zip(range(len(profile)), np.roll(np.arange(len(profile)), -1), strict=True):
        normal = np.array([step[i, 1], 0.0, -step[i, 0]]) * turn
        length = float(np.linalg.norm(normal))
        if length > 1e-6:
            parts.append(
                plate([left[i], right[i], right[j], left[j]], colour, normal / length, layer, group)
            )
    return parts


def wheel(
    along: float,
    side: float,
    radius: float,
    width: float,
    rim: tuple[float, float, float],
    group: int = 0,
) -> list[Part]:
    """A wheel that stands on the ground, its outer face ``side`` metres right of the middle."""
    angle = np.linspace(0, 2 * np.pi, 18, False)
    sign = float(np.sign(side))

    def circle(share: float, offset: float) -> np.ndarray:
        ring = np.zeros((len(angle), 3))
        ring[:, 0] = along + share * radius * np.cos(angle)
        ring[:, 1] = side + offset
        ring[:, 2] = radius + share * radius * np.sin(angle)
        return ring

    tread = Part(
        np.concatenate([circle(1.0, 0.0), circle(1.0, -sign * width)]),
        TYRE,
        0,
        is_hull=True,
        group=group,
    )
    face = (0.0, sign, 0.0)
    return [
        tread,
        plate(circle(1.0, 0.004 * sign), TYRE, face, 3, group),
        plate(circle(0.62, 0.008 * sign), rim, face, 4, group),
    ]


def to_world(
    points: np.ndarray, x: float, z: float, yaw: float, ground: Ground, raised: float
) -> np.ndarray:
    """Object points (N, 3) to world points (N, 3).

    Args:
        points: (forward, right, up) in metres.
        x: position of the object's origin, metres to the right.
        z: position of the object's origin, metres of depth.
        yaw: heading in radians; 0 drives away from the camera, pi / 2 to the right.
        ground: the street; objects follow its slope.
        raised: height over the road of what the object stands on (a pavement), metres.
    """
    sine, cosine = np.sin(yaw), np.cos(yaw)
    world = np.empty_like(points)
    world[:, 0] = x + points[:, 0] * sine + points[:, 1] * cosine
    world[:, 2] = z + points[:, 0] * cosine - points[:, 1] * sine
    world[:, 1] = points[:, 2] + ground.road_height(world[:, 0], world[:, 2]) + raised
    return world


def project_solid(
    solid: Solid,
    place: Callable[[np.ndarray], np.ndarray],
    camera: Camera,
    light: np.ndarray,
) -> list[Patch]:
    """Projects a solid to patches in painting order (the farthest first).

    Args:
        solid: the object.
        place: object points (N, 3) to world points (N, 3).
        camera: the camera.
        light: (3,) unit vector towards the light, world frame.
    """
    counts = [len(part.points) for part in solid.parts]
    world = place(np.concatenate([part.points for part in solid.parts]))
    pixels = camera.project(world)
    cuts = np.cumsum(counts)[:-1]
    frame = place(np.concatenate([np.zeros((1, 3)), np.eye(3)]))
    axes = frame[1:] - frame[0]
    eye = np.array([0.0, camera.height, 0.0])

    patches: list[tuple[int, int, float, Patch]] = []
    for part, spots, flat in zip(
        solid.parts, np.split(world, cuts), np.split(pixels, cuts), strict=True
    ):
        polygon, painted, shade = flat, True, 0.85
        if part.radius is not None:
            radius = part.radius * camera.focal / np.maximum(spots[:, 2], 0.8)
            polygon = (flat[:, None] + radius[:, None, None] * _CIRCLE).reshape(-1, 2)
        if part.is_hull:
            polygon = cv2.convexHull(polygon.astype(np.float32))[:, 0].astype(np.float64)
        if part.normal is not None:
            normal = part.normal @ axes
            normal /= np.linalg.norm(normal)
            painted = bool(normal @ (eye - spots.mean(axis=0)) > 0)
            shade = 0.62 + 0.42 * max(0.0, float(normal @ light)) + 0.06 * float(normal[1])
        tone = tuple(float(min(255.0, channel * shade)) for channel in part.colour)
        distance = float(np.linalg.norm(spots.mean(axis=0) - eye))
        patches.append(
            (part.group, part.layer, distance, Patch(polygon, tone, part.opacity, painted))
        )

    near: dict[int, list[float]] = {}
    for group, _, distance, _ in patches:
        near.setdefault(group, []).append(distance)
    group_distance = {group: float(np.mean(values)) for group, values in near.items()}
    patches.sort(key=lambda item: (-group_distance[item[0]], item[1], -item[2]))
    return [patch for *_, patch in patches]
