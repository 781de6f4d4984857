"""Amodal-VAE's network and its samples: sizes, stages, draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2 import load_config
from deocclusion_d2.data.instance_table import InstanceTable
from deocclusion_d2.data.occluders import Occluders
from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.systems.amodal_vae.losses import UNKNOWN
from deocclusion_d2.systems.amodal_vae.mapper import AmodalVAEMapper
from deocclusion_d2.systems.amodal_vae.network import AmodalVAE, active_latents
from deocclusion_d2.systems.amodal_vae.steps import build_completion
from deocclusion_d2.systems.amodal_vae.transformer import box_from


def batch_of(count: int = 3, size: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(count, size, size, generator=generator) < 0.5).to(torch.uint8)
    return {
        "partial": masks * 255,
        "full": masks,
        "box": torch.zeros(count, 4),
        "framed": masks.repeat_interleave(2, 1).repeat_interleave(2, 2),
        "is_whole": torch.ones(count, dtype=torch.uint8),
        "noise": torch.randn(count, 6, generator=generator),
    }


def small(stage: str, **options) -> AmodalVAE:
    torch.manual_seed(0)
    return AmodalVAE(stage=stage, size=8, latent=6, width=0.25, **options)


def test_the_paper_s_size():
    """Multiply-adds and parameters of the fact sheet's table: encoder 2.3 M, 64 numbers of code."""
    model = AmodalVAE()
    assert sum(p.numel() for p in model.full_encoder.parameters()) == pytest.approx(2.3e6, rel=0.03)
    found = model.eval()({"partial": torch.zeros(2, 28, 28, dtype=torch.uint8)})
    assert found["probability"].shape == (2, 28, 28) and found["box"].shape == (2, 4)


def test_the_weight_follows_the_steps_and_lies_in_the_checkpoint():
    model = small("full", kl=(0.0, 1.0, 0.5, 1)).train()
    losses = [model(batch_of())["loss_kl"].item() for _ in range(3)]
    assert losses[0] == losses[1] == 0 and losses[2] > 0  # 1 - 0.5 ** max(0, t - 1)
    again = small("full")
    again.load_state_dict(model.state_dict())
    assert int(again.steps) == 3


@pytest.mark.parametrize(
    ("stage", "learnt"),
    [
        ("full", {"full_encoder", "decoder"}),
        ("partial", {"partial_encoder"}),
        ("joint", {"partial_encoder", "decoder", "transformer"}),
    ],
)
def test_a_stage_changes_its_parts_alone(stage: str, learnt: set[str]):
    """Parameters and statistics of batch norms; every part that learns has a gradient."""
    model = small(stage).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = model(batch_of())
    sum(losses.values()).backward()
    parts = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert parts == learnt
    moved = {
        n.split(".")[0] for n, v in model.state_dict().items() if not torch.equal(v, before[n])
    }
    # In the first stage the two encoders are one.
    same = {"partial_encoder"} if stage == "full" else set()
    assert moved - {"steps"} <= learnt | same


def test_a_stage_starts_where_the_one_before_has_ended():
    """A whole mask has the code that the first stage has learnt, in either encoder."""
    first = small("full").train()
    sum(first(batch_of()).values()).backward()
    torch.optim.SGD(first.parameters(), 0.1).step()
    second = small("partial")
    second.load_state_dict(first.state_dict())
    second.eval()
    mask = torch.rand(2, 1, 8, 8)
    for of_part, of_whole in zip(
        second.partial_encoder(mask, None), second.full_encoder(mask, None), strict=True
    ):
        assert torch.equal(of_part, of_whole)
    shared = {id(p) for p in second.partial_encoder.parameters()}
    assert not shared & {id(p) for p in second.full_encoder.parameters()}


