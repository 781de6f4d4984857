"""The released PCNet-C: its names, shapes and order, what its network computes, and its ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling.released import NetworkShape
from deocclusion_d2.systems.pcnet_c.partial_conv_unet import PartialConvUNet
from deocclusion_d2.systems.pcnet_c.released import ReleasedPCNetC
from tests.released import (
    batch_norm,
    from_official,
    normalise,
    refusal,
    small_state,
    to_official,
)
from tests.systems.pcnet_c.test_partial_conv_unet import holes, small_network

LAYOUT = ReleasedPCNetC()

# The released network, written down apart from the package: name, in, out, kernel.
PCNET_C = [
    ("enc_1", 4, 64, 7),
    ("enc_2", 64, 128, 5),
    ("enc_3", 128, 256, 5),
    ("enc_4", 256, 512, 3),
    ("enc_5", 512, 512, 3),
    ("enc_6", 512, 512, 3),
    ("enc_7", 512, 512, 3),
    ("dec_5", 1024, 512, 3),
    ("dec_6", 1024, 512, 3),
    ("dec_7", 1024, 512, 3),
    ("dec_4", 768, 256, 3),
    ("dec_3", 384, 128, 3),
    ("dec_2", 192, 64, 3),
    ("dec_1", 68, 3, 3),
]


def written_down() -> list[tuple[str, tuple[int, ...]]]:
    tensors: list[tuple[str, tuple[int, ...]]] = []
    for name, inside, out, kernel in PCNET_C:
        shape = (out, inside, kernel, kernel)
        tensors.append((f"{name}.conv.input_conv.weight", shape))
        if name == "dec_1":
            tensors.append(("dec_1.conv.input_conv.bias", (3,)))
        tensors.append((f"{name}.conv.mask_conv.weight", shape))
        if name not in ("enc_1", "dec_1"):
            tensors += batch_norm(f"{name}.bn", out)
    return tensors


def test_layout_is_the_one_written_down():
    expected = written_down()
    assert len(expected) == 89
    assert [(e.official, e.shape) for e in LAYOUT.entries()] == expected


def test_layout_is_that_of_the_released_file(released_layout):
    expected = [(name, tuple(shape)) for name, shape in released_layout["pcnet_c"].items()]
    assert [(f"module.{e.official}", e.shape) for e in LAYOUT.entries()] == expected


def test_released_discriminator_is_refused(released_layout):
    state = {name: torch.zeros(shape) for name, shape in released_layout["discriminator"].items()}
    with pytest.raises(UserError, match="^this is the discriminator of PCNet-C"):
        from_official({"state_dict": state})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("network.encoder.0.conv.weight", "module.enc_1.conv.input_conv.weight"),
        ("network.encoder.6.norm.running_mean", "module.enc_7.bn.running_mean"),
        ("network.decoder.0.conv.weight", "module.dec_7.conv.input_conv.weight"),
        ("network.decoder.1.norm.bias", "module.dec_6.bn.bias"),
        ("network.decoder.2.norm.weight", "module.dec_5.bn.weight"),
        ("network.decoder.6.conv.bias", "module.dec_1.conv.input_conv.bias"),
    ],
)
def test_names(ours, theirs):
    state = small_state("pcnet_c")
    state[ours] = torch.full_like(state[ours], 0.125)
    assert torch.equal(to_official(state)[theirs], state[ours])


def test_width_is_read_from_the_shapes():
    assert LAYOUT.read_shape(to_official(small_state("pcnet_c"))) == NetworkShape(4, 1 / 16)


def test_default_network_is_the_released_one():
    assert LAYOUT.read_shape({}) == NetworkShape(4, 1.0)
    with torch.device("meta"):
        state = {f"network.{k}": v for k, v in PartialConvUNet().state_dict().items()}
    assert [(n, tuple(v.shape)) for n, v in to_official(state).items()] == [
        (f"module.{name}", shape) for name, shape in written_down()
    ]


def released_pcnet_c(state, x, mask):
    """With a mask for every channel of every layer, and holes that hold what batch norm makes."""

    def block(name, x, mask, stride):
        weight = state[f"{name}.conv.input_conv.weight"]
        place = {"stride": stride, "padding": weight.shape[-1] // 2}
        count = F.conv2d(mask, state[f"{name}.conv.mask_conv.weight"], **place)
        out = F.conv2d(x * mask, weight, **place) / count.clamp(min=1)
        if name == "dec_1":
            out = out + state["dec_1.conv.input_conv.bias"].view(1, -1, 1, 1)
        out = torch.where(count > 0, out, torch.zeros(()))
        if f"{name}.bn.weight" in state:
            out = normalise(state, f"{name}.bn", out)
        if name.startswith("enc"):
            out = out.relu()
        elif name != "dec_1":
            out = torch.where(out > 0, out, 0.2 * out)
        return out, (count > 0).float()

    levels = [(x, mask)]
    for i in range(1, 8):
        levels.append(block(f"enc_{i}", *levels[-1], stride=2))
    x, mask = levels[7]
    for i in range(7, 0, -1):
        doubled = [t.repeat_interleave(2, 2).repeat_interleave(2, 3) for t in (x, mask)]
        x, mask = (torch.cat([a, b], 1) for a, b in zip(doubled, levels[i - 1], strict=True))
        x, mask = block(f"dec_{i}", x, mask, stride=1)
    return x


@pytest.mark.parametrize("released", [True, False])
def test_pcnet_c_computes_what_the_released_one_does(released):
    """With gains of its own, a network is exported with weights that make up for them."""
    network = small_network(released)
    model_state = {f"network.{k}": v for k, v in network.state_dict().items()}
    state = {k.removeprefix("module."): v for k, v in to_official(model_state).items()}
    x, mask = torch.randn(2, 4, 128, 128), holes(2, 4, 128, 128)
    mask[:, 3] = 1  # the modal mask has no hole
    mask[1, :, 40:] = 0  # holes that reach deep levels
    with torch.no_grad():
        expected = released_pcnet_c(state, x, mask)
        out = network(x, mask)
    assert expected.std() > 0.01
    assert torch.allclose(out, expected, atol=1e-4 * float(expected.std()), rtol=1e-4)


def test_an_inpainting_network_becomes_a_pcnet_c_that_ignores_the_mask():
    network = small_network(released=True, in_channels=3)
    state = {f"network.{k}": v for k, v in network.state_dict().items()}
    official = to_official(state)
    assert official["module.enc_1.conv.input_conv.weight"].shape == (4, 3, 7, 7)
    other = small_network(in_channels=4)
    ours = {k.removeprefix("network."): v for k, v in from_official(official).items()}
    other.load_state_dict(ours)
    rgb, masks = torch.randn(2, 3, 128, 128), torch.randn(2, 2, 1, 128, 128)
    valid = torch.ones(2, 1, 128, 128)
    with torch.no_grad():
        expected = network(rgb, valid)
        results = [other(torch.cat([rgb, mask], 1), valid) for mask in masks]
        assert expected.std() > 0.01
        for result in results:
            assert torch.allclose(result, expected, atol=1e-5, rtol=1e-4)
        # The last layer divides by what is valid of 4 upsampled channels and 4 or 3 of the image:
        # in holes by 4 of 8 instead of 4 of 7 (at full width by 64 of 68 instead of 64 of 67).
        valid = holes(2, 1, 128, 128)
        expected = network(rgb, valid)
        result = other(torch.cat([rgb, masks[0]], 1), valid)
        assert torch.allclose(result, expected, atol=1e-5, rtol=1 / 7 + 1e-3)


def test_input_channels_that_no_network_has_are_refused():
    state = to_official(small_state("pcnet_c"))
    for name in ("input_conv", "mask_conv"):
        state[f"module.enc_1.conv.{name}.weight"] = torch.ones(4, 5, 7, 7)
    assert "has (4, 5, 7, 7) instead of (4, 4, 7, 7)" in refusal(state)


def test_mask_convolutions_that_are_not_ones_are_refused():
    state = to_official(small_state("pcnet_c"))
    assert (state["module.dec_3.conv.mask_conv.weight"] == 1).all()
    state["module.dec_3.conv.mask_conv.weight"][0, 1, 2, 0] = 0.5
    assert refusal(state) == (
        "not all ones, as a released network has it: module.dec_3.conv.mask_conv.weight"
    )
