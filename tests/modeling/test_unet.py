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
