"""The smooth fill, by hand, and PCNet-C that adds to it."""

from __future__ import annotations

import pytest
import torch

from deocclusion_d2.modeling import PartialConvUNet, PCNetC
from deocclusion_d2.modeling.pyramid_fill import pyramid_fill
from tests.modeling.test_pcnet_c import batch


def test_mean_of_what_is_known():
    image = torch.tensor([[[[1.0, 2.0], [6.0, 99.0]]]])
    known = torch.tensor([[[[1.0, 1.0], [1.0, 0.0]]]])
    assert pyramid_fill(image, known)[0, 0].tolist() == [[1, 2], [6, 3]]
    assert pyramid_fill(image, torch.zeros(1, 1, 2, 2)).abs().max() == 0


def test_near_colours_count_more():
    # Four blocks of 2 x 2 px in one colour each, one pixel in the middle missing. The mean of all
    # known ones is 25.6; the block of the missing one is known to three quarters, and takes a
    # quarter of that. Of the enlarged blocks the pixel lies at (3/4, 1/4) in both directions.
    image = torch.zeros(1, 1, 4, 4)
    image[..., :2, 2:], image[..., 2:, :2], image[..., 2:, 2:] = 16.0, 32.0, 48.0
    known = torch.ones(1, 1, 4, 4)
    known[0, 0, 1, 1] = 0
    filled = pyramid_fill(image, known)[0, 0]
    assert filled[1, 1].item() == pytest.approx((9 * 6.4 + 3 * 16 + 3 * 32 + 48) / 16)
    filled[1, 1] = image[0, 0, 1, 1]
    assert torch.equal(filled, image[0, 0])


def test_holes_have_no_influence_and_known_pixels_stay():
    torch.manual_seed(0)
    image, known = torch.rand(2, 3, 64, 64), (torch.rand(2, 1, 64, 64) < 0.3).float()
    known[:, :, 10:40, 20:60] = 0
    filled = pyramid_fill(image, known)
    other = torch.where(known > 0, image, torch.nan)
    assert torch.equal(pyramid_fill(other, known), filled)
    assert torch.equal(torch.where(known > 0, image, 0), torch.where(known > 0, filled, 0))
    assert filled.min() >= image.min() - 1e-5 and filled.max() <= image.max() + 1e-5


def test_pcnet_c_begins_with_the_fill():
    torch.manual_seed(0)
    model = PCNetC(network=PartialConvUNet(width=1 / 16), prefill=True).eval()
    sample = batch()
    known = ((sample["hole"] | sample["outside"]) == 0)[:, None].float()
    expected = pyramid_fill(sample["image"].permute(0, 3, 1, 2).float(), known)
    with torch.no_grad():
        rgb = model(sample)["rgb"].permute(0, 3, 1, 2)
        assert torch.allclose(rgb, expected, atol=1e-2)
        model.network.head.bias.data.fill_(1.0)  # one deviation in every colour
        brighter = model(sample)["rgb"].permute(0, 3, 1, 2) - rgb
    deviation = 255 * torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    assert torch.allclose(brighter, deviation.expand_as(brighter), atol=1e-2)
