"""Partial convolutions: what a window's sum is divided by, and what holes may not do."""

from __future__ import annotations

import pytest
import torch

from deocclusion_d2.systems.pcnet_c.partial_conv_unet import (
    PartialConv2d,
    PartialConvBlock,
    PartialConvUNet,
)


def small_network(released: bool = False, **options) -> PartialConvUNet:
    """4 to 32 channels, random batch norm statistics of about the size that the outputs have.

    ``released``: gains of 1, as imported weights have them.
    """
    network = PartialConvUNet(width=1 / 16, **options).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.02 if released else 0.2)
            module.running_var.uniform_(1, 10).mul_(1e-4 if released else 0.2)
            module.bias.data.normal_(0, 0.2)
        elif released and isinstance(module, PartialConv2d):
            module.gain.fill_(1)
    return network


def holes(*shape: int) -> torch.Tensor:
    """A random mask, 1 valid, of blocks of 8 x 8 px, with a large hole in the middle."""
    n, c, h, w = shape
    mask = (torch.rand(n, c, h // 8, w // 8) < 0.6).float()
    mask = mask.repeat_interleave(8, 2).repeat_interleave(8, 3)
    mask[:, :, h // 4 : h // 2, w // 4 :] = 0
    return mask


def slow_partial_conv(x, mask, weight, bias, stride, padding, gain):
    """One output value at a time; mask (N, C, H, W) 0/1. Also returns which were computed."""
    out_channels, _, kernel, _ = weight.shape
    n, c, h, w = x.shape
    rows = (h + 2 * padding - kernel) // stride + 1
    columns = (w + 2 * padding - kernel) // stride + 1
    out, filled = torch.zeros(n, out_channels, rows, columns), torch.zeros(n, rows, columns)
    for i in range(n):
        for r in range(rows):
            for q in range(columns):
                total, count = torch.zeros(out_channels), 0
                for k in range(c):
                    for dy in range(kernel):
                        for dx in range(kernel):
                            y, z = r * stride + dy - padding, q * stride + dx - padding
                            if 0 <= y < h and 0 <= z < w and mask[i, k, y, z]:
                                total += weight[:, k, dy, dx] * x[i, k, y, z]
                                count += 1
                if count:
                    out[i, :, r, q] = total * gain / count + bias
                    filled[i, r, q] = 1
    return out, filled


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2)])
def test_layer_equals_loops(kernel, stride):
    conv = PartialConv2d(3, 2, kernel, stride, bias=True)
    assert conv.gain == 3 * kernel * kernel
    conv.bias.data = torch.tensor([0.5, -2.0])
    x = torch.randn(2, 3, 8, 6)
    mask = (torch.rand(2, 3, 8, 6) < 0.3).float()  # other holes in each channel
    mask[1, :, 2:] = 0
    expected, filled = slow_partial_conv(
        x, mask, conv.weight, conv.bias, stride, kernel // 2, gain=3 * kernel**2
    )
    out, new = conv(x * mask, mask.sum(1, keepdim=True))
    assert torch.allclose(out, expected, atol=1e-5)
    assert torch.equal(new[:, 0], filled.bool())
    assert 0 < filled.mean() < 1
    assert (out.movedim(1, -1)[filled == 0] == 0).all()  # the bias stays out of holes


@pytest.mark.parametrize(("gain", "expected"), [(18, 108.5), (1, 6.5)])
def test_the_sum_is_divided_by_the_valid_values(gain, expected):
    # 2 channels of 6, ones as weights, bias 0.5. In the middle 18 values are in the window; without
    # the middle column of the second channel 15 are valid: 15 * 6 * 18 / 15 + 0.5 (Liu et al.). In
    # the released weights' network the 18 is missing.
    conv = PartialConv2d(2, 1, 3, bias=True)
    conv.weight.data.fill_(1.0)
    conv.bias.data.fill_(0.5)
    conv.load_state_dict({**conv.state_dict(), "gain": torch.tensor(gain)})
    mask = torch.ones(1, 2, 3, 3)
    mask[0, 1, :, 1] = 0
    out, _ = conv(6 * mask, mask.sum(1, keepdim=True))
    assert torch.allclose(out, torch.full((1, 1, 3, 3), expected))


def test_mask_grows_by_the_window():
    # One valid pixel at (8, 8) of 16 x 16; 7x7 with stride 2: output (r, q) sees rows 2r-3..2r+3.
    block = PartialConvBlock(
        PartialConv2d(1, 5, 7, stride=2), torch.nn.BatchNorm2d(5), torch.nn.ReLU()
    ).eval()
    block.norm.bias.data.fill_(1.0)
    valid = torch.zeros(1, 1, 16, 16)
    valid[0, 0, 8, 8] = 1
    out, count = block(valid.clone(), valid)
    expected = torch.zeros(8, 8)
    expected[3:6, 3:6] = 5  # 2r - 3 <= 8 <= 2r + 3, in five channels
    assert torch.equal(count[0, 0], expected)
    assert (out[0, :, expected == 0] == 0).all()  # in spite of batch norm's bias
    assert (out[0, :, expected > 0] > 0).any()


def test_what_holes_contain_has_no_influence():
    network = small_network()
    x, mask = torch.rand(2, 4, 128, 128), holes(2, 4, 128, 128)
    garbage = x.masked_fill(mask == 0, torch.nan)
    garbage[0] = x[0].masked_fill(mask[0] == 0, 1e9)
    with torch.no_grad():
        expected = network(x, mask)
        assert torch.equal(network(garbage, mask), expected)
        # Whereas valid pixels have.
        changed = network(torch.where(mask > 0, 1 - x, x), mask)
    assert expected.isfinite().all()
    assert not torch.allclose(changed, expected, atol=1e-3)


def test_one_mask_for_all_channels():
    network = small_network()
    x, mask = torch.rand(1, 4, 128, 256), holes(1, 1, 128, 256)
    with torch.no_grad():
        expected = network(x, mask.expand(-1, 4, -1, -1))
        assert expected.shape == (1, 3, 128, 256)
        assert torch.equal(network(x, mask), expected)
        assert torch.equal(network(x, mask.bool()), expected)


def test_a_patch_without_a_valid_pixel_is_zero_and_trains():
    network = small_network().train()
    network.decoder[-1].conv.bias.data.fill_(3.0)
    x, mask = torch.rand(2, 4, 128, 128), torch.zeros(2, 1, 128, 128)
    assert (network(x, mask) == 0).all()
    mask[0] = 1
    network(x, mask).square().sum().backward()
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


def test_channels_of_input_and_output():
    network = small_network(in_channels=3, out_channels=1)
    with torch.no_grad():
        assert network(torch.rand(1, 3, 128, 128), torch.ones(1, 1, 128, 128)).shape[1] == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="192 x 128 px: use multiples of 128"):
        small_network()(torch.zeros(1, 4, 192, 128), torch.ones(1, 1, 192, 128))
    with pytest.raises(ValueError, match="fewer than 4 channels"):
        PartialConvUNet(width=0.05)
