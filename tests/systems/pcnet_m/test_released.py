"""The released PCNet-M: its names, shapes and order, and what its network computes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from deocclusion_d2.modeling import UNet
from deocclusion_d2.modeling.released import NetworkShape
from deocclusion_d2.systems.pcnet_m.released import ReleasedPCNetM
from tests.helpers import random_model
from tests.released import (
    batch_norm,
    convolve,
    from_official,
    normalise,
    refusal,
    small_state,
    to_official,
)

LAYOUT = ReleasedPCNetM()

# The released network, written down apart from the package: convolutions as (in, out).
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


def written_down() -> list[tuple[str, tuple[int, ...]]]:
    tensors: list[tuple[str, tuple[int, ...]]] = []
    for block, convolutions in PCNET_M.items():
        for index, (inside, out) in zip((0, 3), convolutions, strict=True):
            name = f"{block}.conv.{index}"
            tensors += [(f"{name}.weight", (out, inside, 3, 3)), (f"{name}.bias", (out,))]
            tensors += batch_norm(f"{block}.conv.{index + 1}", out)
    return [*tensors, ("outc.conv.weight", (2, 32, 1, 1)), ("outc.conv.bias", (2,))]


def test_layout_is_the_one_written_down():
    expected = written_down()
    assert len(expected) == 128
    assert [(e.official, e.shape) for e in LAYOUT.entries()] == expected


def test_layout_is_that_of_the_released_file(released_layout):
    expected = [(name, tuple(shape)) for name, shape in released_layout["pcnet_m"].items()]
    assert [(f"module.{e.official}", e.shape) for e in LAYOUT.entries()] == expected


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("network.stem.3.weight", "module.inc.conv.conv.3.weight"),
        ("network.down.3.1.running_var", "module.down4.mpconv.1.conv.1.running_var"),
        ("network.up.0.0.bias", "module.up1.conv.conv.0.bias"),
        ("network.head.bias", "module.outc.conv.bias"),
    ],
)
def test_names(ours, theirs):
    state = small_state("pcnet_m")
    state[ours] = torch.full_like(state[ours], 0.125)
    assert torch.equal(to_official(state)[theirs], state[ours])


@pytest.mark.parametrize("width", [0.25, 0.3, 1.7])
@pytest.mark.parametrize("in_channels", [2, 5])
def test_width_and_channels_are_read_from_the_shapes(width, in_channels):
    network = UNet(in_channels, width)
    state = {f"network.{k}": v for k, v in network.state_dict().items()}
    official = to_official(state)
    shape = LAYOUT.read_shape(official)
    assert shape.in_channels == in_channels
    # 16 * 0.3 and the like are rounded down: another width may give the same channels.
    again = UNet(in_channels, shape.width)
    again.load_state_dict(
        {k.removeprefix("network."): v for k, v in from_official(official).items()}
    )


def test_default_network_is_the_released_one():
    assert LAYOUT.read_shape({}) == NetworkShape(2, 2.0)


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


def test_pcnet_m_computes_what_the_released_one_does():
    model = random_model()
    state = {k.removeprefix("module."): v for k, v in to_official(model.state_dict()).items()}
    x = (torch.rand(2, 2, 32, 32) < 0.5).float()
    with torch.no_grad():
        expected = released_pcnet_m(state, x)
        assert expected.std() > 0.05
        assert torch.allclose(model.network(x), expected, atol=1e-5)


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


def test_input_channels_that_no_network_has_are_refused():
    state = to_official(small_state("pcnet_m"))
    state["module.inc.conv.conv.0.weight"] = torch.zeros(4, 3, 3, 3)
    assert refusal(state) == (
        "wrong shape: module.inc.conv.conv.0.weight has (4, 3, 3, 3) instead of (4, 2, 3, 3)"
    )
