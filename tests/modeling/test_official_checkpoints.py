"""The released files: names, shapes, order, what their networks compute, and what is refused."""

from __future__ import annotations

import functools

import pytest
import torch
import torch.nn.functional as F

from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling import UNet
from deocclusion_d2.modeling.official_checkpoints import (
    NetworkShape,
    detect_kind,
    from_official,
    official_layout,
    read_shape,
    to_official,
)
from deocclusion_d2.systems.pcnet_c.partial_conv_unet import PartialConvUNet
from tests.helpers import random_model
from tests.systems.pcnet_c.test_partial_conv_unet import holes, small_network

# The released networks, written down apart from the package: convolutions as (in, out).
PCNET_M = {
    "inc.conv": [(2, 32), (32, 32)],
    "down1.mpconv.1": [(32, 64), (64, 64)],
    "down2.mpconv.1": [(64, 128), (128, 128)],
    "down3.mpconv.1": [(128, 256), (256, 256)],
    "down4.mpconv.1": [(256, 256), (256, 256)],
    "up1.conv": [(512, 128), (128, 128)],
    "up2.conv": [(256, 64), (64, 64)],
    "up3.conv": [(128, 32), (32, 32)],
    "up4.conv": [(64, 32), (32, 32)],
}
# Name, in, out, kernel.
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


def batch_norm(name: str, channels: int) -> list[tuple[str, tuple[int, ...]]]:
    vectors = [f"{name}.{x}" for x in ("weight", "bias", "running_mean", "running_var")]
    return [*((v, (channels,)) for v in vectors), (f"{name}.num_batches_tracked", ())]


def written_down(kind: str) -> list[tuple[str, tuple[int, ...]]]:
    tensors: list[tuple[str, tuple[int, ...]]] = []
    if kind == "pcnet_m":
        for block, convolutions in PCNET_M.items():
            for index, (inside, out) in zip((0, 3), convolutions, strict=True):
                name = f"{block}.conv.{index}"
                tensors += [(f"{name}.weight", (out, inside, 3, 3)), (f"{name}.bias", (out,))]
                tensors += batch_norm(f"{block}.conv.{index + 1}", out)
        return [*tensors, ("outc.conv.weight", (2, 32, 1, 1)), ("outc.conv.bias", (2,))]
    for name, inside, out, kernel in PCNET_C:
        shape = (out, inside, kernel, kernel)
        tensors.append((f"{name}.conv.input_conv.weight", shape))
        if name == "dec_1":
            tensors.append(("dec_1.conv.input_conv.bias", (3,)))
        tensors.append((f"{name}.conv.mask_conv.weight", shape))
        if name not in ("enc_1", "dec_1"):
            tensors += batch_norm(f"{name}.bn", out)
    return tensors


