"""Pinhole camera over a street: where a point of the world falls in the image.

World frame (metres): ``x`` to the right, ``y`` up, ``z`` forward along the optical axis; the origin
lies on the road under the camera. Arrays of world points have shape (N, 3) in the order (x, y, z).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAR_PLANE_M = 0.8
"""Closer points are moved to this depth before projection, so that none is zero or negative."""


@dataclass(frozen=True)
class Camera:
    """A level pinhole camera.

    Attributes:
        focal: focal length in pixels.
        centre_x: column of the principal point, pixels.
        horizon: row of the principal point, which is the horizon of a flat road, pixels.
        height: height of the camera above the road, metres.
    """

    focal: float
    centre_x: float
    horizon: float
    height: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Projects world points (N, 3) to pixel coordinates (N, 2), in the order (column, row)."""
        points = np.asarray(points, dtype=np.float64)
        depth = np.maximum(points[:, 2], NEAR_PLANE_M)
        scale = self.focal / depth
        return np.stack(
            [
                self.centre_x + points[:, 0] * scale,
                self.horizon + (self.height - points[:, 1]) * scale,
            ],
            axis=1,
        )


@dataclass(frozen=True)
class Ground:
    """Height of the street: a road with a grade and a cross slope between two raised pavements.

    Attributes:
        road_left: x of the left kerb, metres.
        road_right: x of the right kerb, metres.
        kerb_left: height of the left pavement over the road, metres.
        kerb_right: height of the right pavement over the road, metres.
        cross_slope: rise per metre to the right.
        grade: rise per metre forward, from ``grade_start`` on.
        grade_start: depth at which the grade begins, metres.
    """

    road_left: float
    road_right: float
    kerb_left: float
    kerb_right: float
    cross_slope: float
    grade: float
    grade_start: float

    def road_height(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Height of the road surface, also under the pavements, at ``x`` and ``z`` (metres)."""
        return self.cross_slope * x + self.grade * np.maximum(z - self.grade_start, 0.0)

    def kerb_height(self, x: float) -> float:
        """Height over the road surface of the pavement at ``x``; 0 on the road itself (metres)."""
        if x < self.road_left:
            return self.kerb_left
        return self.kerb_right if x > self.road_right else 0.0


def sample_camera(rng: np.random.Generator, height: int, width: int) -> Camera:
    """Draws a camera like KITTI's (721 px focal length at 1242 px width, 1.65 m over the road).

    Args:
        rng: source of randomness.
        height: image height in pixels.
        width: image width in pixels.
    """
    return Camera(
        focal=0.581 * width * rng.uniform(0.92, 1.1),
        centre_x=width * rng.uniform(0.47, 0.53),
        horizon=height * rng.uniform(0.42, 0.50),
        height=rng.uniform(1.5, 1.9),
    )


def sample_ground(rng: np.random.Generator) -> Ground:
    """Draws a street: a flat or sloping road of 9 to 18 m, kerbs, now and then a raised terrace."""

    def kerb() -> float:
        return rng.uniform(0.35, 1.0) if rng.random() < 0.35 else rng.uniform(0.05, 0.2)

    return Ground(
        road_left=-rng.uniform(5.5, 11.5),
        road_right=rng.uniform(3.6, 7.0),
        kerb_left=kerb(),
        kerb_right=kerb(),
        cross_slope=float(np.clip(rng.normal(0.0, 0.015), -0.04, 0.04)),
        grade=rng.uniform(-0.015, 0.045) if rng.random() < 0.5 else 0.0,
        grade_start=rng.uniform(8.0, 25.0),
    )
