"""AmodalUNet, OrderNet and ModalUNet: what they see, their losses, and OrderNet's antisymmetry."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from deocclusion_d2.config import load_config
from deocclusion_d2.modeling import UNet
from deocclusion_d2.systems.amodal_unet.network import AmodalUNet
from deocclusion_d2.systems.modal_unet.network import ModalUNet
from deocclusion_d2.systems.order_net.network import OrderNet
from tests.helpers import RuleNetwork, random_order_net

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def masks(count: int, number: int = 3, size: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 2, (count, number, size, size), generator=generator, dtype=torch.uint8)


def images(number: int = 3, size: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (number, size, size, 3)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


class ConstantLogits(nn.Module):
    """Stands for a network: every pixel (or pair) has the same two logits."""

    def __init__(self, logits: tuple[float, float], pixels: bool) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)  # the model asks it for its dtype
        self.logits, self.pixels = logits, pixels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.tensor([self.logits]).expand(len(x), 2)
        return logits[:, :, None, None].expand(-1, -1, *x.shape[2:]) if self.pixels else logits


def test_amodal_unet_sees_the_modal_mask_times_its_category():
    modal = masks(1)[0]
    batch = {"modal_mask": modal, "category_id": torch.tensor([4, 2, 1])}
    x = AmodalUNet(network=UNet(1, 0.25)).network_input(batch)
    expected = modal.float() * torch.tensor([4.0, 2.0, 1.0]).view(3, 1, 1)
    assert torch.equal(x, expected[:, None])
    plain = AmodalUNet(network=UNet(1, 0.25), use_category=False)
    assert torch.equal(plain.network_input(batch), modal.float()[:, None])


def test_losses_by_hand():
    """Foreground probability 0.75 everywhere; of 4 pixels 1 is foreground."""
    target = torch.tensor([[[1, 0], [0, 0]]], dtype=torch.uint8)
    expected = -(math.log(0.75) + 3 * math.log(0.25)) / 4
    network = ConstantLogits((0.0, math.log(3.0)), pixels=True)
    batch = {
        "modal_mask": torch.zeros_like(target),
        "amodal_mask": target,
        "category_id": torch.tensor([1]),
    }
    loss = AmodalUNet(network=network)(batch)
    assert loss.keys() == {"loss_amodal"}
    assert loss["loss_amodal"].item() == pytest.approx(expected)
    batch = {"image": images(1, 2), "box": torch.ones_like(target), "modal_mask": target}
    loss = ModalUNet(network=network)(batch)
    assert loss.keys() == {"loss_modal"}
    assert loss["loss_modal"].item() == pytest.approx(expected)
    # The first is in front with probability 0.75 in both pairs; it truly is in one of them.
    network = ConstantLogits((math.log(3.0), 0.0), pixels=False)
    first, second = masks(2, 2, 4)
    label = torch.tensor([1, 0])
    batch = {"first_mask": first, "second_mask": second, "first_in_front": label}
    loss = OrderNet(network=network)(batch)
    assert loss.keys() == {"loss_order"}
    expected = -(math.log(0.75) + math.log(0.25)) / 2
    assert loss["loss_order"].item() == pytest.approx(expected)


def test_probability_is_that_of_the_foreground():
    model = AmodalUNet(network=RuleNetwork(lambda visible, _: visible), use_category=False).eval()
    model.network.forward = lambda x: torch.stack([-4 * x[:, 0], 4 * x[:, 0]], dim=1)
    modal = masks(1)[0]
    probability = model({"modal_mask": modal})["probability"]
    assert probability.shape == (3, 32, 32) and probability.dtype == torch.float32
    assert torch.allclose(probability, torch.sigmoid(8 * modal.float()))


def test_modal_unet_sees_colours_and_box():
    image, box = images(), masks(1)[0]
    model = ModalUNet(network=UNet(4, 0.25))
    x = model.network_input({"image": image, "box": box})
    assert x.shape == (3, 4, 32, 32)
    for k in range(3):
        assert torch.allclose(x[:, k], (image[..., k] / 255.0 - MEAN[k]) / STD[k], atol=1e-6)
    assert torch.equal(x[:, 3], box.float())
    probability = model.eval()({"image": image, "box": box})["probability"]
    assert probability.shape == (3, 32, 32)


@pytest.mark.parametrize("use_rgb", [False, True])
def test_order_net_is_exactly_antisymmetric(use_rgb):
    model = random_order_net(use_rgb)
    # Blocks, for what the network pools differs little between masks of single random pixels.
    first, second = masks(2, 5, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    batch = {"first_mask": first, "second_mask": second}
    if use_rgb:
        batch["image"] = images(5)
    with torch.no_grad():
        forth = model(batch)["first_in_front"]
        back = model({**batch, "first_mask": second, "second_mask": first})["first_in_front"]
        same = model({**batch, "second_mask": first})["first_in_front"]
        # Both orders by hand.
        x = model.network_input(batch)
        y = model.network_input({**batch, "first_mask": second, "second_mask": first})
        p, q = (torch.softmax(model.network(v), dim=1)[:, 0] for v in (x, y))
    assert x.shape == (5, 5 if use_rgb else 2, 32, 32)
    assert forth.dtype == torch.float32 and torch.equal(back, 1 - forth)
    assert torch.equal(same, torch.full((5,), 0.5))
    assert torch.allclose(forth, (p + 1 - q) / 2, atol=1e-6)
    assert (forth - 0.5).abs().max() > 0.05  # the network does tell them apart


def test_order_net_of_a_config(tmp_path):
    """The coarsest feature map of Detectron2's ResNet is pooled; every weight learns."""
    path = tmp_path / "c.yaml"
    path.write_text(
        "MODEL: {META_ARCHITECTURE: OrderNet, BACKBONE: {FREEZE_AT: 0}, ORDER_NET: {USE_RGB: true},"
        " RESNETS: {DEPTH: 18, RES2_OUT_CHANNELS: 64, NORM: BN, OUT_FEATURES: [res3, res5]}}\n"
    )
    model = OrderNet(load_config(str(path)))
    assert model.network.head.in_features == 512
    assert model.network.backbone.stem.conv1.weight.shape[1] == 5
    first, second = masks(2, 4)
    batch = {"first_mask": first, "second_mask": second, "image": images(4)}
    model({**batch, "first_in_front": torch.tensor([1, 0, 1, 1])})["loss_order"].backward()
    assert all(p.grad is not None for p in model.parameters())
