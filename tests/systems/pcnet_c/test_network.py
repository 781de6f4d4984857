"""PCNet-C: what each loss is, whose parameters it moves, and what the network may not see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.content.smooth_fill import smooth_fill
from deocclusion_d2.modeling.discriminator import PatchDiscriminator
from deocclusion_d2.modeling.losses import discriminator_loss, looks_real_loss
from deocclusion_d2.systems.pcnet_c.losses import gram_matrix, masked_l1, total_variation
from deocclusion_d2.systems.pcnet_c.network import ContentLossWeights, PCNetC
from deocclusion_d2.systems.pcnet_c.partial_conv_unet import PartialConvUNet
from deocclusion_d2.systems.pcnet_c.vgg_features import VGGFeatures

SIDE = 128


def batch(count: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random colours; a hole of 40 x 30 px; in the first sample 20 rows beyond the image."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (count, SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)
    mask, hole, outside = (torch.zeros(count, SIDE, SIDE, dtype=torch.uint8) for _ in range(3))
    mask[:, 20:100, 20:100] = 1
    hole[:, 50:80, 30:70] = 1
    mask[hole > 0] = 0
    outside[0, -20:] = 1
    return {
        "image": image,
        "modal_mask": mask,
        "hole": hole,
        "outside": outside,
        "category_id": torch.tensor([4, 1])[:count],
    }


def small_model(**options) -> PCNetC:
    torch.manual_seed(0)
    return PCNetC(network=PartialConvUNet(width=1 / 16), **options)


class ConstantNetwork(nn.Module):
    """Gives one colour everywhere, and keeps what it was given."""

    def __init__(self, *color: float) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, 1, 1)
        self.color = nn.Parameter(torch.tensor(color).view(1, 3, 1, 1))

    def forward(self, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        self.seen = x, valid
        return self.color.expand(len(x), 3, *x.shape[2:])


def plain(network: nn.Module, **weights: float) -> PCNetC:
    """Colours of 0 to 1, without statistics; losses that are not given have no weight."""
    off = {"perceptual": 0.0, "style": 0.0, "adversarial": 0.0, **weights}
    return PCNetC(
        network=network,
        weights=ContentLossWeights(**off),
        pixel_mean=(0.0, 0.0, 0.0),
        pixel_std=(1.0, 1.0, 1.0),
    )


# ---- losses -----------------------------------------------------------------------------------


def test_l1_losses_by_hand():
    sample = {k: v[:1] for k, v in batch().items()}
    sample["image"].fill_(51)  # 0.2
    losses = plain(ConstantNetwork(0.5, 0.2, 0.2))(sample)
    # Of the patch's 3 values a pixel one is off by 0.3.
    hole, outside, size = 30 * 40, 20 * SIDE, SIDE * SIDE
    assert losses["loss_hole"].item() == pytest.approx(6 * 0.3 * hole / (3 * size))
    assert losses["loss_valid"].item() == pytest.approx(0.3 * (size - hole - outside) / (3 * size))
    # The filled hole has 2 x 30 horizontal and 2 x 40 vertical steps of 0.3; the image itself has a
    # row of vertical ones at its border, of 0.2 in three colours.
    across = 2 * 30 * 0.3 / (3 * SIDE * (SIDE - 1))
    down = (2 * 40 * 0.3 + SIDE * 3 * 0.2) / (3 * SIDE * (SIDE - 1))
    assert losses["loss_tv"].item() == pytest.approx(0.1 * (across + down), rel=1e-5)
    assert set(losses) == {"loss_valid", "loss_hole", "loss_tv"}


def test_small_losses_by_hand():
    image = torch.tensor([[[[0.0, 1.0], [3.0, 3.0]]]])
    assert total_variation(image).item() == (1 + 0) / 2 + (3 + 2) / 2
    mask = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    assert masked_l1(image, torch.zeros(1, 1, 2, 2), mask).item() == 3 / 4
    features = torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]])
    expected = torch.tensor([[[5.0, 2.0], [2.0, 1.0]]]) / 4
    assert torch.equal(gram_matrix(features), expected)
    # Probabilities of "real": 3/4 for the real one, 1/4 for the fake.
    real, fake = torch.tensor([np.log(3)]), torch.tensor([-np.log(3)])
    assert discriminator_loss(real, fake).item() == pytest.approx(-np.log(0.75))
    assert looks_real_loss(fake).item() == pytest.approx(-np.log(0.25))


def test_features_see_raw_and_composited_output():
    """With a patch's mean colour as its feature, both losses are plain averages."""

    class MeanColour:
        def __call__(self, x):
            return [x.double().mean((2, 3), keepdim=True)]

    network = ConstantNetwork(0.5, 0.5, 0.5)
    model = plain(network, perceptual=1.0, style=1.0)
    model.features = MeanColour()
    sample = {k: v[1:] for k, v in batch().items()}
    sample["image"].fill_(51)
    losses = model(sample)
    share = 30 * 40 / SIDE**2
    assert losses["loss_perceptual"].item() == pytest.approx(0.3 + 0.3 * share, rel=1e-5)
    # Gram matrices: products of the three colours' means over 3.
    composited = 0.2 + 0.3 * share
    expected = (0.5**2 - 0.2**2) / 3 + (composited**2 - 0.2**2) / 3
    assert losses["loss_style"].item() == pytest.approx(expected, rel=1e-5)


