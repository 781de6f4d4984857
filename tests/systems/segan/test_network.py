"""SeGAN's parts: sizes, weights to begin from, and which of them learn in which stage."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_backbone, build_model
from torchvision.models import resnet18, resnet34

from deocclusion_d2 import load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling.discriminator import PatchDiscriminator
from deocclusion_d2.systems.segan.config import STAGES
from deocclusion_d2.systems.segan.network import has_learned
from deocclusion_d2.systems.segan.painter import Painter
from deocclusion_d2.systems.segan.segmentor import Segmentor, load_resnet18

SMALL = ["MODEL.DEVICE", "cpu", "MODEL.SEGAN.MASK_SIZE", "8", "MODEL.SEGAN.PAINT_SIZE", "32",
         "MODEL.SEGAN.PAINTER_DEPTH", "4", "MODEL.SEGAN.PAINTER_CHANNELS", "4",
         "MODEL.SEGAN.INPUT_SIZE", "48"]  # fmt: skip
SEGMENTS, PAINTS = "loss_segmentation", {"loss_l1", "loss_adversarial", "loss_discriminator"}


def small(stage: str, *opts: str):
    torch.manual_seed(0)
    config = f"segan_{stage}_kins_quick"
    return build_model(load_config(config, [*SMALL, "MODEL.WEIGHTS", "", *opts]))


def batch(count: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def picture(side: int) -> torch.Tensor:
        return torch.randint(256, (count, side, side, 3), generator=generator, dtype=torch.uint8)

    def mask(side: int, right: int) -> torch.Tensor:
        found = torch.zeros(count, side, side, dtype=torch.uint8)
        found[:, side // 4 : -side // 4, side // 4 : right] = 1
        return found

    return {
        "image": picture(48),
        "modal_mask": mask(48, 24),
        "box": torch.tensor([[10.0, 10, 40, 40]]).repeat(count, 1),
        "mask_amodal": mask(8, 6),
        "mask_modal": mask(8, 4),
        "crop_image": picture(32),
        "crop_modal": mask(32, 16),
        "crop_amodal": mask(32, 24),
        "crop_full": picture(32),
    }


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_sizes_of_the_paper():
    cfg = load_config("segan_segment_kins", ["MODEL.DEVICE", "cpu"])
    backbone = build_backbone(cfg, ShapeSpec(channels=4))
    segmentor = Segmentor(backbone)
    assert parameters(segmentor.head) == 512 * 36 * 3364 + 3364 == 62_008_612
    # ResNet-18's 11,176,512 without its classifier, and 64 x 49 for the fourth channel.
    assert parameters(backbone) == 11_176_512 + 64 * 49
    # Halved five times, and an average over 7 x 7 pixels of 16 x 16: 10 x 10.
    with torch.no_grad():
        features = backbone(torch.zeros(1, 4, 500, 500))["res5"]
    assert features.shape == (1, 512, 16, 16)
    widths = [3, 64, 128, 256, 512, 512, 512, 512, 512]
    down = [16 * a * b + b for a, b in itertools.pairwise(widths)]
    # Two inputs of each layer of the decoder, but of the one at the bottom.
    up = [
        16 * (b if b_is_last else 2 * b) * a + a
        for a, b, b_is_last in zip(widths, widths[1:], [False] * 7 + [True], strict=False)
    ]
    norms = 2 * (sum(widths[2:]) + sum(widths[1:-1]))
    assert parameters(Painter()) == sum(down) + sum(up) + norms == 54_420_483
    assert parameters(PatchDiscriminator(6)) == 2_766_848


def test_the_fourth_channel_begins_as_red():
    weight = small("segment").segmentor.backbone.stem.conv1.weight
    assert torch.equal(weight[:, 3], weight[:, 0]) and not torch.equal(weight[:, 1], weight[:, 0])


def test_imagenet_weights_are_torchvisions(tmp_path):
    """Features of a photo by both, with an empty visible mask."""
    torch.manual_seed(1)
    theirs = resnet18().eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    path = tmp_path / "resnet18.pth"
    torch.save(theirs.state_dict(), path)
    cfg = load_config("segan_segment_kins", ["MODEL.DEVICE", "cpu"])
    ours = build_backbone(cfg, ShapeSpec(channels=4)).eval()
    load_resnet18(ours, str(path))
    assert torch.equal(ours.stem.conv1.weight[:, 3], theirs.conv1.weight[:, 0])
    photo = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(photo))))
        wanted = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
        found = ours(torch.cat([photo, torch.zeros(1, 1, 64, 64)], dim=1))["res5"]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match=r"resnet18.pth' is no ResNet-18 of torchvision"):
        load_resnet18(ours, str(path))
    with pytest.raises(UserError, match="no.pth' does not exist"):
        load_resnet18(ours, str(tmp_path / "no.pth"))


@pytest.mark.parametrize("stage", STAGES)
def test_what_learns_in_a_stage(stage):
    model = small(stage).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = model(batch())
    wanted = {"segment": {SEGMENTS}, "paint": PAINTS, "end_to_end": {SEGMENTS, *PAINTS}}[stage]
    assert set(losses) == wanted and all(torch.isfinite(v) for v in losses.values())
    groups = model.optimizer_groups()
    optimizer = torch.optim.Adam(groups, lr=1e-2)
    sum(losses.values()).backward()
    optimizer.step()
    after = model.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    parts = {"segment": {"segmentor"}, "paint": {"painter", "discriminator"}}
    assert moved == parts.get(stage, {"segmentor", "painter", "discriminator"})


def test_the_discriminators_loss_does_not_reach_the_painter():
    model = small("paint").train()
    model(batch())["loss_discriminator"].backward()
    assert all(p.grad is None or not p.grad.any() for p in model.painter.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.discriminator.parameters())
    model.zero_grad(set_to_none=True)
    model(batch())["loss_adversarial"].backward()
    assert all(p.grad is None for p in model.discriminator.parameters())
    assert all(p.grad.any() for p in model.painter.up[0].parameters())


@pytest.mark.parametrize("hard", ["False", "True"])
def test_end_to_end_the_painters_loss_reaches_the_segmentor(hard):
    model = small("end_to_end", "MODEL.SEGAN.HARD", hard).train()
    model(batch())["loss_l1"].backward()
    assert model.segmentor.head.weight.grad.any()


@pytest.mark.parametrize(("hard", "seen_as"), [("False", (0.75, 0.25, 0.05)), ("True", (1, 0, 0))])
def test_the_painter_sees_the_mask_that_is_cut_at_the_threshold(hard, seen_as, monkeypatch):
    """A probability of 0.95, odds of 19 to 1, is what 0.5 is without a threshold."""
    model = small("end_to_end", "MODEL.SEGAN.HARD", hard, "MODEL.SEGAN.THRESHOLD", "0.95")
    given = batch()
    odds = torch.tensor([19.0 * 3, 19.0 / 3, 1.0])
    monkeypatch.setattr(model, "_segment", lambda of: odds.log()[:, None, None].expand(3, 8, 8))
    seen = []
    monkeypatch.setattr(model.painter, "forward", lambda x: seen.append(x) or x)
    model.train()(given)
    model.eval()({k: v for k, v in given.items() if k != "crop_amodal"})
    for x, reds in zip(seen, (seen_as, (1, 0, 0)), strict=True):
        for sample, visible, red in zip(x, given["crop_modal"], reds, strict=True):
            # Beside the visible part red is the probability, blue what remains.
            wanted = torch.tensor([red, 0.0, 1 - red])[:, None].expand(3, int((visible == 0).sum()))
            torch.testing.assert_close(sample[:, visible == 0], wanted)


def test_results():
    model = small("end_to_end").eval()
    given = batch()
    with torch.no_grad():
        whole = model({k: v for k, v in given.items() if k != "crop_amodal"})
        assert whole["probability"].shape == (3, 8, 8) and whole["rgb"].shape == (3, 32, 32, 3)
        assert whole["rgb"].min() >= 0 and whole["rgb"].max() <= 255
        # A mask that is given is painted instead of its own.
        alone = model({k: given[k] for k in ("crop_image", "crop_modal", "crop_amodal")})
        assert set(alone) == {"rgb"} and not torch.equal(alone["rgb"], whole["rgb"])
        # What is not visible is not looked at.
        other = given["crop_image"].clone()
        other[given["crop_modal"] == 0] = 7
        again = model({**{k: given[k] for k in ("crop_modal", "crop_amodal")}, "crop_image": other})
    assert torch.equal(again["rgb"], alone["rgb"])


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["MODEL.SEGAN.STAGE", "draw"], "STAGE = 'draw': use one of segment, paint, end_to_end"),
        (["MODEL.SEGAN.PAINT_SIZE", "40"], "PAINT_SIZE = 40: use a multiple of 16, for"),
        (["MODEL.SEGAN.PAINTER_DEPTH", "2"], "DEPTH = 2: use 3 or more"),
        (["MODEL.SEGAN.MASK_SIZE", "0"], "MASK_SIZE = 0: use 1 or more"),
        (["MODEL.SEGAN.ROI_SIZE", "0"], "ROI_SIZE = 0: use 1 or more"),
        (["MODEL.SEGAN.INPUT_SIZE", "7"], "INPUT_SIZE = 7: use 32 or more"),
        (["MODEL.SEGAN.EXPAND", "(0.1,)"], "EXPAND = (0.1,): use two numbers from 0 on"),
        (["MODEL.SEGAN.TEST_EXPAND", "-0.2"], "TEST_EXPAND = -0.2: use 0 or more"),
        (["MODEL.SEGAN.LAMBDA_VISIBLE", "-5.0"], "LAMBDA_VISIBLE = -5.0: use 0 or more"),
        (["MODEL.SEGAN.LEAST_REGION", "0"], "LEAST_REGION = 0: use 1 or more"),
        (["MODEL.SEGAN.DISCRIMINATOR_WIDTH", "0.0"], "DISCRIMINATOR_WIDTH = 0.0: use 1/64"),
        (["MODEL.SEGAN.AVERAGE_POOL", "7"], "of MODEL.SEGAN.INPUT_SIZE = 48 are 3 pixels across"),
        (["MODEL.SEGAN.THRESHOLD", "1.0"], "THRESHOLD = 1.0: use a number between 0 and 1"),
    ],
)
def test_settings_that_cannot_be(opts, message):
    with pytest.raises(UserError, match=re.escape(message)):
        small("segment", *opts)


def test_one_sample_is_too_little_for_the_bottleneck():
    opts = ["MODEL.SEGAN.PAINTER_DEPTH", "5", "SOLVER.IMS_PER_BATCH", "1"]
    model = small("paint", *opts)
    cfg = load_config("segan_paint_kins_quick", ["MODEL.SEGAN.PAINT_SIZE", "32", *opts])
    with pytest.raises(UserError, match="IMS_PER_BATCH = 1: the painter's batch norm"):
        model.prepare_training(cfg)
    model.prepare_training(load_config("segan_paint_kins_quick"))


def test_a_resnet_of_more_layers_is_refused(tmp_path):
    cfg = load_config("segan_segment_kins", ["MODEL.DEVICE", "cpu"])
    ours = build_backbone(cfg, ShapeSpec(channels=4))
    path = tmp_path / "resnet34.pth"
    torch.save(resnet34().state_dict(), path)
    with pytest.raises(UserError, match=r"resnet34.pth' is no ResNet-18 .* res2.2"):
        load_resnet18(ours, str(path))
    torch.save({1: torch.zeros(1)}, path)
    with pytest.raises(UserError, match="is no ResNet-18"):
        load_resnet18(ours, str(path))


def test_what_has_learned():
    model = small("paint")
    assert not has_learned(model.segmentor) and not has_learned(model.painter)
    model.train()(batch())
    assert not has_learned(model.segmentor) and has_learned(model.painter)
    assert has_learned(torch.nn.Conv2d(1, 1, 1))  # nobody can say
