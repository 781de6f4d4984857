"""What the regional U-Net computes equals that part of the whole, wherever content and wish lie."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from deocclusion_d2.inference.network_runner import fold_batch_norms
from deocclusion_d2.modeling import UNet, unet_regions
from deocclusion_d2.modeling.unet_regions import RegionalUNet, plan_levels, source_rows, upsampled

_SIZE = 64
_WHOLE = (0, _SIZE, 0, _SIZE)


@pytest.fixture(scope="module")
def network() -> UNet:
    torch.manual_seed(0)
    network = UNet(2, width=0.5).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # An empty patch must not look like zeros inside.
            module.running_mean.normal_()
            module.bias.data.normal_()
    fold_batch_norms(network)
    return network


def _patch(window: tuple[int, int, int, int]) -> torch.Tensor:
    """(1, 2, S, S): noise in a window, zero elsewhere."""
    y0, y1, x0, x1 = window
    x = torch.zeros(1, 2, _SIZE, _SIZE)
    noise = torch.rand(1, 2, y1 - y0, x1 - x0, generator=torch.Generator().manual_seed(1))
    x[:, :, y0:y1, x0:x1] = (noise < 0.5).float()
    return x


@pytest.mark.parametrize(
    "content", [_WHOLE, (24, 40, 16, 48), (0, 9, 50, 64), (63, 64, 0, 1), (30, 30, 30, 30)]
)
@pytest.mark.parametrize(
    "wanted", [_WHOLE, (8, 24, 32, 64), (0, 8, 0, 8), (40, 64, 16, 17), (5, 60, 3, 61)]
)
def test_a_region_equals_that_part_of_the_whole(network, wanted, content):
    x = _patch(content)
    regional = RegionalUNet(network)
    with torch.no_grad():
        whole = network(x)
        part, (y0, y1, x0, x1) = regional(x, wanted, content)
    assert whole.std() > 0.05
    assert y0 <= wanted[0] and y1 >= wanted[1] and x0 <= wanted[2] and x1 >= wanted[3]
    assert part.shape == (1, 2, y1 - y0, x1 - x0)
    assert torch.allclose(part, whole[:, :, y0:y1, x0:x1], atol=1e-5)


def test_content_outside_of_its_window_would_be_missed(network):
    """The window is used: what is told to be empty is not looked at."""
    x = _patch(_WHOLE)
    with torch.no_grad():
        part, _ = RegionalUNet(network)(x, _WHOLE, (0, 8, 0, 8))
        assert not torch.allclose(part, network(x), atol=1e-2)


def test_patches_follow_each_other(network):
    """What was computed of one is not taken for the next."""
    regional = RegionalUNet(network)
    windows = [(24, 40, 16, 48), (0, 9, 50, 64), (24, 40, 16, 48)]
    with torch.no_grad():
        results = [regional(_patch(w), _WHOLE, w)[0] for w in windows]
    assert torch.equal(results[0], results[2])
    assert not torch.allclose(results[0], results[1], atol=1e-2)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("wanted", [_WHOLE, (8, 24, 32, 64), (0, 40, 3, 61)])
def test_features_lie_as_the_weights(network, monkeypatch, layout, wanted):
    """Convolutions of another layout are slower, and differ in the last bits."""
    regional = RegionalUNet(copy.deepcopy(network).to(memory_format=layout))
    seen = {"conv2d": [], "interpolate": []}

    def watched(name):
        def call(x, *arguments, **options):
            seen[name].append(x.is_contiguous(memory_format=layout))
            return getattr(F, name)(x, *arguments, **options)

        return call

    of_library = {**vars(F), **{name: watched(name) for name in seen}}
    monkeypatch.setattr(unet_regions, "F", SimpleNamespace(**of_library))
    with torch.no_grad():
        regional(_patch((24, 40, 16, 48)), wanted, (24, 40, 16, 48))
    assert seen["conv2d"] == 18 * [True]
    assert all(seen["interpolate"])


def test_bfloat16_is_as_exact_as_the_whole(network):
    copied = UNet(2, width=0.5).eval()
    fold_batch_norms(copied)
    copied.load_state_dict(network.state_dict())
    copied = copied.to(torch.bfloat16, memory_format=torch.channels_last)
    window = (24, 40, 16, 48)
    x = _patch(window).bfloat16()
    with torch.no_grad():
        exact, whole = network(x.float()), copied(x)
        part, (y0, y1, x0, x1) = RegionalUNet(copied)(x, window, window)
    wrong = (whole - exact)[:, :, y0:y1, x0:x1].abs().max()
    assert (part - exact[:, :, y0:y1, x0:x1]).abs().max() < 1.5 * wrong


def test_what_is_planned_for_a_small_window():
    """By hand, at 256 px: a single pixel in the middle, wanted and shown."""
    plan = plan_levels(256, (128, 129, 128, 129), (128, 129, 128, 129))
    # To multiples of 8; the decoder's convolutions see 2 further pixels of the level.
    assert plan[0].decoded == (128, 136, 128, 136)
    # Rows 126..137 of the doubling stand at 126 * 127 / 255 = 62.75 to 137 * 127 / 255 = 68.23:
    # source rows 62 to 69, at multiples of 4: 60 to 72.
    assert plan[1].decoded == (60, 72, 60, 72)
    # One pixel reaches 2 around: 126 to 131; pooled 63 to 66, and 2 around: 61 to 68.
    assert plan[0].computed == (120, 136, 120, 136)
    assert plan[1].computed == (60, 68, 60, 68)
    # The coarsest level has 16 x 16 features: what the doubling to level 3 needs.
    assert plan[4].needed == plan[4].decoded
    assert all(
        here.needed[0] <= here.computed[0] and here.computed[1] <= here.needed[1] for here in plan
    )


@pytest.mark.parametrize("rows", [(0, 16), (3, 11), (0, 1), (1, 2), (15, 16), (14, 16), (4, 5)])
def test_rows_of_a_doubling_are_those_of_the_library(rows):
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    first, stop = source_rows(*rows, 16)
    part = upsampled(x[:, :, first:stop], 2, *rows, first, 16)
    part = upsampled(part, 3, 0, 16, 0, 16)
    assert torch.allclose(part, whole[:, :, slice(*rows)], atol=1e-6)


def test_which_rows_a_doubling_needs():
    """By hand, 8 rows to 16: row i stands at 7 i / 15."""
    assert source_rows(0, 16, 16) == (0, 8)
    # 3 stands at 1.4, 10 at 4.67.
    assert source_rows(3, 11, 16) == (1, 6)
    # 4 stands at 1.87.
    assert source_rows(4, 5, 16) == (1, 3)
