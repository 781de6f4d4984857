"""The three stages by the command's own entry point: each from the one before, and interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from detectron2.engine import default_argument_parser
from torch.nn.parallel import DistributedDataParallel

from deocclusion_d2.config import find_config
from deocclusion_d2.engine.train import train
from deocclusion_d2.modeling.precision import run_in_bfloat16
from deocclusion_d2.systems.amodal_vae.network import STAGES
from tests.systems.amodal_vae.test_network import batch_of, small

SMALL = (
    "MODEL.AMODAL_VAE.WIDTH", "0.25", "MODEL.AMODAL_VAE.LATENT", "8", "MODEL.AMODAL_VAE.SIZE", "16",
    "MODEL.AMODAL_VAE.KL_BEGIN", "0", "INPUT.INSTANCE_CROP.SIZE", "32",
    "SOLVER.IMS_PER_BATCH", "8", "SOLVER.CHECKPOINT_PERIOD", "2", "DATALOADER.NUM_WORKERS", "0",
    "SOLVER.CPU_BFLOAT16", "False", "DATASETS.TEST", "()",
)  # fmt: skip


def run(tiny_kins: Path, stage: str, output: Path, *opts: str, resume: bool = False) -> dict:
    train(
        default_argument_parser().parse_args(
            [
                "--config-file", str(find_config(f"amodal_vae_{stage}_kins_quick")),
                *(["--resume"] if resume else []),
                *SMALL,
                "DATASETS.TRAIN", f"('kins.modal:{tiny_kins}/instances_train.json',)",
                "OUTPUT_DIR", str(output),
                *opts,
            ]
        )
    )  # fmt: skip
    return torch.load(output / "model_final.pth", weights_only=True)


@pytest.fixture(scope="module")
def first_stages(tiny_kins, tmp_path_factory) -> dict[str, str]:
    """Stage -> what it starts from."""
    folder = tmp_path_factory.mktemp("stages")
    starts = {"full": ""}
    for stage, after in (("full", "partial"), ("partial", "joint")):
        weights = ("MODEL.WEIGHTS", starts[stage], "SOLVER.MAX_ITER", "2")
        run(tiny_kins, stage, folder / stage, *weights)
        starts[after] = str(folder / stage / "model_final.pth")
    return starts


@pytest.mark.parametrize(
    ("stage", "opts"),
    [
        ("full", ()),
        ("partial", ()),
        ("joint", ()),
        ("joint", ("MODEL.AMODAL_VAE.HIDDEN_SHARE", "0.5", "MODEL.AMODAL_VAE.ORDERED", "True",
                   "DEOCCLUSION.ORDERING", "convex", "DEOCCLUSION.ORDERING_CONFIG", "")),
    ],
)  # fmt: skip
def test_resumed_training_equals_an_uninterrupted_one(
    stage: str, opts: tuple[str, ...], first_stages, tiny_kins, tmp_path
):
    """To the bit, the annealed weight of the first stage with it."""
    opts = ("MODEL.WEIGHTS", first_stages[stage], "SOLVER.MAX_ITER", "4", *opts)
    whole = run(tiny_kins, stage, tmp_path / "whole", *opts)["model"]
    cut = tmp_path / "cut"
    run(tiny_kins, stage, cut, *opts)
    for late in ("model_final.pth", "model_0000003.pth"):
        (cut / late).unlink()
    (cut / "last_checkpoint").write_text("model_0000001.pth")
    resumed = run(tiny_kins, stage, cut, *opts, resume=True)["model"]
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    lines = [json.loads(t) for t in (tmp_path / "whole" / "metrics.json").read_text().splitlines()]
    assert 0 <= lines[-1]["amodal_vae/active_latents"] <= 8
    assert int(whole["steps"]) == (4 if stage == "full" else 2)


def train_in_two_processes(rank: int, folder: str) -> None:
    """Two steps of each stage; leaves the parameters in ``folder``."""
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    for stage in STAGES:
        model = small(stage).train()
        parallel = DistributedDataParallel(model, broadcast_buffers=False)
        learnt = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(learnt, lr=1e-3)
        for step in range(2):
            samples = batch_of(4 + rank)
            samples["is_whole"][step] = 0
            optimizer.zero_grad()
            # A parameter without a gradient would stop the second step.
            sum(parallel(samples).values()).backward()
            optimizer.step()
        torch.save(dict(model.named_parameters()), f"{folder}/{stage}_{rank}.pth")
    dist.destroy_process_group()


def test_two_processes_stay_alike(tmp_path):
    """Each on samples of its own; gradients are shared."""
    mp.spawn(train_in_two_processes, args=(str(tmp_path),), nprocs=2)
    for stage in STAGES:
        first, second = (torch.load(tmp_path / f"{stage}_{rank}.pth") for rank in (0, 1))
        before = dict(small(stage).named_parameters())
        assert any(not torch.equal(value, first[name]) for name, value in before.items())
        assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("stage", STAGES)
def test_bfloat16_learns_what_float32_learns(stage: str):
    """Losses of the first step agree to the few bits that bfloat16 has."""
    found = []
    for lower in (False, True):
        model = small(stage).train()
        if lower:
            run_in_bfloat16(model)
        losses = model(batch_of(16))
        sum(losses.values()).backward()
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
        found.append({key: value.item() for key, value in losses.items()})
    for key, value in found[0].items():
        assert found[1][key] == pytest.approx(value, rel=0.05, abs=0.02), key
