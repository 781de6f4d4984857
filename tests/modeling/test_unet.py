"""The U-Net has the parameters of the released PCNet-M, in order and shape."""

from __future__ import annotations

import pytest
import torch

from deocclusion_d2.modeling import UNet

# (in, out) of the 18 3x3 convolutions with w = 2: stem, four levels down, four levels up.
_CONVOLUTIONS = [
    (2, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256),
    (256, 256), (256, 256), (512, 128), (128, 128), (256, 64), (64, 64), (128, 32), (32, 32),
    (64, 32), (32, 32),
]  # fmt: skip


def test_shapes_are_those_of_the_released_checkpoint():
    shapes = [tuple(v.shape) for v in UNet(2, width=2).state_dict().values()]
    expected: list[tuple[int, ...]] = []
    for inside, out in _CONVOLUTIONS:
        # weight, bias, then batch norm: weight, bias, mean, variance, number of batches
        expected += [(out, inside, 3, 3), (out,), (out,), (out,), (out,), (out,), ()]
    expected += [(2, 32, 1, 1), (2,)]
    assert len(shapes) == 128
    assert shapes == expected


@pytest.mark.parametrize("size", [32, 64])
def test_output_has_the_size_of_the_input(size):
    assert UNet(5, width=0.25)(torch.zeros(2, 5, size, size)).shape == (2, 2, size, size)


def test_too_narrow_is_refused():
    with pytest.raises(ValueError, match="fewer than 4 channels"):
        UNet(2, width=0.1)


@pytest.mark.parametrize(
    "window", [(0, 64, 0, 64), (8, 24, 32, 64), (0, 8, 0, 8), (40, 64, 16, 17)]
)
def test_a_window_equals_that_part_of_the_whole(window):
    torch.manual_seed(0)
    network = UNet(2, width=0.5).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.bias.data.normal_()
    x = (torch.rand(1, 2, 64, 64) < 0.5).float()
    y0, y1, x0, x1 = window
    with torch.no_grad():
        whole = network(x)
        part = network(x, window)
    assert part.shape == (1, 2, y1 - y0, x1 - x0)
    assert whole.std() > 0.05
    assert torch.allclose(part, whole[:, :, y0:y1, x0:x1], atol=1e-5)
