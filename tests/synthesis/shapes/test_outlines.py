"""Outlines of generic shapes: what they enclose, and that bending keeps them outlines."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.synthesis.shapes.families import FAMILIES, Family, draw_shape
from deocclusion_d2.synthesis.shapes.outlines import (
    Ring,
    bend,
    capsule,
    convex_polygon,
    dense,
    drawn,
    extent,
    map_shape,
    normalised,
    rectangle,
    rounded,
    superellipse,
    swirl,
    wave,
)


def area_of(ring: Ring) -> float:
    """Signed, by the shoelace formula."""
    x, y = ring.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def crosses_itself(ring: Ring) -> bool:
    """Whether two sides that are not neighbours cross: all pairs of sides."""
    start, end = ring, np.roll(ring, -1, axis=0)

    def side_of(a: Ring, b: Ring, spot: Ring) -> np.ndarray:
        """(M, M): on which side of each line a-b each spot lies."""
        along, to = (b - a)[:, None], spot[None] - a[:, None]
        return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    apart = side_of(start, end, start) * side_of(start, end, end) < 0
    return bool((apart & apart.T).any())


def test_a_ring_that_crosses_itself_is_seen() -> None:
    bow = np.array([[0, 0], [1, 1], [1, 0], [0, 1]], dtype=float)
    assert crosses_itself(bow)
    assert not crosses_itself(rectangle(0, 0, 1, 1))


@pytest.mark.parametrize("radii", [(3.0, 8.0), (6.0, 6.0), (30.0, 2.0)])
def test_capsule_holds_all_circles_between_its_ends(radii: tuple[float, float]) -> None:
    start, end = np.array([0.0, 0.0]), np.array([25.0, 10.0])
    ring = capsule(start, end, *radii)
    low, _ = extent([[ring]])
    mask = drawn([[ring]])
    spots = np.stack(np.nonzero(np.ones_like(mask))[::-1], axis=1) + low - 1
    inside = np.zeros(len(spots), dtype=bool)
    margin = np.zeros(len(spots), dtype=bool)  # pixels that the outline may cross
    for share in np.linspace(0, 1, 200):
        distance = np.hypot(*(spots - (1 - share) * start - share * end).T)
        radius = (1 - share) * radii[0] + share * radii[1]
        inside |= distance < radius - 0.5
        margin |= distance < radius + 1
    assert mask.ravel()[inside].all()
    assert not mask.ravel()[~margin].any()


@pytest.mark.parametrize("corners", [3, 4, 9, 15])
def test_convex_polygon_turns_one_way(corners: int) -> None:
    for seed in range(20):
        ring = convex_polygon(np.random.default_rng(seed), corners)
        assert ring.shape == (corners, 2)
        sides = np.roll(ring, -1, axis=0) - ring
        following = np.roll(sides, -1, axis=0)
        turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
        assert (turns > -1e-12).all()
        assert area_of(ring) > 0


def test_superellipse_lies_on_its_curve() -> None:
    ring = superellipse((3, -1), (2, 0.5), exponent=4)
    np.testing.assert_allclose((np.abs((ring - (3, -1)) / (2, 0.5)) ** 4).sum(axis=1), 1)


def test_cut_corners_by_hand() -> None:
    square = rectangle(0, 0, 4, 4)
    once = rounded(square, 1)
    expected = [[1, 0], [3, 0], [4, 1], [4, 3], [3, 4], [1, 4], [0, 3], [0, 1]]
    np.testing.assert_allclose(once, expected)
    line = rounded(np.array([[0, 0], [4, 0], [4, 4]], dtype=float), 1, closed=False)
    np.testing.assert_allclose(line, [[0, 0], [3, 0], [4, 1], [4, 4]])


def test_more_corners_are_the_same_outline() -> None:
    ring = dense(rectangle(0, 0, 1, 0.5), 0.3)
    assert area_of(ring) == pytest.approx(0.5)
    assert len(ring) == 2 * 4 + 2 * 2
    assert np.hypot(*(np.roll(ring, -1, axis=0) - ring).T).max() <= 0.3


def test_bends_by_hand() -> None:
    np.testing.assert_allclose(swirl(np.array([[0.0, 1.0]]), np.pi / 2), [[-1, 0]], atol=1e-12)
    np.testing.assert_allclose(wave(np.array([[0.5, np.pi]]), 0.1, 0.5, 0), [[0.6, np.pi]])
    # The axis is not stretched; what is on the inner side of the bend comes closer.
    np.testing.assert_allclose(
        bend(np.array([[0, np.pi], [1, np.pi]]), 0.5), [[2, 2], [2, 1]], atol=1e-12
    )


def test_hole_is_not_drawn_and_parts_unite() -> None:
    frame = [rectangle(0, 0, 20, 20), rectangle(5, 5, 15, 15)]
    mask = drawn([frame])
    assert not mask[11, 11] and mask[3, 3]
    assert mask.sum() == 21 * 21 - 9 * 9  # the outlines' own pixels belong to the shape
    both = drawn([frame, [rectangle(0, 10, 20, 12)]])
    assert both[11, 11] and not both[7, 7]


def test_box_is_centred_and_scaled() -> None:
    low, high = extent(normalised([[rectangle(3, 4, 5, 14)]], 50))
    np.testing.assert_allclose(low, [-5, -25])
    np.testing.assert_allclose(high, [5, 25])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_outlines_do_not_cross_themselves_bent_or_not(family: Family) -> None:
    for seed in range(2):
        shape = normalised(family(np.random.default_rng(seed)), 2**0.5)
        for part in shape[:3]:
            for ring in part:
                assert not crosses_itself(ring)
        fine = [[dense(ring, 0.04) for ring in part] for part in shape[:3]]
        for change in (
            lambda spots: swirl(spots, 1.4),
            lambda spots: wave(spots, 0.2, 5, 1),
            lambda spots: bend(spots, -0.95),
        ):
            for part in map_shape(fine, change):
                assert not any(crosses_itself(ring) for ring in part)


@pytest.mark.parametrize("upright", [True, False])
def test_drawn_shapes_fit_their_box(upright: bool) -> None:
    names = set()
    for seed in range(60):
        name, shape = draw_shape(np.random.default_rng(seed), upright)
        low, high = extent(shape)
        assert (high - low).max() == pytest.approx(2)
        np.testing.assert_allclose(low + high, 0, atol=1e-9)
        names.add(name)
    assert len(names) > 10
