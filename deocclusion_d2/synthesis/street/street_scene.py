"""Composition of a street: which objects stand where, and which of two hides the other.

A scene is a camera, a ground and objects whose footprints do not overlap. Objects come in the
groups that make real streets crowded: parked rows, queues, oncoming and crossing traffic, groups of
people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .camera import Camera, Ground, sample_camera, sample_ground
from .heavy_vehicles import misc, tram, truck
from .people import cyclist, pedestrian, rider
from .solids import Patch, Solid, project_solid, to_world
from .vehicles import car, van

AWAY, TO_RIGHT, TOWARDS, TO_LEFT = 0.0, 0.5 * np.pi, np.pi, 1.5 * np.pi
"""Headings (yaw, radians)."""

MIN_DEPTH_M = 1.6
"""Objects that come closer to the camera than this are not placed."""


@dataclass(frozen=True)
class PlacedObject:
    """A solid with its place in the world.

    Attributes:
        solid: the object.
        x: metres to the right of the camera.
        z: metres in front of the camera.
        yaw: heading in radians; 0 faces away from the camera, pi / 2 to the right.
        raised: height of what it stands on over the road surface, metres.
    """

    solid: Solid
    x: float
    z: float
    yaw: float
    raised: float

    @cached_property
    def footprint(self) -> np.ndarray:
        """Corners (4, 2) of the box around the object, seen from above: (x, z) in metres."""
        low, high = self.solid.bounds
        local = np.array(
            [[low[0], low[1]], [low[0], high[1]], [high[0], high[1]], [high[0], low[1]]]
        )
        sine, cosine = np.sin(self.yaw), np.cos(self.yaw)
        return np.stack(
            [
                self.x + local[:, 0] * sine + local[:, 1] * cosine,
                self.z + local[:, 0] * cosine - local[:, 1] * sine,
            ],
            axis=1,
        )

    def project(self, camera: Camera, ground: Ground, light: np.ndarray) -> list[Patch]:
        """The object's patches in painting order; see `project_solid`."""
        return project_solid(
            self.solid,
            lambda points: to_world(points, self.x, self.z, self.yaw, ground, self.raised),
            camera,
            light,
        )


@dataclass
class StreetScene:
    """What the renderer needs to know about a street.

    Attributes:
        camera: the camera.
        ground: the ground.
        light: (3,) unit vector towards the sun, world frame.
        crossing: depth of the middle of a crossing road, metres; None if there is none.
        pavement: widths of the left and right pavement, metres.
        objects: the placed objects, in no particular order.
    """

    camera: Camera
    ground: Ground
    light: np.ndarray
    crossing: float | None
    pavement: tuple[float, float]
    objects: list[PlacedObject] = field(default_factory=list)

    @property
    def walkable(self) -> tuple[float, float]:
        """Leftmost and rightmost x where a person stands on a pavement (metres)."""
        return (
            self.ground.road_left - self.pavement[0] + 0.3,
            self.ground.road_right + self.pavement[1] - 0.3,
        )

    def in_open_view(self, x: float, z: float) -> bool:
        """Whether no house or tree that stands before the crossing can hide what is at (x, z)."""
        left, right = self.walkable
        widening = z / max(z - 6.5, 1.0)
        return left * widening < x < right * widening

    def add(
        self, solid: Solid, x: float, z: float, yaw: float, raised: float | None = None
    ) -> bool:
        """Places an object unless it is too near or stands in another; tells whether it did."""
        lift = self.ground.kerb_height(x) if raised is None else raised
        new = PlacedObject(solid, float(x), float(z), float(yaw), float(lift))
        if new.footprint[:, 1].min() < MIN_DEPTH_M:
            return False
        if any(_too_close(new.footprint, other.footprint) for other in self.objects):
            return False
        self.objects.append(new)
        return True