def test_samples_spread_as_the_posterior_says():
    """Without noise they are the mode, with a posterior of no width too; boxes follow the code."""
    model = small("joint").eval()
    torch.nn.init.normal_(model.transformer.box.weight)
    batch = batch_of()
    mode = model(batch)
    still = model.completions(batch, torch.zeros(2, 6))
    assert still["probability"].shape == (3, 3, 8, 8) and still["box"].shape == (3, 3, 4)
    for key, values in still.items():
        assert torch.equal(values, mode[key][:, None].expand_as(values))
    noise = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    drawn = model.completions(batch, noise)
    for key, values in drawn.items():
        assert (values[:, 1] - values[:, 2]).abs().max() > 1e-3
        # The first ones do not depend on how many there are.
        assert torch.equal(model.completions(batch, noise[:2])[key], values[:, :3])
    with torch.no_grad():
        half = len(model.partial_encoder.code.bias) // 2
        model.partial_encoder.code.weight[half:] = 0
        model.partial_encoder.code.bias[half:] = -100  # clamped to a log variance of -8
    narrow = model.completions(batch, noise)["probability"]
    assert (narrow - narrow[:, :1]).abs().max() < 0.02


def test_objects_that_are_really_hidden_teach_their_known_pixels_alone():
    """Neither what stands under the unknown ones counts, nor the box, nor the whole mask."""
    model = small("joint", joint_kl="full").eval()  # without the statistics of batches
    model.training = True
    batch = batch_of()
    batch["is_whole"] = torch.tensor([1, 0, 1], dtype=torch.uint8)
    batch["framed"][1, :3] = UNKNOWN

    def losses() -> dict[str, float]:
        return {key: value.item() for key, value in model(batch).items()}

    before = losses()
    batch["full"][1] = 1 - batch["full"][1]
    batch["box"][1] = 3.0
    assert losses() == before
    batch["framed"][1, 3] = 1 - batch["framed"][1, 3]
    assert losses()["loss_mask"] != before["loss_mask"]
    batch["box"][0] = 3.0
    assert losses()["loss_box"] > before["loss_box"]


def test_active_latents():
    deviation = torch.tensor([[0.1, 0.89, 0.91, 1.0]])
    assert active_latents(2 * deviation.log()) == 2


def mapper_of(masks: list[WindowMask], height: int = 60, width: int = 80, **options):
    annotations = [
        {
            "id": row,
            "dataset_category_id": 1,
            "modal_segmentation": mask.to_rle(height, width),
        }
        for row, mask in enumerate(masks)
    ]
    record = {"file_name": "a", "image_id": 1, "height": height, "width": width}
    table = InstanceTable([{**record, "annotations": annotations}])
    settings = ErasingSettings(patch_size=64)
    options.setdefault("occluders", Occluders(table))
    return AmodalVAEMapper(instances=table, settings=settings, seed=0, size=16, **options)


def test_samples_of_whole_objects_alone():
    """Two that touch are erasers, not targets."""
    alone = WindowMask.filled((5, 5, 25, 20))
    pair = [WindowMask.filled((40, 5, 50, 20)), WindowMask.filled((50, 5, 60, 20))]
    mapper = mapper_of([pair[0], alone, pair[1]])
    assert len(mapper) == 1
    with pytest.raises(UserError, match="every instance touches another one"):
        mapper_of(pair)


def test_a_sample_of_which_nothing_is_hidden():
    sample = mapper_of([WindowMask.filled((5, 5, 25, 20))], unhidden_share=1.0)(
        {"item": 0, "draw": 0}
    )
    assert sample["partial"].min() == 255 and sample["full"].all()
    assert np.array_equal(sample["box"], np.zeros(4))
    # The middle third of a frame of 32 px.
    assert sample["framed"].shape == (32, 32)
    assert sample["framed"].sum() == pytest.approx(32 * 32 / 9, rel=0.15)


