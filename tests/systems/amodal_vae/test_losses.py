"""Losses of Amodal-VAE, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from deocclusion_d2.systems.amodal_vae.losses import (
    UNKNOWN,
    box_loss,
    framed_loss,
    kl_between_normals,
    kl_to_standard_normal,
    kl_weight,
    reconstruction_loss,
)

PAPER = (0.01, 0.5, 0.9995, 2000)


@pytest.mark.parametrize(
    ("step", "weight"),
    [(0, 0.01), (2000, 0.01), (2001, 0.010245), (3000, 0.20284), (10000, 0.49103), (10**6, 0.5)],
)
def test_the_annealed_weight(step: int, weight: float):
    assert kl_weight(step, *PAPER) == pytest.approx(weight, abs=5e-6)


def normal(mean: float, deviation: float, numbers: int = 1, count: int = 1):
    """Mean and log variance, (count, numbers) each."""
    shape = (count, numbers)
    return torch.full(shape, mean), torch.full(shape, 2 * math.log(deviation))


def test_kl_to_the_prior():
    """A sum over the code, for each sample of the batch."""
    assert kl_to_standard_normal(*normal(1, 1, 64, 3)).tolist() == pytest.approx([32] * 3)
    assert kl_to_standard_normal(*normal(0, 2)).item() == pytest.approx(0.80685, abs=1e-5)
    assert kl_to_standard_normal(*normal(0, 1, 5)).item() == 0


def test_kl_between_two():
    assert kl_between_normals(*normal(0, 1), *normal(0, 2)).item() == pytest.approx(
        0.31815, abs=1e-5
    )
    assert kl_between_normals(*normal(0, 1), *normal(1, 1)).item() == pytest.approx(0.5)
    assert kl_between_normals(*normal(3, 2, 4, 2), *normal(3, 2, 4, 2)).tolist() == [0, 0]
    # It is not symmetric: a wide one covers a narrow one cheaply.
    wide, narrow = normal(0, 3), normal(0, 0.5)
    assert kl_between_normals(*narrow, *wide) < kl_between_normals(*wide, *narrow)


def test_reconstruction_is_a_sum_over_pixels():
    found = reconstruction_loss(torch.zeros(2, 28, 28), torch.ones(2, 28, 28))
    assert found.item() == pytest.approx(784 * math.log(2), abs=1e-3)


def test_framed_masks():
    """Pixels of the frame count as many as they stand for."""
    logits = torch.full((1, 4, 4), -math.log(3))  # probability 0.25
    target = torch.zeros(1, 4, 4, dtype=torch.uint8)
    assert framed_loss(logits, target, 9.0).item() == pytest.approx(
        -9 * 16 * math.log(0.75), abs=1e-4
    )


def test_nothing_is_learnt_from_pixels_that_nobody_knows():
    """-ln 0.25 - ln 0.5, and the gradients p - t, whatever stands at the third pixel."""
    logits = torch.tensor([[[-math.log(3), 0.0, 9.0]]], requires_grad=True)
    target = torch.tensor([[[1, 0, UNKNOWN]]], dtype=torch.uint8)
    loss = framed_loss(logits, target, 1.0)
    assert loss.item() == pytest.approx(-math.log(0.25) - math.log(0.5))
    loss.backward()
    assert logits.grad[0, 0].tolist() == pytest.approx([-0.75, 0.5, 0])


def test_boxes():
    """Smooth L1 by hand: half of the square below 1, the distance less a half above.

    A tenth of a side and a fifth of a logarithm are 1.
    """
    found = box_loss(torch.tensor([[0.05, 0.0, 0.4, -0.6]]), torch.zeros(1, 4))
    assert found.tolist() == pytest.approx([0.125 + 0 + 1.5 + 2.5])