def test_each_side_moves_its_own_parameters_only():
    model = small_model(
        discriminator=PatchDiscriminator(width=1 / 16),
        weights=ContentLossWeights(perceptual=0, style=0),
    ).train()
    parameters = {
        "network": list(model.network.parameters()),
        "discriminator": list(model.discriminator.parameters()),
    }
    losses = model(batch())
    assert len(losses) == 5
    for name, loss in losses.items():
        moved = "discriminator" if name == "loss_discriminator" else "network"
        for side, tensors in parameters.items():
            gradients = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
            if side == moved:
                assert all(g is not None for g in gradients), (name, side)
                assert any(g.abs().max() > 0 for g in gradients), (name, side)
            else:
                assert all(g is None for g in gradients), (name, side)


class MeanRed(nn.Module):
    """Stands for the discriminator: the redder a patch, the more real."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor, frozen: bool = False) -> torch.Tensor:
        slope = self.slope.detach() if frozen else self.slope
        return slope * x[:, :1].mean((2, 3), keepdim=True)


def test_the_two_sides_pull_against_each_other():
    """By hand, after one backward pass over all losses."""
    network = ConstantNetwork(0.5, 0.5, 0.5)
    model = plain(network, valid=0.0, hole=0.0, total_variation=0.0, adversarial=0.3)
    model.discriminator = MeanRed()
    sample = {k: v[1:] for k, v in batch().items()}
    sample["image"].fill_(51)  # 0.2
    sum(model(sample).values()).backward()
    share = 30 * 40 / SIDE**2
    real, fake = 0.2, 0.2 + 0.3 * share
    looks_real, looks_fake = (1 / (1 + np.exp(-2 * red)) for red in (real, fake))
    # The network's hole is to be redder, which looks more real ...
    pull = -0.3 * (1 - looks_fake) * 2 * share
    assert network.color.grad.flatten().tolist() == pytest.approx([pull, 0, 0])
    # ... so that the discriminator is to trust red less, but for the real patch it would more.
    pull = (looks_fake * fake - (1 - looks_real) * real) / 2
    assert model.discriminator.slope.grad.item() == pytest.approx(pull, rel=1e-5) and pull > 0
    # The discriminator's own settings, for the one optimizer of both.
    first, second = model.optimizer_groups()
    assert first == {"params": [*network.parameters()]}
    assert second == {
        "params": [model.discriminator.slope], "lr_factor": 0.1, "betas": (0.0, 0.9)
    }  # fmt: skip


# ---- what is seen -----------------------------------------------------------------------------


def test_input_of_the_network():
    network = ConstantNetwork(0.0, 0.0, 0.0)
    sample = batch()
    plain(network).eval()(sample)
    x, valid = network.seen
    assert torch.allclose(x[:, :3], sample["image"].permute(0, 3, 1, 2) / 255.0)
    assert torch.equal(x[0, 3], 4.0 * sample["modal_mask"][0])  # times the category
    expected = (sample["hole"] == 0) & (sample["outside"] == 0)
    assert torch.equal(valid[:, 0] > 0, expected)
    model = plain(network)
    model.use_category = False
    model.eval()(sample)
    assert network.seen[0][:, 3].max() == 1


def test_colours_come_back():
    sample = batch()
    model = PCNetC(network=ConstantNetwork(1.0, 0.0, -1.0)).eval()
    with torch.no_grad():
        rgb = model(sample)["rgb"]
    assert rgb.shape == (2, SIDE, SIDE, 3) and rgb.dtype == torch.float32
    expected = 255 * torch.tensor([0.485 + 0.229, 0.456, 0.406 - 0.225])
    assert torch.allclose(rgb, expected.expand_as(rgb))


def test_holes_and_outside_are_not_seen():
    model = small_model().eval()
    sample = batch()
    hidden = (sample["hole"] > 0) | (sample["outside"] > 0)
    changed = {**sample, "image": sample["image"].clone()}
    changed["image"][hidden] = 255 - changed["image"][hidden]
    with torch.no_grad():
        expected = model(sample)["rgb"]
        assert torch.equal(model(changed)["rgb"], expected)
        changed["image"][~hidden] = 255 - changed["image"][~hidden]
        assert not torch.allclose(model(changed)["rgb"], expected, atol=1)


def test_what_lies_outside_is_not_judged():
    model = small_model(
        discriminator=PatchDiscriminator(width=1 / 16),
        weights=ContentLossWeights(perceptual=0, style=0),
    ).eval()
    sample = batch()
    changed = {**sample, "image": sample["image"].clone()}
    changed["image"][sample["outside"] > 0] = 7
    model.training = True  # losses, without updating statistics
    with torch.no_grad():
        expected, losses = model(sample), model(changed)
    assert all(torch.equal(losses[name], value) for name, value in expected.items())


# ---- discriminator ----------------------------------------------------------------------------


def test_discriminator_has_the_released_shapes():
    shapes = [tuple(p.shape) for p in PatchDiscriminator().parameters()]
    assert shapes == [
        (64, 4, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1, 512, 4, 4)
    ]  # fmt: skip
    small = PatchDiscriminator(width=1 / 16)
    assert small(torch.rand(2, 4, SIDE, SIDE)).shape == (2, 1, SIDE // 8 - 2, SIDE // 8 - 2)


def test_discriminator_is_normalised():
    torch.manual_seed(0)
    network = PatchDiscriminator(width=1 / 16).train()
    for parameter in network.parameters():
        parameter.data.mul_(7)
    for _ in range(50):  # power iteration, one step a forward
        network(torch.rand(1, 4, 32, 32))
    for layer in network.layers:
        matrix = layer.weight.detach().flatten(1)
        assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, rel=1e-2)


def test_frozen_discriminator_is_the_same_function():
    network = PatchDiscriminator(width=1 / 16).train()
    x = torch.rand(1, 4, 32, 32, requires_grad=True)
    network(x)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    frozen = network(x, frozen=True)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert network.training and network.layers[0].training
    assert torch.allclose(frozen, network.eval()(x))
    assert torch.autograd.grad(frozen.sum(), x)[0].abs().max() > 0


# ---- VGG --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    """The layers that count, random, under torchvision's names."""
    torch.manual_seed(0)
    state = {}
    sizes = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256)}
    sizes |= {12: (256, 256), 14: (256, 256)}
    for layer, (inside, out) in sizes.items():
        state[f"features.{layer}.weight"] = torch.randn(out, inside, 3, 3) / (9 * inside) ** 0.5
        state[f"features.{layer}.bias"] = torch.zeros(out)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, path)
    return path


