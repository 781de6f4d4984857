"""PCNet-M: what the network sees, and the loss of eq. 1."""

from __future__ import annotations

import math

import pytest
import torch

from deocclusion_d2.modeling import UNet
from deocclusion_d2.systems.pcnet_m.losses import partial_completion_loss
from deocclusion_d2.systems.pcnet_m.network import PCNetM
from tests.helpers import random_model


def batch(rgb: bool = False) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    masks = torch.randint(0, 2, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    out = {"modal_mask": masks[0], "eraser": masks[1], "category_id": torch.tensor([4, 2, 1])}
    if rgb:
        out["image"] = torch.randint(0, 256, (3, 32, 32, 3), generator=generator, dtype=torch.uint8)
    return out


def test_loss_by_hand():
    # One 1 x 2 patch. Left pixel: target 1, under the eraser, p(fg) = 0.75; right pixel: target 0,
    # outside, p(fg) = 0.5. (5 * -ln 0.75 + 1 * -ln 0.5) / 2 = 1.0658
    logits = torch.tensor([[[[0.0, 0.0]], [[math.log(3.0), 0.0]]]])
    target, eraser = torch.tensor([[[1, 0]]]), torch.tensor([[[1, 0]]])
    loss = partial_completion_loss(logits, target, eraser, weight_in_eraser=5.0)
    assert loss.item() == pytest.approx((5 * -math.log(0.75) - math.log(0.5)) / 2)


def test_input_hides_what_the_eraser_covers_and_carries_the_category():
    data = batch(rgb=True)
    model = random_model(use_rgb=True)
    x = model.network_input(data)
    visible = data["modal_mask"].bool() & ~data["eraser"].bool()
    for k, category in enumerate((4, 2, 1)):
        assert torch.equal(x[k, 0], visible[k] * float(category))
        assert torch.equal(x[k, 1], data["eraser"][k].float())
    erased = data["eraser"].bool()
    assert (x[:, 2:].permute(0, 2, 3, 1)[erased] == 0).all()
    red = (data["image"][..., 0] / 255.0 - 0.485) / 0.229
    assert torch.allclose(x[:, 2][~erased], red[~erased], atol=1e-6)


def test_a_gap_hides_the_target_and_is_no_eraser():
    data = batch()
    data["gap"] = torch.zeros_like(data["eraser"])
    data["gap"][:, :, :5] = 1
    x = random_model().network_input(data)
    plain = random_model().network_input(batch())
    assert torch.equal(x[:, 1], plain[:, 1])
    assert not x[:, 0, :, :5].any() and plain[:, 0, :, :5].any()
    assert torch.equal(x[:, 0, :, 5:], plain[:, 0, :, 5:])


def test_without_categories_the_mask_is_binary():
    model = PCNetM(network=UNet(2, 0.25), use_category=False)
    assert set(model.network_input(batch())[:, 0].unique().tolist()) == {0.0, 1.0}


def test_forward_in_training_and_evaluation():
    model = random_model()
    data = batch()
    probability = model(data)["probability"]
    softmax = torch.softmax(model.network(model.network_input(data)), dim=1)[:, 1]
    assert torch.allclose(probability, softmax, atol=1e-6)
    model.train()
    losses = model(data)
    assert set(losses) == {"loss_partial_completion"}
    losses["loss_partial_completion"].backward()
    assert all(p.grad is not None for p in model.parameters())
