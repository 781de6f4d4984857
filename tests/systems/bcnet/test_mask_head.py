"""BCNet's mask head: size, wiring, losses, and batches that are nearly empty."""

from __future__ import annotations

import math

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_model
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils.events import EventStorage
from torch import nn

from deocclusion_d2 import load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.systems.bcnet.mask_head import BCNetMaskHead, LossSettings, NonLocalBlock
from deocclusion_d2.systems.bcnet.shared_masks import SharedMasks

H, W = 40, 60
NAMES = ["loss_mask", "loss_boundary", "loss_mask_occluder", "loss_boundary_occluder"]


def small_head(channels: int = 8, **options) -> BCNetMaskHead:
    shape = ShapeSpec(channels=8, width=14, height=14)
    return BCNetMaskHead(shape, conv_dim=channels, **options)


def instances(occluded: list[bool]) -> Instances:
    """Regions of a 20 x 20 object in the middle of theirs; the left half of some is hidden."""
    count = len(occluded)
    found = Instances((H, W))
    found.proposal_boxes = Boxes(torch.tensor([[10.0, 5.0, 50.0, 35.0]]).repeat(count, 1))
    masks = torch.zeros(count, H, W, dtype=torch.bool)
    masks[:, 10:30, 20:40] = True
    occluders = torch.zeros_like(masks)
    for plane, is_occluded in zip(occluders, occluded, strict=True):
        plane[10:30, 20:30] = is_occluded
    found.gt_masks, found.gt_occluder_masks = BitMasks(masks), SharedMasks(occluders)
    return found


def losses_of(head: BCNetMaskHead, x: torch.Tensor, given: list[Instances]) -> dict:
    with EventStorage():
        return head.train()(x, given)


def test_parameters():
    """Worked out in parts: 8 convolutions, 2 non-local blocks, 4 deconvolutions, 4 predictors."""
    head = BCNetMaskHead(ShapeSpec(channels=256, width=14, height=14))
    by_hand = 8 * (9 * 256 * 256 + 256) + 2 * (4 * 256 * 256 + 2 * 256)
    by_hand += 4 * (4 * 256 * 256 + 256) + 4 * (256 + 1)
    assert sum(p.numel() for p in head.parameters()) == by_hand == 6_296_580


def test_its_regions_are_twice_the_features():
    outputs = small_head().eval().layers(torch.randn(3, 8, 14, 14))
    parts = (outputs.mask, outputs.boundary, outputs.occluder_mask, outputs.occluder_boundary)
    assert all(part.shape == (3, 1, 28, 28) for part in parts)
    # Features of another depth than the layers'.
    assert small_head(16).eval().layers(torch.randn(3, 8, 14, 14)).mask.shape == (3, 1, 28, 28)


def test_attention_without_a_query_is_the_mean():
    block = NonLocalBlock(8).eval()
    nn.init.zeros_(block.query.weight)
    block.norm.running_mean.normal_()
    block.norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 8, 5, 7)
    mean = x.mean(dim=(2, 3), keepdim=True)
    expected = x + block.norm(block.output(block.value(mean))).expand_as(x)
    torch.testing.assert_close(block(x), expected)


def test_attention_is_a_softmax_over_pixels():
    """Pixel by pixel, in a loop."""
    block = NonLocalBlock(4).eval()
    x = torch.randn(1, 4, 3, 3)
    query, key, value = (layer(x)[0].flatten(1) for layer in (block.query, block.key, block.value))
    rows = []
    for i in range(9):
        scores = torch.stack([query[:, i] @ key[:, j] / 2 for j in range(9)])  # / sqrt(4)
        rows.append(sum(w * value[:, j] for j, w in enumerate(scores.softmax(0))))
    gathered = torch.stack(rows, dim=1).view(1, 4, 3, 3)
    torch.testing.assert_close(block(x), x + block.norm(block.output(gathered)))