def _edge_gaps(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of ``second`` beyond every edge of ``first`` (4,), and of the camera (4,)."""
    edges = np.roll(first, -1, axis=0) - first
    normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offset = np.sum(normals * first, axis=1)
    inward = normals @ first.mean(axis=0) > offset
    normals[inward] *= -1
    offset[inward] *= -1
    return (normals @ second.T).min(axis=1) - offset, -offset


def _gap(first: np.ndarray, second: np.ndarray) -> tuple[float, bool]:
    """Widest gap between two rectangles (4, 2), metres, negative if they overlap.

    Also tells whether the first is on the camera's side of that gap: then only the first can hide
    the second, never the other way round.
    """
    over_first, camera_first = _edge_gaps(first, second)
    over_second, camera_second = _edge_gaps(second, first)
    best_first, best_second = int(over_first.argmax()), int(over_second.argmax())
    if over_first[best_first] >= over_second[best_second]:
        gap = float(over_first[best_first])
        return gap, bool(camera_first[best_first] < gap / 2)
    gap = float(over_second[best_second])
    return gap, bool(camera_second[best_second] > gap / 2)


def _too_close(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two rectangles (4, 2) overlap or nearly touch."""
    apart = (first.min(axis=0) > second.max(axis=0)) | (second.min(axis=0) > first.max(axis=0))
    return not apart.any() and _gap(first, second)[0] < 0.04


def front_to_back(objects: list[PlacedObject]) -> list[int]:
    """Indices of the objects, those in front first.

    Of two objects that a line on the ground separates, the one on the camera's side comes first.
    This is right for long objects too, where comparing the depths of the middles is not. Rare
    cycles of three or more are cut at the object nearest to the camera.
    """
    count = len(objects)
    prints = [item.footprint for item in objects]
    span = [(np.min(p[:, 0] / p[:, 1]), np.max(p[:, 0] / p[:, 1])) for p in prints]
    behind: list[set[int]] = [set() for _ in range(count)]  # what must come before
    for i in range(count):
        for j in range(i + 1, count):
            if span[i][1] < span[j][0] or span[j][1] < span[i][0]:
                continue
            first_in_front = _gap(prints[i], prints[j])[1]
            (behind[j] if first_in_front else behind[i]).add(i if first_in_front else j)
    nearest = [float(np.linalg.norm(p, axis=1).min()) for p in prints]
    order: list[int] = []
    left = set(range(count))
    while left:
        free = [i for i in left if not behind[i] & left] or list(left)
        pick = min(free, key=lambda i: (nearest[i], i))
        order.append(pick)
        left.remove(pick)
    return order


def _any_vehicle(rng: np.random.Generator, heavy: float = 0.07) -> Solid:
    draw = rng.random()
    if draw < heavy:
        return truck(rng)
    if draw < heavy + 0.1:
        return van(rng)
    return misc(rng) if draw > 0.985 else car(rng)


def _length(solid: Solid) -> float:
    low, high = solid.bounds
    return float(high[0] - low[0])


def _parked_row(scene: StreetScene, rng: np.random.Generator, side: int) -> None:
    """Cars parked along one kerb (``side`` -1 left, +1 right), parallel, slanted or square."""
    edge = scene.ground.road_right if side > 0 else scene.ground.road_left
    angled = rng.random() < 0.2
    turn = rng.uniform(0.9, np.pi / 2) if angled else 0.0
    depth = rng.uniform(3.5, 20.0)
    for _ in range(int(rng.integers(3, 9))):
        solid = _any_vehicle(rng, heavy=0.0 if angled else 0.05)
        length = _length(solid)
        across, along = (2.5, 2.6) if angled else (1.05, length + rng.uniform(0.7, 5.0))
        if rng.random() < 0.85 and not _on_crossing(scene, depth + along / 2):
            yaw = side * turn + (np.pi if rng.random() < 0.3 else 0.0) + rng.normal(0, 0.03)
            mounted = rng.uniform(-0.35, 0.2) if not angled else rng.uniform(-0.3, 0.3)
            scene.add(solid, edge - side * (across + mounted), depth + along / 2, yaw, raised=0.0)
        depth += along


def _on_crossing(scene: StreetScene, z: float) -> bool:
    return scene.crossing is not None and abs(z - scene.crossing) < 6.0


def _queue(scene: StreetScene, rng: np.random.Generator) -> None:
    """Traffic in the camera's own lane, seen from behind."""
    depth = rng.uniform(6.0, 20.0)
    for _ in range(int(rng.integers(1, 5))):
        solid = _any_vehicle(rng, heavy=0.12)
        length = _length(solid)
        scene.add(solid, rng.normal(0.2, 0.45), depth + length / 2, AWAY + rng.normal(0, 0.03))
        depth += length + rng.uniform(2.0, 18.0)


def _oncoming(scene: StreetScene, rng: np.random.Generator) -> None:
    """Traffic in the other lane, seen from the front; sometimes a tram."""
    depth = rng.uniform(7.0, 25.0)
    lanes = [rng.uniform(-3.6, -2.8)]
    if scene.ground.road_left < -8.5:
        lanes.append(lanes[0] - 3.0)
    if rng.random() < 0.11:
        solid = tram(rng)
        scene.add(
            solid,
            lanes[0] - 0.4,
            depth + _length(solid) / 2,
            TOWARDS if rng.random() < 0.6 else AWAY,
        )
        depth += _length(solid) + 4.0
    for _ in range(int(rng.integers(2, 8))):
        solid = _any_vehicle(rng, heavy=0.1)
        length = _length(solid)
        x = rng.choice(lanes) + rng.normal(0, 0.25)
        scene.add(solid, x, depth + length / 2, TOWARDS + rng.normal(0, 0.05))
        depth += (length + rng.uniform(2.0, 16.0)) / len(lanes)


def _cross_traffic(scene: StreetScene, rng: np.random.Generator) -> None:
    """Vehicles and cyclists on the crossing road, seen from the side; some are turning."""
    if scene.crossing is None:
        return
    for lane, yaw in ((-1.9, TO_RIGHT), (1.9, TO_LEFT)):
        x = rng.uniform(-18.0, 0.0)
        for _ in range(int(rng.integers(0, 5))):
            draw = rng.random()
            solid = (
                tram(rng)
                if draw < 0.04
                else cyclist(rng)
                if draw < 0.16
                else _any_vehicle(rng, 0.12)
            )
            turn = rng.uniform(-0.7, 0.7) if draw > 0.8 else rng.normal(0, 0.04)
            x += _length(solid) / 2
            z, half = scene.crossing + lane + rng.normal(0, 0.2), _length(solid) / 2
            if scene.in_open_view(x - half, z) and scene.in_open_view(x + half, z):
                scene.add(solid, x, z, yaw + turn, raised=0.0)
            x += half + rng.uniform(1.0, 7.0)


def _people_group(
    scene: StreetScene, rng: np.random.Generator, x: float, z: float, yaw: float
) -> None:
    """One to six people who stand or walk together around (x, z)."""
    count = int(rng.choice([1, 2, 3, 4, 6], p=[0.54, 0.24, 0.12, 0.06, 0.04]))
    spread = 0.5 * np.sqrt(count)
    for _ in range(count):
        heading = yaw + rng.normal(0, 0.3) + (np.pi if rng.random() < 0.2 else 0.0)
        place = np.clip(x + rng.normal(0, spread), *scene.walkable)
        scene.add(pedestrian(rng), place, z + rng.normal(0, 1.6 * spread), heading)


def _people(scene: StreetScene, rng: np.random.Generator) -> None:
    """Groups on both pavements, and people who cross the road."""
    ground, (left, right) = scene.ground, scene.pavement
    groups = (
        9
        if rng.random() < 0.1
        else int(rng.choice([0, 1, 2, 3, 5], p=[0.14, 0.22, 0.26, 0.2, 0.18]))
    )
    for _ in range(groups):
        z = rng.uniform(6.0, 38.0)
        draw = rng.random()
        if draw < 0.34:
            x, yaw = ground.road_right + rng.uniform(0.4, right - 0.4), AWAY
        elif draw < 0.66:
            x, yaw = ground.road_left - rng.uniform(0.4, left - 0.4), TOWARDS
        else:
            x, yaw = (
                rng.uniform(ground.road_left, ground.road_right),
                rng.choice([TO_LEFT, TO_RIGHT]),
            )
            z = scene.crossing - 5.6 if scene.crossing is not None else z
        _people_group(scene, rng, x, z, yaw + (np.pi if rng.random() < 0.4 else 0.0))


def _two_wheelers(scene: StreetScene, rng: np.random.Generator) -> None:
    """Cyclists and riders at the edges of the lanes, or crossing."""
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.5, 0.3, 0.14, 0.06]))):
        solid = rider(rng) if rng.random() < 0.2 else cyclist(rng)
        z, draw = rng.uniform(5.5, 30.0), rng.random()
        if draw < 0.45:
            x, yaw = rng.uniform(1.3, 2.4), AWAY
        elif draw < 0.75:
            x, yaw = rng.uniform(-5.2, -4.4), TOWARDS
        else:
            x, yaw = rng.uniform(-5.0, 4.0), rng.choice([TO_LEFT, TO_RIGHT])
        scene.add(solid, x, z, yaw + rng.normal(0, 0.25))


