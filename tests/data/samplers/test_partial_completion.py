"""The self-supervised sample against the formulas of its description."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.config import load_config
from deocclusion_d2.data.samplers import ErasingSettings, draw_sample
from deocclusion_d2.data.samplers.erasing import draw_offset, place_eraser
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import SquareCrop, WindowMask

SETTINGS = ErasingSettings(patch_size=64)


def ellipse(height: int, width: int) -> WindowMask:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return WindowMask.from_array(x**2 + y**2 <= 1, x0=100, y0=80)


def test_offsets_overlap_by_what_was_drawn():
    rng = np.random.default_rng(0)
    shares, signs = [], []
    for _ in range(2000):
        dx, dy = draw_offset((0.4, 1.0), rng)
        shares.append((1 - abs(dx)) * (1 - abs(dy)))
        signs.append((dx > 0, dy > 0))
    assert 0.4 <= min(shares) < 0.42 and 0.98 < max(shares) <= 1 + 1e-9
    assert np.mean(shares) == pytest.approx(0.7, abs=0.02)  # o is uniform in [0.4, 1]
    for sign in [(a, b) for a in (True, False) for b in (True, False)]:
        assert signs.count(sign) == pytest.approx(500, abs=90)


def test_given_overlap_fixes_the_shift():
    # o = 0.5 and dx = 0: |dy| must be 0.5.
    class Fixed:
        draws = iter([0.5, 0.0])

        def uniform(self, low, high):
            value = next(self.draws)
            assert low <= value <= high
            return value

        def random(self):
            return 0.9

    assert draw_offset((0.4, 1.0), Fixed()) == (0.0, -0.5)


def test_erased_share_lies_in_the_range_when_it_can():
    rng = np.random.default_rng(1)
    a = SquareCrop.around(ellipse(40, 60).box).sample(ellipse(40, 60), 64)
    b = SquareCrop.around(ellipse(50, 30).box).sample(ellipse(50, 30), 64)
    shares = []
    for _ in range(300):
        eraser = place_eraser(a, b, SETTINGS, rng)
        shares.append((a & eraser).sum() / a.sum())
    assert min(shares) >= 0.001 and max(shares) < 0.9
    assert np.std(shares) > 0.1


def test_impossible_placement_stops_after_the_tries():
    rng = np.random.default_rng(2)
    eraser = place_eraser(np.ones((64, 64), bool), np.zeros((64, 64), bool), SETTINGS, rng)
    assert not eraser.any()


def test_the_eraser_is_the_other_mask_shifted_by_whole_pixels():
    rng = np.random.default_rng(3)
    other = np.zeros((64, 64), bool)
    other[20:40, 10:50] = True
    target = np.ones((64, 64), bool)
    for _ in range(50):
        eraser = WindowMask.from_array(place_eraser(target, other, SETTINGS, rng))
        x0, y0, x1, y1 = eraser.box
        assert eraser.array.all()
        assert x1 - x0 == 40 or x0 == 0 or x1 == 64
        assert y1 - y0 == 20 or y0 == 0 or y1 == 64


def test_cases():
    target, other = ellipse(40, 60), ellipse(50, 30)
    cases = []
    for draw in range(400):
        sample = draw_sample(target, other, SETTINGS, np.random.default_rng((7, draw)))
        overlap = (sample.modal_mask & sample.eraser).sum() / sample.modal_mask.sum()
        if sample.case == 1:
            assert 0.001 <= overlap < 0.9
        else:
            assert overlap == 0
        cases.append(sample.case)
    assert cases.count(1) / 400 == pytest.approx(0.8, abs=0.06)  # gamma
    only_second = ErasingSettings(patch_size=64, gamma=0.0)
    assert draw_sample(target, other, only_second, np.random.default_rng(0)).case == 2


def test_crop_jitter_lies_in_its_ranges():
    target = ellipse(40, 60)
    x0, y0, x1, y1 = target.box
    side = (3 * (x1 - x0) * (y1 - y0)) ** 0.5
    squares = [
        draw_sample(target, target, SETTINGS, np.random.default_rng((9, draw))).crop
        for draw in range(300)
    ]
    sides = np.array([s.side for s in squares])
    assert side / 1.2 - 1 <= sides.min() and sides.max() <= side / 0.8
    assert sides.max() - sides.min() > 0.3 * side
    centres = np.array([(s.x0 + s.side / 2, s.y0 + s.side / 2) for s in squares])
    shift = (centres - ((x0 + x1) / 2, (y0 + y1) / 2)) / side
    assert np.abs(shift).max() <= 0.2 + 1.5 / side
    assert (np.abs(shift).max(axis=0) > 0.18).all()


def test_flip_mirrors_the_target():
    target = WindowMask.from_array(np.tril(np.ones((30, 30), bool)))
    still = {"patch_size": 64, "shift": 0.0, "scale": (1.0, 1.0)}
    one = draw_sample(target, target, ErasingSettings(flip_prob=0.0, **still), _rng())
    two = draw_sample(target, target, ErasingSettings(flip_prob=1.0, **still), _rng())
    assert np.array_equal(one.modal_mask, two.modal_mask[:, ::-1])
    assert not np.array_equal(one.modal_mask, two.modal_mask)


def test_on_a_common_grid_both_masks_consist_of_the_targets_pixels():
    """A target whose square has 12 pixels, an eraser whose square has 60: blocks of 12 x 12."""
    target = WindowMask.from_array(np.tril(np.ones((7, 7), bool)))
    other = ellipse(35, 35)
    settings = {"patch_size": 60, "shift": 0.0, "scale": (1.0, 1.0), "gamma": 1.0}
    apart, common = (
        [
            draw_sample(
                target,
                other,
                ErasingSettings(common_grid=grid, **settings),
                np.random.default_rng(k),
            )
            for k in range(20)
        ]
        for grid in (False, True)
    )
    assert {s.crop.side for s in apart + common} == {12}

    def in_blocks(mask: np.ndarray) -> bool:
        blocks = mask.reshape(12, 5, 12, 5)
        return bool((blocks == blocks[:, :1, :, :1]).all())

    assert all(in_blocks(s.modal_mask) for s in apart + common)
    assert all(in_blocks(s.eraser) for s in common)
    assert not any(in_blocks(s.eraser) for s in apart)
    for s in common:
        assert 0.001 <= (s.modal_mask & s.eraser).sum() / s.modal_mask.sum() < 0.9
    # About the same eraser: 35 of 60 pixels across is 7 of 12, and its area pi / 4 of that.
    whole = [
        s.eraser.sum() for s in common if not (s.eraser[[0, -1]].any() | s.eraser[:, [0, -1]].any())
    ]
    assert whole and np.mean(whole) == pytest.approx(np.pi / 4 * 35**2, rel=0.2)


def test_common_grid_changes_nothing_where_the_target_is_finer_than_the_patch():
    target, other = ellipse(80, 90), ellipse(70, 90)
    for k in range(10):
        one, two = (
            draw_sample(
                target,
                other,
                ErasingSettings(patch_size=64, common_grid=grid),
                np.random.default_rng(k),
            )
            for grid in (False, True)
        )
        assert one.crop.side > 64
        assert np.array_equal(one.modal_mask, two.modal_mask)
        assert np.array_equal(one.eraser, two.eraser)


def _rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize(
    ("key", "value", "bounds"),
    [
        ("INPUT.PARTIAL_COMPLETION.OVERLAP", (0.9, 0.2), "0 to 1"),
        ("INPUT.PARTIAL_COMPLETION.OVERLAP", (0.5, 1.5), "0 to 1"),
        ("INPUT.PARTIAL_COMPLETION.OVERLAP", (0.5,), "0 to 1"),
        ("INPUT.INSTANCE_CROP.SCALE", (0.0, 1.0), "0.001 to 1000"),
    ],
)
def test_ranges_that_nothing_can_be_drawn_from(key, value, bounds):
    with pytest.raises(UserError) as error:
        ErasingSettings.from_config(load_config(None, [key, str(value)]))
    assert str(error.value) == (
        f"{key} = {value}: use two numbers from {bounds}, the smaller first"
    )