def test_a_block_that_starts_as_the_identity():
    x = torch.randn(2, 8, 14, 14)
    assert torch.equal(NonLocalBlock(8, zero_init=True)(x), x)
    assert not torch.equal(NonLocalBlock(8)(x), x)


def test_large_features_in_low_precision():
    """Products of a thousand channels overflow float16."""
    block = NonLocalBlock(8).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(block(torch.full((1, 8, 14, 14), 1e10))).all()


def test_the_second_layer_sees_the_first():
    head = small_head().eval()
    x = torch.randn(2, 8, 14, 14)
    before = head.layers(x)
    before.mask.sum().backward()
    first, second = head.occluder_layer.conv1.weight, head.object_layer.conv1.weight
    assert first.grad.abs().sum() > 0 and head.occluder_mask.deconv.weight.grad is None
    second.data += 1  # the first one knows nothing of the second
    assert torch.equal(head.layers(x).occluder_mask, before.occluder_mask)
    changed = head.layers(x).mask
    first.data += 1
    assert not torch.equal(head.layers(x).mask, changed)


def indifferent(head: BCNetMaskHead) -> BCNetMaskHead:
    """With logits of 0."""
    for part in (head.mask, head.boundary, head.occluder_mask, head.occluder_boundary):
        nn.init.zeros_(part.predictor.weight)
    return head


def test_losses_by_hand():
    x = torch.randn(3, 8, 14, 14)
    found = losses_of(indifferent(small_head()), x, [instances([True, False]), instances([False])])
    assert list(found) == NAMES
    assert [round(float(v) / math.log(2), 5) for v in found.values()] == [1, 1, 0.25, 1]
    weights = LossSettings(weight_boundary=0.5, weight_occluder=2, weight_occluder_boundary=0)
    found = losses_of(indifferent(small_head(losses=weights)), x[:1], [instances([True])])
    assert [round(float(v) / math.log(2), 5) for v in found.values()] == [1, 0.5, 2, 0]


def test_the_first_layer_is_judged_by_occluders():
    """Logits that hold the occluder's mask exactly: its loss goes to 0, the object's does not."""
    head = small_head(losses=LossSettings(balance="all")).train()
    given = [instances([True])]
    target = given[0].gt_occluder_masks.crop_and_resize(given[0].proposal_boxes.tensor, 28)
    logits = (target.float() * 2 - 1)[:, None] * 50
    outputs = head.layers(torch.randn(1, 8, 14, 14))
    outputs.occluder_mask = logits
    with EventStorage():
        found = head._losses(outputs, given)
    assert found["loss_mask_occluder"].item() < 1e-6
    outputs.occluder_mask, outputs.mask = -logits, logits
    with EventStorage():
        found = head._losses(outputs, given)
    assert found["loss_mask_occluder"].item() == pytest.approx(0.25 * 50, rel=1e-3)
    # The right half of the object, 14 x 18.67 of 28 x 28, is not the occluder's.
    wrong = (given[0].gt_masks.crop_and_resize(given[0].proposal_boxes.tensor, 28) ^ target).sum()
    assert found["loss_mask"].item() == pytest.approx(50 * int(wrong) / 28**2, rel=1e-3)


@pytest.mark.parametrize("balance", ["random", "code", "all"])
def test_nothing_occluded(balance):
    head = small_head(losses=LossSettings(balance=balance))
    found = losses_of(head, torch.randn(2, 8, 14, 14), [instances([False, False])])
    own = [found["loss_mask_occluder"].item(), found["loss_boundary_occluder"].item()]
    assert (own == [0, 0]) == (balance != "all")
    sum(found.values()).backward()
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize("given", [[], [instances([])], [instances([]), instances([])]])
def test_no_region(given):
    head = small_head()
    found = losses_of(head, torch.zeros(0, 8, 14, 14), given)
    assert {name: value.item() for name, value in found.items()} == dict.fromkeys(NAMES, 0)
    sum(found.values()).backward()
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_an_empty_image_beside_a_full_one():
    head = small_head(losses=LossSettings(balance="all"))
    x = torch.randn(1, 8, 14, 14)
    alone = losses_of(head, x, [instances([True])])
    beside = losses_of(head, x, [instances([]), instances([True])])
    assert {k: v.item() for k, v in alone.items()} == {k: v.item() for k, v in beside.items()}