def _mirrored(scene: StreetScene) -> StreetScene:
    """The same street with left and right swapped (left-hand traffic)."""
    ground = scene.ground
    swapped = Ground(
        road_left=-ground.road_right,
        road_right=-ground.road_left,
        kerb_left=ground.kerb_right,
        kerb_right=ground.kerb_left,
        cross_slope=-ground.cross_slope,
        grade=ground.grade,
        grade_start=ground.grade_start,
    )
    objects = [PlacedObject(o.solid, -o.x, o.z, -o.yaw, o.raised) for o in scene.objects]
    light = scene.light * [-1, 1, 1]
    return StreetScene(scene.camera, swapped, light, scene.crossing, scene.pavement[::-1], objects)


_FILLERS: tuple[tuple[Callable[[StreetScene, np.random.Generator], None], float], ...] = (
    (_cross_traffic, 1.0),
    (_oncoming, 0.8),
    (_queue, 0.65),
    (_two_wheelers, 1.0),
    (lambda scene, rng: _parked_row(scene, rng, +1), 0.78),
    (lambda scene, rng: _parked_row(scene, rng, -1), 0.78),
    (_people, 1.0),
)
"""What fills a street, and the probability of each."""


def compose_scene(rng: np.random.Generator, height: int, width: int) -> StreetScene:
    """Draws a street scene.

    Args:
        rng: source of randomness.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        A scene with at least one object (which may still lie outside the image).
    """
    light = np.array([rng.uniform(-1, 1), rng.uniform(0.6, 1.6), rng.uniform(-1.0, 0.3)])
    scene = StreetScene(
        camera=sample_camera(rng, height, width),
        ground=sample_ground(rng),
        light=light / np.linalg.norm(light),
        crossing=rng.uniform(13.0, 32.0) if rng.random() < 0.5 else None,
        pavement=(rng.uniform(2.0, 4.5), rng.uniform(2.0, 4.5)),
    )
    while not scene.objects:
        for fill, probability in _FILLERS:
            if rng.random() < probability:
                fill(scene, rng)
    return _mirrored(scene) if rng.random() < 0.5 else scene
