"""Pictures of training samples: what each tile shows, and in which colour."""

from __future__ import annotations

import numpy as np
import torch

from deocclusion_d2.systems.amodal_vae.losses import UNKNOWN
from deocclusion_d2.systems.amodal_vae.pictures import (
    EMPTY,
    HIDDEN,
    UNSURE,
    VISIBLE,
    draw_samples,
)

SIZE, TILE, STEP = 8, 112, 116


def batch_of(count: int = 2) -> dict[str, torch.Tensor]:
    """The visible part fills its box; the whole object reaches half of the box's height above it.

    The second sample is an object that is really hidden: what lies above is not known.
    """
    framed = torch.zeros(2, 16, 16, dtype=torch.uint8)
    framed[:, 4:12, 4:12] = 1
    framed[0, 0:4, 4:12], framed[1, 0:4, 4:12] = 1, UNKNOWN
    batch = {
        "partial": torch.full((2, SIZE, SIZE), 255, dtype=torch.uint8),
        "full": torch.ones(2, SIZE, SIZE, dtype=torch.uint8),
        "framed": framed,
        "frame": torch.full((2,), 2.0),
        "is_whole": torch.tensor([1, 0], dtype=torch.uint8),
    }
    return {key: values[:count] for key, values in batch.items()}


def tile(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = 22 + row * STEP, column * STEP
    return picture[top : top + TILE, left : left + TILE]


def colours(tile: np.ndarray) -> list[list[int]]:
    """Above the box, in it, and beside it."""
    return [tile[y, x].tolist() for y, x in ((10, 56), (56, 56), (56, 5))]


def test_a_sample_of_a_whole_object_and_one_that_is_hidden():
    # In one row: two samples of three tiles, and a gap more between them.
    picture = draw_samples(batch_of())
    assert picture.dtype == np.uint8 and picture.shape[0] == 22 + STEP + 22
    first, second = picture[22:134, : 3 * STEP], picture[22:134, 3 * STEP + 4 :]
    assert (first[:, : 2 * STEP - 4] == 255).all()
    assert colours(first[:, 2 * STEP :]) == [list(HIDDEN), list(VISIBLE), list(EMPTY)]
    assert (second[:, STEP : STEP + TILE] == UNSURE).all()
    assert colours(second[:, 2 * STEP :]) == [list(UNSURE), list(VISIBLE), list(EMPTY)]


def test_what_the_network_completes_lies_in_its_box():
    result = {
        "probability": torch.full((2, SIZE, SIZE), 0.5),
        # 1.5 times as high, up to the upper border of the frame; as it is.
        "box": torch.tensor([[0, -0.25, 0, np.log(1.5)], [0, 0, 0, 0]], dtype=torch.float32),
    }
    picture = draw_samples(batch_of(), result)
    assert picture.shape[0] == 22 + 2 * STEP + 22
    grey = tile(picture, 0, 2)
    assert (grey == grey[0, 0]).all() and 120 < grey[0, 0, 0] < 150
    assert colours(tile(picture, 0, 3)) == [list(HIDDEN), list(VISIBLE), list(EMPTY)]
    half = [[round((a + b) / 2) for a, b in zip(EMPTY, c, strict=True)] for c in (HIDDEN, VISIBLE)]
    above, inside, beside = colours(tile(picture, 0, 4))
    assert np.abs(np.array([above, inside]) - half).max() <= 1 and beside == list(EMPTY)
    assert colours(tile(picture, 1, 4))[0] == list(EMPTY)


def test_one_sample_and_a_row_that_is_not_full():
    assert draw_samples(batch_of(1)).shape[0] == 22 + STEP + 22
    many = {key: values.repeat_interleave(2, 0) for key, values in batch_of().items()}
    picture = draw_samples(many)
    assert picture.shape[0] == 22 + 2 * STEP + 22
    assert (picture[22 + STEP : 22 + 2 * STEP, 4 * STEP :] == 255).all()
