"""Pictures of training samples: every pixel of a tile has the colour of what it is."""

import numpy as np
import pytest
import torch

from deocclusion_d2.data.loaders import split_batch
from deocclusion_d2.systems.pcnet_m.pictures import (
    CASE_COLORS,
    EMPTY,
    ERASER,
    HIDDEN,
    PAPER,
    SPILLED,
    VISIBLE,
    case_of,
    overlay_prediction,
    sample_grid,
    sample_tiles,
    training_image,
)


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Angle between two colour differences, in radians."""
    a, b = a.astype(float), np.asarray(b, dtype=float)
    return float(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))


def make_sample(eraser_x: int, category: int = 4) -> dict:
    """Target in columns 2-8, eraser three columns wide, rows 2-10 of 16 x 16."""
    target, eraser = np.zeros((2, 16, 16), dtype=np.uint8)
    target[2:10, 2:8] = 1
    eraser[2:10, eraser_x : eraser_x + 3] = 1
    return {"modal_mask": target, "eraser": eraser, "category_id": category}


CASE_1, CASE_2 = make_sample(6), make_sample(8)


def test_cases():
    assert case_of(CASE_1) == 1 and case_of(CASE_2) == 2
    tensors = {k: torch.as_tensor(v) for k, v in CASE_1.items()}
    assert case_of(tensors) == 1


def test_tiles_show_input_eraser_and_target():
    given, eraser, overlay = sample_tiles(CASE_1)
    row = 5
    assert [tuple(given[row, x]) for x in (3, 6, 8, 12)] == [(255,) * 3, EMPTY, EMPTY, EMPTY]
    assert [tuple(eraser[row, x]) for x in (3, 6, 8, 12)] == [EMPTY, ERASER, ERASER, EMPTY]
    assert [tuple(overlay[row, x]) for x in (3, 6, 8, 12)] == [VISIBLE, HIDDEN, ERASER, EMPTY]
    overlay = sample_tiles(CASE_2)[2]
    assert [tuple(overlay[row, x]) for x in (7, 8, 10, 11)] == [VISIBLE, ERASER, ERASER, EMPTY]


def test_a_gap_is_of_the_target_but_not_seen():
    gap = np.zeros((16, 16), dtype=np.uint8)
    gap[2:10, 5] = 1
    given, _, overlay = sample_tiles({**CASE_1, "gap": gap})
    assert [tuple(given[5, x]) for x in (4, 5, 6)] == [(255,) * 3, EMPTY, EMPTY]
    assert [tuple(overlay[5, x]) for x in (4, 5, 6)] == [VISIBLE, HIDDEN, HIDDEN]
    shown = overlay_prediction(CASE_1["modal_mask"], CASE_1["eraser"], np.ones((16, 16)), gap)
    assert [tuple(shown[5, x]) for x in (4, 5)] == [(255,) * 3, EMPTY]
    assert [tuple(shown[5, 32 + x]) for x in (4, 5, 6)] == [VISIBLE, HIDDEN, HIDDEN]


def test_image_is_shown_as_the_network_sees_it():
    image = np.full((16, 16, 3), (90, 150, 210), dtype=np.uint8)
    given = sample_tiles({**CASE_1, "image": image})[0]
    assert tuple(given[5, 3]) == (90, 150, 210)
    assert tuple(given[5, 6]) == (0, 0, 0)
    assert tuple(given[15, 15]) == (30, 50, 70)


def test_grid_places_every_sample():
    samples = [CASE_1, CASE_2, CASE_1]
    grid = sample_grid(samples, columns=2, tile=64)
    assert grid.dtype == np.uint8 and grid.shape[1] == 2 * 12 + 2 * (3 * 64 + 4 + 14) - 14
    # Orange appears only where a case 1 is, and in the legend at the bottom.
    orange = (grid == HIDDEN).all(axis=-1)
    rows, columns = 2, 2
    assert rows * columns == 4
    middle = 12 + 3 * 64 + 4 + 7
    tiles = slice(12 + 24, 12 + 24 + 64)
    assert orange[tiles, :middle].sum() == (64 // 16) ** 2 * 8 * 2
    assert orange[tiles, middle:].sum() == 0
    second = slice(12 + 24 + 64 + 7 + 24, 12 + 24 + 64 + 7 + 24 + 64)
    assert orange[second, :middle].sum() == (64 // 16) ** 2 * 8 * 2
    assert (grid[second, middle + 7 :] == 255).all()
    assert orange[second.stop :].any()


def test_label_color_tells_the_case():
    for sample, case in ((CASE_1, 1), (CASE_2, 2)):
        # Not to the band's last row: matplotlib 3.6 puts what lies below one pixel higher.
        label = sample_grid([sample])[12 : 12 + 22].astype(int)
        darkest = label.reshape(-1, 3)[label.sum(axis=-1).argmin()]
        other = CASE_COLORS[3 - case]
        # How dark small text gets depends on the release of matplotlib, its hue does not.
        ink = np.array(PAPER) - darkest
        assert _angle(ink, np.array(PAPER) - CASE_COLORS[case]) < _angle(
            ink, np.array(PAPER) - other
        )


def test_grid_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        sample_grid([])


def test_prediction_colors():
    target, eraser = CASE_1["modal_mask"], CASE_1["eraser"]
    picture = overlay_prediction(target, eraser, torch.ones(16, 16, dtype=torch.bfloat16))
    assert picture.shape == (16, 48, 3) and picture.dtype == np.uint8
    given, wanted, predicted = np.split(picture, 3, axis=1)
    assert [tuple(given[5, x]) for x in (3, 6, 12)] == [(255,) * 3, ERASER, EMPTY]
    assert [tuple(wanted[5, x]) for x in (3, 6, 8, 12)] == [VISIBLE, HIDDEN, ERASER, EMPTY]
    assert [tuple(predicted[5, x]) for x in (3, 6, 8, 12)] == [VISIBLE, HIDDEN, HIDDEN, SPILLED]
    nothing = overlay_prediction(target, eraser, np.zeros((16, 16)))[:, 32:]
    assert [tuple(nothing[5, x]) for x in (3, 6, 12)] == [EMPTY, ERASER, EMPTY]
    half = overlay_prediction(target, eraser, np.full((16, 16), 0.5))[5, 32 + 12].astype(float)
    np.testing.assert_allclose(half, (np.array(EMPTY) + SPILLED) / 2, atol=0.51)


def test_training_image_stacks_the_first_samples():
    masks = torch.as_tensor(np.stack([CASE_1["modal_mask"], CASE_2["modal_mask"]]))
    erasers = torch.as_tensor(np.stack([CASE_1["eraser"], CASE_2["eraser"]]))
    probabilities = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0))
    picture = training_image(masks, erasers, probabilities)
    assert picture.shape == (32, 48, 3)
    expected = overlay_prediction(masks[1], erasers[1], probabilities[1])
    np.testing.assert_array_equal(picture[16:], expected)
    assert training_image(masks, erasers, probabilities, max_samples=1).shape == (16, 48, 3)


def test_split_batch():
    batch = {
        "modal_mask": torch.stack([torch.as_tensor(s["modal_mask"]) for s in (CASE_1, CASE_2)]),
        "eraser": torch.stack([torch.as_tensor(s["eraser"]) for s in (CASE_1, CASE_2)]),
        "category_id": torch.tensor([4, 2]),
    }
    samples = split_batch(batch)
    assert [case_of(s) for s in samples] == [1, 2]
    assert [int(s["category_id"]) for s in samples] == [4, 2]
