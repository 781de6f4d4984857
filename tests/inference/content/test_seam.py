"""The seam correction against its formula and against slow ones."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.inference.content.seam import correct_seam


def disc(size=96, radius=30):
    y, x = np.indices((size, size)) - size // 2
    return x**2 + y**2 <= radius**2


def distances(visible):
    """Distance of every pixel to the nearest visible one, by looking at all of them."""
    points = np.argwhere(visible)
    all_points = np.argwhere(np.ones_like(visible))
    square = ((all_points[:, None] - points[None]) ** 2).sum(-1).min(1)
    return np.sqrt(square).reshape(visible.shape)


def test_a_constant_difference_fades_with_the_distance():
    missing = disc(48, 15)
    filled = np.full((48, 48, 3), 100, np.float32)
    photo = np.full((48, 48, 3), 130, np.uint8)
    out = correct_seam(filled, photo, ~missing, missing, reach=8.0)
    expected = 100 + 30 * np.exp(-(distances(~missing) - 1) / 8)
    # OpenCV's distances are within 3 %.
    np.testing.assert_allclose(out[..., 0][missing], expected[missing], atol=1.0)
    np.testing.assert_array_equal(out[~missing], filled[~missing])


def test_no_step_at_the_border_of_a_wrongly_coloured_hole():
    """Across the border colours change as little as inside the photo."""
    missing = disc()
    y, x = np.indices(missing.shape)
    photo = np.stack([80 + x, 200 - y, 60 + (x + y) // 2], axis=-1).astype(np.uint8)
    filled = photo.astype(np.float32) + np.stack([x * 0.5 - 50, 40 - y * 0.3, 25 + 0 * x], axis=-1)
    before = np.where(missing[..., None], filled, photo)
    out = np.where(missing[..., None], correct_seam(filled, photo, ~missing, missing, 16.0), photo)

    def step(picture):
        across = missing[:, 1:] != missing[:, :-1]
        return np.abs(np.diff(picture.astype(float), axis=1))[across].max()

    assert step(before) >= 40
    assert step(out) < 6
    # And nowhere inside either: the correction itself is smooth.
    correction = (out - before) * missing[..., None]
    inside = missing[:, 1:] & missing[:, :-1]
    assert np.abs(np.diff(correction, axis=1))[inside].max() < 5


def test_only_visible_pixels_count():
    missing, visible = np.zeros((2, 40, 40), bool)
    missing[:, 20:30], visible[:, 10:20] = True, True
    filled = np.full((40, 40, 3), 100, np.float32)
    photo = np.full((40, 40, 3), 100, np.uint8)
    photo[:, 30:] = 255  # beside the hole, but of something else
    np.testing.assert_array_equal(correct_seam(filled, photo, visible, missing, 8.0), filled)


@pytest.mark.parametrize("size", [1, 2, 37, 64, 201])
def test_every_distance_is_reached(size):
    """One visible pixel in a corner decides all of a large hole."""
    visible = np.zeros((size, size), bool)
    visible[0, 0] = True
    filled = np.zeros((size, size, 3), np.float32)
    photo = np.full((size, size, 3), 50, np.uint8)
    out = correct_seam(filled, photo, visible, ~visible, reach=1e9)
    np.testing.assert_allclose(out[~visible], 50, atol=1e-3)


def test_nothing_visible_changes_nothing():
    filled = np.ones((5, 5, 3), np.float32)
    nothing = np.zeros((5, 5), bool)
    photo = np.full((5, 5, 3), 9, np.uint8)
    np.testing.assert_array_equal(correct_seam(filled, photo, nothing, ~nothing, 4.0), filled)