@functools.lru_cache
def _random_state(kind: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    if kind == "pcnet_m":
        state = random_model().state_dict()
    else:
        state = {f"network.{k}": v for k, v in small_network(released=True).state_dict().items()}
    for number, name in enumerate(n for n in state if n.endswith("num_batches_tracked")):
        state[name] = torch.tensor(100 + number)
    return state


def small_state(kind: str) -> dict[str, torch.Tensor]:
    """State dict of a small model with random weights, statistics and counters."""
    return {name: value.clone() for name, value in _random_state(kind).items()}


@pytest.fixture(params=["pcnet_m", "pcnet_c"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def official(kind) -> dict[str, torch.Tensor]:
    return to_official(small_state(kind), kind)


def test_layout_is_the_one_written_down(kind):
    expected = written_down(kind)
    assert len(expected) == {"pcnet_m": 128, "pcnet_c": 89}[kind]
    assert [(e.official, e.shape) for e in official_layout(kind)] == expected


def test_layout_is_that_of_the_released_files(kind, released_layout):
    expected = [(name, tuple(shape)) for name, shape in released_layout[kind].items()]
    assert [(f"module.{e.official}", e.shape) for e in official_layout(kind)] == expected


def test_released_discriminator_is_refused(released_layout):
    state = {name: torch.zeros(shape) for name, shape in released_layout["discriminator"].items()}
    with pytest.raises(UserError, match="^this is the discriminator of PCNet-C"):
        from_official({"state_dict": state})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("network.stem.3.weight", "module.inc.conv.conv.3.weight"),
        ("network.down.3.1.running_var", "module.down4.mpconv.1.conv.1.running_var"),
        ("network.up.0.0.bias", "module.up1.conv.conv.0.bias"),
        ("network.head.bias", "module.outc.conv.bias"),
        ("network.encoder.0.conv.weight", "module.enc_1.conv.input_conv.weight"),
        ("network.encoder.6.norm.running_mean", "module.enc_7.bn.running_mean"),
        ("network.decoder.0.conv.weight", "module.dec_7.conv.input_conv.weight"),
        ("network.decoder.1.norm.bias", "module.dec_6.bn.bias"),
        ("network.decoder.2.norm.weight", "module.dec_5.bn.weight"),
        ("network.decoder.6.conv.bias", "module.dec_1.conv.input_conv.bias"),
    ],
)
def test_names(ours, theirs):
    state = small_state("pcnet_c" if "coder" in ours else "pcnet_m")
    state[ours] = torch.full_like(state[ours], 0.125)
    assert torch.equal(to_official(state)[theirs], state[ours])


def test_round_trip_is_exact(kind, official):
    state = small_state(kind)
    assert detect_kind(official) == kind
    for checkpoint in (
        official,
        {"step": 7, "state_dict": official, "optimizer": {"state": {}}},
        {name.removeprefix("module."): value for name, value in official.items()},
    ):
        again = from_official(checkpoint)
        assert again.keys() == state.keys()
        for name, value in state.items():
            assert torch.equal(again[name], value), name
            assert again[name].dtype == value.dtype, name


@pytest.mark.parametrize("width", [0.25, 0.3, 1.7])
@pytest.mark.parametrize("in_channels", [2, 5])
def test_width_and_channels_are_read_from_the_shapes(width, in_channels):
    network = UNet(in_channels, width)
    state = {f"network.{k}": v for k, v in network.state_dict().items()}
    official = to_official(state)
    shape = read_shape(official, "pcnet_m")
    assert shape.in_channels == in_channels
    # 16 * 0.3 and the like are rounded down: another width may give the same channels.
    again = UNet(in_channels, shape.width)
    again.load_state_dict(
        {k.removeprefix("network."): v for k, v in from_official(official).items()}
    )


def test_width_of_pcnet_c_is_read_from_the_shapes():
    assert read_shape(to_official(small_state("pcnet_c")), "pcnet_c") == NetworkShape(4, 1 / 16)


def test_batch_norm_counters_of_old_files_may_be_absent(kind, official):
    counters = [name for name in official if name.endswith("num_batches_tracked")]
    old = {name: value for name, value in official.items() if name not in counters}
    state = from_official(old)
    zeros = [value for name, value in state.items() if name.endswith("num_batches_tracked")]
    assert len(zeros) == len(counters) > 10
    assert all(torch.equal(value, torch.tensor(0)) for value in zeros)
    # One of them alone is a gap.
    del official[counters[0]]
    with pytest.raises(UserError, match=f"^missing: {counters[0]}$"):
        from_official(official)


# ---- what the released networks compute, from their own names ---------------------------------


def convolve(state, name, x, **options):
    return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **options)


