"""Borders between target and eraser as real masks have them."""

import numpy as np
import pytest

from deocclusion_d2.data.samplers.erasing import ErasingSettings, draw_sample
from deocclusion_d2.data.samplers.seams import SeamSettings, draw_seam
from deocclusion_d2.structures import WindowMask

SIDE = 20
STRAIGHT = {"probability": 1.0, "ragged": 0.0, "smooth": 0.0}


def columns(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[:, start:stop] = True
    return mask


def of_width(pixels: int, closed: float = 0.0) -> SeamSettings:
    return SeamSettings(gap=(pixels / SIDE, pixels / SIDE), closed=closed, **STRAIGHT)


def seam_of(target: np.ndarray, eraser: np.ndarray, settings: SeamSettings, seed: int = 0):
    return draw_seam(target, eraser, settings, np.random.default_rng(seed))


def test_a_gap_takes_half_of_its_width_from_either_side():
    seam = seam_of(columns(0, 15), columns(10, 20), of_width(4))
    np.testing.assert_array_equal(seam.modal_mask, columns(0, 15))
    np.testing.assert_array_equal(seam.eraser, columns(12, 20))
    np.testing.assert_array_equal(seam.gap, columns(8, 12))


def test_a_closed_gap_is_the_erasers():
    seam = seam_of(columns(0, 15), columns(10, 20), of_width(4, closed=1.0))
    np.testing.assert_array_equal(seam.modal_mask, columns(0, 15))
    np.testing.assert_array_equal(seam.eraser, columns(8, 20))
    assert not seam.gap.any()


def test_of_an_intact_target_the_gap_takes_what_stood_beside_the_eraser():
    seam = seam_of(columns(0, 10), columns(10, 20), of_width(4))
    np.testing.assert_array_equal(seam.modal_mask, columns(0, 10))
    np.testing.assert_array_equal(seam.gap, columns(8, 10))


def test_what_two_masks_want_goes_to_one_of_them_and_both_win_at_times():
    borders = set()
    for seed in range(20):
        seam = seam_of(columns(0, 10), columns(10, 20), of_width(-4), seed)
        border = int(seam.eraser[0].argmax())
        borders.add(border)
        np.testing.assert_array_equal(seam.eraser, columns(border, 20))
        # What is drawn as visible is the target's.
        np.testing.assert_array_equal(seam.modal_mask, columns(0, max(border, 10)))
        assert not seam.gap.any()
    assert borders == {8, 12}


@pytest.mark.parametrize(
    ("target", "eraser"),
    [
        pytest.param(columns(0, 9), columns(11, 20), id="apart"),
        pytest.param(columns(0, 10), columns(20, 20), id="no eraser"),
        pytest.param(columns(5, 10), columns(0, 20), id="nothing visible"),
        pytest.param(columns(0, 3), columns(3, 20), id="too thin"),
    ],
)
def test_a_border_stays_where_there_is_none_or_little_would_be_left(target, eraser):
    seam = seam_of(target, eraser, of_width(4))
    np.testing.assert_array_equal(seam.modal_mask, target)
    np.testing.assert_array_equal(seam.eraser, eraser)
    assert not seam.gap.any()


@pytest.mark.parametrize("seed", range(8))
def test_only_pixels_near_the_border_change_hands(seed):
    rng = np.random.default_rng(seed)
    side = 64
    y, x = np.mgrid[:side, :side]
    target = (x - 24) ** 2 + (y - 30) ** 2 < 18**2
    eraser = (abs(x - 44) < 14) & (abs(y - 34) < 16)
    if seed % 2:
        eraser &= ~target
    settings = SeamSettings(probability=1.0, closed=seed % 3 == 0)
    seam = draw_seam(target, eraser, settings, rng)
    visible = seam.modal_mask & ~seam.eraser & ~seam.gap
    assert not (seam.gap & seam.eraser).any()
    assert not (visible & ~(target | eraser)).any()
    assert (target <= seam.modal_mask).all()
    assert (seam.eraser <= (target | eraser)).all()
    # Half of the widest gap, the largest displacement, and what smoothing moves corners by.
    reach = (0.03 + 0.02) * side + 3
    old = target & ~eraser
    changed = np.argwhere((visible != old) | (seam.eraser != eraser))
    border = np.argwhere(eraser & np.pad(old, 1)[1:-1, :-2])
    assert len(changed)
    distances = np.linalg.norm(changed[:, None] - border[None], axis=2).min(axis=1)
    assert distances.max() <= reach


def test_samples_stay_where_no_border_is_redrawn():
    y, x = np.mgrid[:50, :60]
    target = WindowMask.from_array((x - 25) ** 2 + (y - 25) ** 2 < 15**2)
    other = WindowMask.from_array((abs(x - 30) < 12) & (abs(y - 25) < 9))
    settings = {"patch_size": 64, "common_grid": True}
    plain = ErasingSettings(**settings)
    seams = ErasingSettings(**settings, seams=SeamSettings(probability=1.0))
    redrawn = 0
    for seed in range(10):
        a, b = (draw_sample(target, other, s, np.random.default_rng(seed)) for s in (plain, seams))
        assert not a.gap.any()
        assert (a.crop, a.flip, a.case) == (b.crop, b.flip, b.case)
        redrawn += not np.array_equal(a.eraser, b.eraser)
    assert redrawn >= 5
