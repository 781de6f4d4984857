"""ncnn's convolutions give what torch's give, whatever the size, the padding and the layout."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deocclusion_d2.inference import ncnn_convolution
from deocclusion_d2.inference.ncnn_convolution import NcnnConvolution, with_ncnn_convolutions
from deocclusion_d2.inference.network_runner import fold_batch_norms
from deocclusion_d2.modeling import UNet
from deocclusion_d2.modeling.unet_regions import RegionalUNet

pytest.importorskip("ncnn")


@pytest.mark.parametrize("strip", [1, 160_000])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "height, width, padding",
    [
        (3, 3, (0, 0, 0, 0)),
        (1, 1, (1, 1, 1, 1)),
        (26, 31, (1, 0, 0, 1)),
        (27, 9, (0, 1, 1, 0)),
        (40, 5, (2, 3, 0, 4)),
    ],
)
def test_it_is_the_convolution(monkeypatch, height, width, padding, layout, strip):
    monkeypatch.setattr(ncnn_convolution, "_STRIP_NUMBERS", strip)
    torch.manual_seed(0)
    conv = nn.Conv2d(20, 17, 3)
    x = torch.randn(2, 20, height, width).to(memory_format=layout)
    top, bottom, left, right = padding
    with torch.no_grad():
        expected = conv.double()(F.pad(x.double(), (left, right, top, bottom)))
        result = NcnnConvolution(conv.float())(x, padding)
    assert result.shape == expected.shape and result.is_contiguous()
    assert torch.allclose(result.double(), expected, atol=1e-4)


def test_its_own_padding_and_no_bias():
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 16, 3, padding=(1, 0), bias=False)
    x = torch.randn(1, 16, 8, 10)
    with torch.no_grad():
        assert torch.allclose(NcnnConvolution(conv)(x), conv(x), atol=1e-4)


@pytest.mark.parametrize(
    "channels, options",
    [
        ((15, 16), {}),
        ((16, 15), {}),
        ((16, 16), {"stride": 2}),
        ((16, 16), {"dilation": 2}),
        ((16, 16), {"groups": 2}),
        ((16, 16), {"padding": "same"}),
        ((16, 16), {"padding": 1, "padding_mode": "reflect"}),
    ],
)
def test_what_stays_torchs(channels, options):
    network = nn.Sequential(nn.Conv2d(*channels, 3, **options), nn.Conv2d(16, 16, 1))
    with_ncnn_convolutions(network)
    assert not any(isinstance(m, NcnnConvolution) for m in network.modules())


def test_regions_of_a_unet():
    """Its layout is another than torch's engine has."""
    torch.manual_seed(0)
    network = UNet(2, width=1).eval()
    fold_batch_norms(network)
    x = torch.zeros(1, 2, 64, 64)
    x[:, :, 20:50, 10:30] = 1
    x = x.to(memory_format=torch.channels_last)
    with torch.no_grad():
        whole = network(x)
        regional = RegionalUNet(with_ncnn_convolutions(network))
        count = sum(isinstance(m, NcnnConvolution) for m in network.modules())
        part, (y0, y1, x0, x1) = regional(x, (0, 25, 12, 40), (20, 50, 10, 30))
    # All 18 but the first.
    assert count == 17
    assert torch.allclose(part, whole[:, :, y0:y1, x0:x1], atol=1e-4)