def normalise(state, name, x):
    mean, variance, weight, bias = (
        state[f"{name}.{x}"].view(1, -1, 1, 1)
        for x in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def released_pcnet_m(state, x):
    def double(name, x):
        for k in (0, 3):
            x = convolve(state, f"{name}.conv.{k}", x, padding=1)
            x = normalise(state, f"{name}.conv.{k + 1}", x).relu()
        return x

    levels = [double("inc.conv", x)]
    for i in range(1, 5):
        levels.append(double(f"down{i}.mpconv.1", F.max_pool2d(levels[-1], 2)))
    x = levels[4]
    for i in range(1, 5):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        x = double(f"up{i}.conv", torch.cat([levels[4 - i], x], dim=1))
    return convolve(state, "outc.conv", x)


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


def test_pcnet_m_computes_what_the_released_one_does():
    model = random_model()
    state = {k.removeprefix("module."): v for k, v in to_official(model.state_dict()).items()}
    x = (torch.rand(2, 2, 32, 32) < 0.5).float()
    with torch.no_grad():
        expected = released_pcnet_m(state, x)
        assert expected.std() > 0.05
        assert torch.allclose(model.network(x), expected, atol=1e-5)


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


def test_pcnet_m_gives_the_same_after_export_and_import():
    model, other = random_model(seed=0), random_model(seed=1)
    batch = {
        "modal_mask": torch.randint(0, 2, (2, 32, 32)),
        "eraser": torch.randint(0, 2, (2, 32, 32)),
        "category_id": torch.tensor([1, 4]),
    }
    with torch.no_grad():
        expected = model(batch)["probability"]
        assert not torch.equal(other(batch)["probability"], expected)
        other.load_state_dict(from_official(to_official(model.state_dict())))
        assert torch.equal(other(batch)["probability"], expected)


# ---- what is refused --------------------------------------------------------------------------


def refusal(checkpoint) -> str:
    with pytest.raises(UserError) as error:
        from_official(checkpoint)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_missing_tensors_are_named(kind, official):
    names = [name for name in official if name.endswith(".running_mean")]
    for name in names[:5]:
        del official[name]
    assert refusal(official) == f"missing: {', '.join(names[:3])} and 2 more"


def test_unknown_tensors_are_named(kind, official):
    official["module.extra.bias"] = torch.zeros(1)
    assert refusal({"state_dict": official}) == "unexpected: module.extra.bias"
    # A prefix that only some have is no prefix.
    del official["module.extra.bias"]
    first = next(iter(official))
    official[first.removeprefix("module.")] = official.pop(first)
    message = refusal(official)
    assert "missing: " in message or "this is not a released" in message


def test_wrong_shapes_are_named_with_both(official, kind):
    name = "module.outc.conv.bias" if kind == "pcnet_m" else "module.dec_1.conv.input_conv.bias"
    wanted = tuple(official[name].shape)
    official[name] = torch.zeros(9)
    assert refusal(official) == f"wrong shape: {name} has (9,) instead of {wanted}"
    official[name] = 1.5
    assert refusal(official) == f"wrong shape: {name} is a float, not a tensor"


def test_input_channels_that_no_network_has_are_refused():
    state = to_official(small_state("pcnet_m"))
    state["module.inc.conv.conv.0.weight"] = torch.zeros(4, 3, 3, 3)
    assert refusal(state) == (
        "wrong shape: module.inc.conv.conv.0.weight has (4, 3, 3, 3) instead of (4, 2, 3, 3)"
    )
    state = to_official(small_state("pcnet_c"))
    for name in ("input_conv", "mask_conv"):
        state[f"module.enc_1.conv.{name}.weight"] = torch.ones(4, 5, 7, 7)
    assert "has (4, 5, 7, 7) instead of (4, 4, 7, 7)" in refusal(state)


def test_all_that_is_wrong_is_one_line():
    state = to_official(small_state("pcnet_m"))
    del state["module.outc.conv.bias"]
    state["module.head.bias"] = torch.zeros(2)
    state["module.outc.conv.weight"] = torch.zeros(3, 4, 1, 1)
    assert refusal(state) == (
        "missing: module.outc.conv.bias; unexpected: module.head.bias; wrong shape: "
        "module.outc.conv.weight has (3, 4, 1, 1) instead of (2, 4, 1, 1)"
    )


def test_mask_convolutions_that_are_not_ones_are_refused():
    state = to_official(small_state("pcnet_c"))
    assert (state["module.dec_3.conv.mask_conv.weight"] == 1).all()
    state["module.dec_3.conv.mask_conv.weight"][0, 1, 2, 0] = 0.5
    assert refusal(state) == (
        "not all ones, as a released network has it: module.dec_3.conv.mask_conv.weight"
    )


def test_other_things_are_refused():
    assert "this is not a released PCNet-M or PCNet-C; it holds conv1.weight" in refusal(
        {"conv1.weight": torch.zeros(1)}
    )
    assert "it holds nothing" in refusal({"state_dict": {}})
    assert "its state_dict is a list" in refusal({"state_dict": [1]})
    assert "holds a list" in refusal([1])
    discriminator = {f"module.conv{i}.0.weight_orig": torch.zeros(1) for i in range(1, 6)}
    assert "discriminator" in refusal({"state_dict": discriminator})


def test_exports_are_checked_as_well(kind):
    state = small_state(kind)
    name = "network.stem.0.weight" if kind == "pcnet_m" else "network.encoder.0.conv.weight"
    value = state.pop(name)
    with pytest.raises(UserError, match=f"^missing: {name}$"):
        to_official(state)
    state[name] = value[..., :1]
    with pytest.raises(UserError, match=f"^wrong shape: {name} has "):
        to_official(state)
    with pytest.raises(UserError, match="^this is not one of our checkpoints; it holds backbone$"):
        to_official({"backbone": value})


def test_default_networks_are_the_released_ones():
    assert read_shape({}, "pcnet_m") == NetworkShape(2, 2.0)
    assert read_shape({}, "pcnet_c") == NetworkShape(4, 1.0)
    with torch.device("meta"):
        state = {f"network.{k}": v for k, v in PartialConvUNet().state_dict().items()}
    assert [(n, tuple(v.shape)) for n, v in to_official(state).items()] == [
        (f"module.{name}", shape) for name, shape in written_down("pcnet_c")
    ]