def test_samples_of_another_system():
    given = instances([True])
    given.remove("gt_occluder_masks")
    with pytest.raises(UserError, match='set MODEL.SYSTEM to "bcnet"'):
        losses_of(small_head(), torch.randn(1, 8, 14, 14), [given])


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["MODEL.BCNET.BALANCE", "half"], "BALANCE = 'half': use one of random, code, all"),
        (["MODEL.BCNET.ATTENTION_AFTER", "5"], "ATTENTION_AFTER = 5: use a number from 0 to"),
        (["MODEL.BCNET.WEIGHT_OCCLUDER", "-1.0"], "WEIGHT_OCCLUDER = -1.0: use a number that"),
        (["MODEL.ROI_MASK_HEAD.NUM_CONV", "0"], "NUM_CONV = 0: use 1 or more"),
        (["MODEL.ROI_MASK_HEAD.CONV_DIM", "0"], "CONV_DIM = 0: use 1 or more"),
        (["MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK", "False"], "CLS_AGNOSTIC_MASK is False: BCNet"),
    ],
)
def test_settings_that_cannot_be(opts, message):
    with pytest.raises(UserError, match=message):
        build_model(load_config("bcnet_R_18_FPN_kins_quick", ["MODEL.DEVICE", "cpu", *opts]))


def detected(count: int) -> Instances:
    found = Instances((H, W))
    boxes = torch.tensor([[10.0, 5.0, 50.0, 35.0], [0, 0, 0, 0], [1, 1, 9, 9]])
    found.pred_boxes = Boxes(boxes[:count])
    found.pred_classes = torch.zeros(count, dtype=torch.int64)
    return found


def test_results_go_through_detectron2():
    """Boxes without a pixel fall out, with all that belongs to them."""
    x = torch.randn(4, 8, 14, 14)
    head = small_head(keep_extras=True).eval()
    first, second = head(x, [detected(3), detected(1)])
    torch.testing.assert_close(first.pred_masks, head.layers(x).mask[:3].sigmoid())
    shown = detector_postprocess(first, 2 * H, 2 * W)
    assert shown.pred_masks.shape == (2, 2 * H, 2 * W) and shown.pred_masks.dtype == torch.bool
    expected = head.layers(x).occluder_mask[[0, 2]].sigmoid()
    torch.testing.assert_close(shown.pred_occluder_masks, expected)
    assert second.pred_object_boundaries.shape == second.pred_object_masks.shape == (1, 1, 28, 28)
    plain = small_head().eval()(x, [detected(3), detected(1)])[0]
    assert not plain.has("pred_occluder_masks")
    assert small_head().eval()(x[:0], [detected(0)])[0].pred_masks.shape == (0, 1, 28, 28)


def test_shared_masks_are_bit_masks():
    masks = torch.rand(3, H, W) < 0.5
    rows = torch.tensor([2, 0, 0, 1])
    boxes = torch.tensor([[3.2, 4.1, 30, 20], [0, 0, 60, 40], [10, 10, 11, 12], [5, 5, 50, 35]])
    shared, full = SharedMasks(masks)[rows], BitMasks(masks)[rows]
    assert shared.masks is masks and len(shared) == len(full)
    assert torch.equal(shared.tensor, full.tensor)
    assert torch.equal(shared.crop_and_resize(boxes, 28), full.crop_and_resize(boxes, 28))
    keep = torch.tensor([True, False, False, True])
    assert torch.equal(shared[keep].tensor, full[keep].tensor)
    assert torch.equal(shared[1].tensor, full[1].tensor) and len(shared[1:3]) == 2
    assert shared[[]].crop_and_resize(boxes[:0], 28).shape == (0, 28, 28)
