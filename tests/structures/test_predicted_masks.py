import numpy as np
import pytest

from deocclusion_d2.structures import WindowMask, resolve_overlaps, resolve_rle_overlaps

H, W = 24, 30


def slow(arrays, scores):
    """Pixel by pixel: the highest score wins, of equal ones the earlier mask."""
    out = np.zeros_like(arrays)
    for y in range(H):
        for x in range(W):
            holders = [n for n in range(len(arrays)) if arrays[n, y, x]]
            if holders:
                out[max(holders, key=lambda n: (scores[n], -n)), y, x] = True
    return out


def random_masks(rng, count):
    arrays = np.zeros((count, H, W), bool)
    for array in arrays:
        y, x, h, w = rng.integers(0, 20, size=4)
        array[y : y + h, x : x + w] = rng.random(array[y : y + h, x : x + w].shape) < 0.8
    return arrays


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_full_images(seed):
    rng = np.random.default_rng(seed)
    arrays = random_masks(rng, 12)
    scores = rng.choice([0.1, 0.5, 0.9, -3.0], size=12)  # ties are common
    windows = [WindowMask.from_array(a) for a in arrays]
    resolved = resolve_overlaps(windows, scores)
    expected = slow(arrays, scores)
    assert (expected != arrays).any()
    assert np.array_equal([m.to_array(H, W) for m in resolved], expected)
    for array, mask, before in zip(expected, resolved, windows, strict=True):
        assert mask == WindowMask.from_array(array), "a tight window"
        assert (mask is before) == (mask == before)
    rles = [m.to_rle(H, W) for m in windows]
    assert resolve_rle_overlaps(rles, scores) == [m.to_rle(H, W) for m in resolved]


def test_covered_wholly_and_nothing_at_all():
    big, small = WindowMask(2, 3, np.ones((9, 9), bool)), WindowMask(4, 5, np.ones((2, 2), bool))
    front, back = resolve_overlaps([big, small], [0.5, 0.5])
    assert front is big and back.is_empty
    cut, whole = resolve_overlaps([big, small], [0.5, 0.6])
    assert whole is small and cut.area == 81 - 4
    assert resolve_overlaps([], []) == [] and resolve_rle_overlaps([], []) == []
    assert resolve_overlaps([WindowMask.empty(), small], [1, 0]) == [WindowMask.empty(), small]