def test_vgg_from_a_file(vgg_file):
    features = VGGFeatures.load(str(vgg_file))
    x = torch.rand(1, 3, 32, 32)
    shapes = [tuple(f.shape[1:]) for f in features(x)]
    assert shapes == [(64, 16, 16), (128, 8, 8), (256, 4, 4)]
    state = torch.load(vgg_file, weights_only=True)
    y = nn.functional.conv2d(x, state["features.0.weight"], padding=1).relu()
    y = nn.functional.conv2d(y, state["features.2.weight"], padding=1).relu()
    assert torch.allclose(features(x)[0], nn.functional.max_pool2d(y, 2), atol=1e-6)


def test_vgg_is_no_part_of_checkpoints(vgg_file):
    model = small_model(weights=ContentLossWeights(adversarial=0))
    names = set(model.state_dict())
    model.features = VGGFeatures.load(str(vgg_file))
    assert set(model.state_dict()) == names
    losses = model.train()(batch())
    assert {"loss_perceptual", "loss_style"} <= set(losses)
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.network.parameters())


def test_vgg_files_that_are_none(tmp_path, vgg_file):
    off = "MODEL.PCNET_C.PERCEPTUAL_WEIGHT 0 MODEL.PCNET_C.STYLE_WEIGHT 0"
    with pytest.raises(UserError, match=f"VGG_WEIGHTS.*does not exist.*{off}"):
        VGGFeatures.load(str(tmp_path / "none.pth"))
    state = torch.load(vgg_file, weights_only=True)
    del state["features.7.bias"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(UserError, match="lacks the tensor '7.bias'"):
        VGGFeatures.load(str(tmp_path / "part.pth"))
    state["features.7.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(UserError, match="other shapes"):
        VGGFeatures.load(str(tmp_path / "part.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UserError, match="is no VGG-16 state dict"):
        VGGFeatures.load(str(tmp_path / "text.pth"))


def test_vgg_that_cannot_be_downloaded(monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", no_network)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", no_network)
    with pytest.raises(UserError, match="VGG_WEIGHTS.*PERCEPTUAL_WEIGHT 0"):
        VGGFeatures.load()


def test_pcnet_c_begins_with_the_fill():
    torch.manual_seed(0)
    model = PCNetC(network=PartialConvUNet(width=1 / 16), prefill=True).eval()
    sample = batch()
    known = ((sample["hole"] | sample["outside"]) == 0)[:, None]
    image = sample["image"].permute(0, 3, 1, 2).float()
    expected = smooth_fill(image, known, sample["modal_mask"][:, None])
    with torch.no_grad():
        rgb = model(sample)["rgb"].permute(0, 3, 1, 2)
        assert torch.allclose(rgb, expected, atol=1e-2)
        model.network.head.bias.data.fill_(1.0)  # one deviation in every colour
        brighter = model(sample)["rgb"].permute(0, 3, 1, 2) - rgb
    deviation = 255 * torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    assert torch.allclose(brighter, deviation.expand_as(brighter), atol=1e-2)