def test_samples_of_which_a_part_is_hidden():
    """The whole box holds the modal one, and visible pixels lie in the whole mask."""
    masks = [WindowMask.filled((5, 5, 25, 45)), WindowMask.filled((40, 10, 70, 30))]
    mapper = mapper_of(masks, unhidden_share=0.0)
    larger = 0
    for draw in range(40):
        sample = mapper({"item": draw % 2, "draw": draw})
        x0, y0, x1, y1 = box_from((0, 0, 1, 1), sample["box"])
        assert x0 <= 1e-5 and y0 <= 1e-5 and x1 >= 1 - 1e-5 and y1 >= 1 - 1e-5
        larger += x1 - x0 > 1.02 or y1 - y0 > 1.02
        assert set(np.unique(sample["full"])) <= {0, 1} and sample["full"].any()
    assert larger > 5
    one, two = (mapper({"item": 0, "draw": 7}) for _ in range(2))
    assert all(np.array_equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("STAGE", "all", "MODEL.AMODAL_VAE.STAGE = 'all': use one of full, partial, joint"),
        ("PARTIAL_KL", "both", "MODEL.AMODAL_VAE.PARTIAL_KL = 'both'"),
        ("JOINT_KL", "none", "MODEL.AMODAL_VAE.JOINT_KL = 'none': use one of full, prior"),
        ("SIZE", "30", "MODEL.AMODAL_VAE.SIZE = 30: use a multiple of 4"),
        ("LATENT", "0", "MODEL.AMODAL_VAE.LATENT = 0: use 1 or more"),
        ("WIDTH", "0.0", "MODEL.AMODAL_VAE.WIDTH = 0.0: use a number above 0"),
        ("FRAME", "0.5", "MODEL.AMODAL_VAE.FRAME = 0.5: use 1 or more"),
        ("KL_ALPHA", "5.0", "MODEL.AMODAL_VAE.KL_ALPHA = 5.0: use a number from 0 to 1"),
    ],
)
def test_keys_that_make_no_sense(key: str, value: str, message: str):
    cfg = load_config("amodal_vae_full_kins_quick", [f"MODEL.AMODAL_VAE.{key}", value])
    with pytest.raises(UserError, match=message):
        AmodalVAE.from_config(cfg)


@pytest.mark.parametrize("key", ["HIDDEN_SHARE", "UNHIDDEN_SHARE"])
@pytest.mark.parametrize("value", ["-0.5", "1.5"])
def test_shares_of_training_samples_that_are_none(key: str, value: str):
    cfg = load_config("amodal_vae_joint_kins_quick", [f"MODEL.AMODAL_VAE.{key}", value])
    with pytest.raises(UserError, match=f"AMODAL_VAE.{key} = {value}: use a number from 0 to 1"):
        AmodalVAEMapper.from_config(cfg, None, 0, None)


@pytest.mark.parametrize("key", ["SAMPLES", "SAMPLES_SEED"])
def test_numbers_of_draws_that_are_none(key: str):
    """A seed below 0 would end in numpy's words, in the middle of a conversion."""
    cfg = load_config("amodal_vae_joint_kins_quick", [f"DEOCCLUSION.{key}", "-1"])
    with pytest.raises(UserError, match=f"DEOCCLUSION.{key} = -1: use 0 or more"):
        build_completion("anywhere", cfg, None)


def test_what_is_known_of_an_object_that_is_really_hidden():
    """A box of 20 x 10 at (30, 20) whose right neighbour may lie in front: by hand in the frame.

    The frame, 60 x 30 at (10, 10), has 32 x 32 pixels of 1.875 x 0.9375. Of a neighbour at
    x 50 to 58, columns 22 to 25 of rows 10.7 to 21.3 are unknown; beyond the image's right border,
    at x 64, columns from 29 on.
    """
    target, neighbour = WindowMask.filled((30, 20, 50, 30)), WindowMask.filled((50, 20, 58, 30))
    mapper = mapper_of(
        [target, neighbour, WindowMask.filled((2, 2, 8, 8))],
        height=60,
        width=64,
        hidden_share=1.0,
    )
    samples = [mapper({"item": 0, "draw": draw}) for draw in range(20)]
    framed = {s["framed"].tobytes(): s for s in samples}
    assert len(framed) > 1  # either of the two, mirrored or not
    assert all(s["is_whole"] == 0 and not s["box"].any() for s in samples)
    wanted = np.zeros((32, 32), np.uint8)
    rows = slice(11, 21)
    wanted[rows, 21:26] = UNKNOWN
    wanted[:, 29:] = UNKNOWN
    wanted[rows, 11:21] = 1
    ours = [
        s for s in framed.values() if np.array_equal(s["aspect"], np.log([2]).astype(np.float32))
    ]
    assert any(np.array_equal(s["framed"], wanted) for s in ours), ours[0]["framed"]
    assert any(np.array_equal(s["framed"], wanted[:, ::-1]) for s in ours)
    assert all(s["partial"].min() == 255 for s in samples)
