"""SeGAN's losses and the painter's input, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from deocclusion_d2.systems.segan.losses import coloured_input, region_loss, straight_through

RED, BLUE = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]


def masks(side: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """A whole object and its visible part: 4 x 4 pixels of which the left half is seen."""
    whole = torch.zeros(1, side, side)
    whole[:, 2:6, 2:6] = 1
    visible = whole.clone()
    visible[:, :, 4:] = 0
    return whole, visible


def test_region_loss_of_indifference():
    """Every probability is 0.5: ln 2 in each region, weighted 1 + 5 + 3, or 1 + 5."""
    whole, visible = masks()
    logits = torch.zeros(1, 8, 8)
    assert region_loss(logits, whole, visible).item() == pytest.approx(9 * math.log(2))
    assert region_loss(logits, visible, visible).item() == pytest.approx(6 * math.log(2))
    two = region_loss(
        torch.zeros(2, 8, 8), torch.cat([whole, visible]), torch.cat([visible, visible])
    )
    assert two.item() == pytest.approx(7.5 * math.log(2))  # the mean of samples


def test_each_region_is_a_mean():
    """Wrong on one visible pixel of 8, and on two of 8 invisible ones."""
    whole, visible = masks()
    logits = (whole * 2 - 1) * 100
    logits[0, 2, 2] *= -1
    logits[0, 2:4, 5] *= -1
    assert region_loss(logits, whole, visible).item() == pytest.approx(5 * 100 / 8 + 3 * 200 / 8)
    # A region of so few pixels counts as if it had more.
    assert region_loss(logits, whole, visible, least=10).item() == pytest.approx(50 + 60)


def test_visible_pixels_beyond_the_object_are_background():
    whole, visible = masks()
    visible[0, 0, 0] = 1
    logits = (whole * 2 - 1) * 100
    assert region_loss(logits, whole, visible).item() == pytest.approx(0)


def test_the_painters_input():
    """One visible pixel, one hidden, two outside."""
    image = torch.full((1, 3, 2, 2), 0.25)
    visible = torch.tensor([[[[1.0, 0], [0, 0]]]])
    whole = torch.tensor([[[[1.0, 1], [0, 0]]]])
    seen = coloured_input(image, visible, whole)[0].permute(1, 2, 0)
    assert seen[0, 0].tolist() == [0.25] * 3 and seen[0, 1].tolist() == RED
    assert seen[1].tolist() == [BLUE, BLUE]


def test_soft_masks_mix_the_colours_outside_of_the_visible_part():
    image, visible = torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    visible[..., :2] = 1
    probability = torch.rand(1, 1, 4, 4, requires_grad=True)
    seen = coloured_input(image, visible, probability)
    torch.testing.assert_close(seen[0, 0, :, 2:], probability[0, 0, :, 2:])
    torch.testing.assert_close(seen[0, 2, :, 2:], 1 - probability[0, 0, :, 2:])
    seen.pow(2).sum().backward()
    assert not probability.grad[..., :2].any() and probability.grad[..., 2:].all()
    # At 0 and 1 both are the same.
    cut = (probability >= 0.5).float()
    hard = coloured_input(image, visible, straight_through(probability))
    torch.testing.assert_close(hard, coloured_input(image, visible, cut))


def test_a_cut_mask_has_the_gradient_of_the_probability():
    probability = torch.tensor([0.2, 0.5, 0.9], requires_grad=True)
    cut = straight_through(probability)
    assert cut.tolist() == [0, 1, 1]
    (cut * torch.tensor([1.0, 2, 3])).sum().backward()
    assert probability.grad.tolist() == [1, 2, 3]
