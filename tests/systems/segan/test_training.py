"""SeGAN's trainings go on after an interruption as if there had been none."""

from __future__ import annotations

import shutil

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from deocclusion_d2.engine.train import train
from deocclusion_d2.systems.segan.config import STAGES
from tests.systems.segan.test_network import batch, small
from tests.systems.tiny import train_arguments


@pytest.mark.parametrize("stage", STAGES)
def test_resumed_training_equals_an_uninterrupted_one(stage, tiny_kins, tmp_path):
    def run(name, *flags):
        opts = ("SOLVER.MAX_ITER", "4", "MODEL.WEIGHTS", "", "DATASETS.TEST", "()")
        config = f"segan_{stage}_kins_quick"
        train(train_arguments(config, tiny_kins, tmp_path / name, *opts, flags=flags))
        return torch.load(tmp_path / name / "model_final.pth", weights_only=True)["model"]

    whole = run("whole")
    cut = tmp_path / "cut"
    cut.mkdir()
    # What an interruption after the second iteration leaves.
    shutil.copy(tmp_path / "whole" / "model_0000001.pth", cut)
    (cut / "last_checkpoint").write_text("model_0000001.pth")
    resumed = run("cut", "--resume")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    first = torch.load(cut / "model_0000001.pth", weights_only=True)["model"]
    moved = {name.split(".")[0] for name in whole if not torch.equal(whole[name], first[name])}
    parts = {"segment": {"segmentor"}, "paint": {"painter", "discriminator"}}
    assert moved == parts.get(stage, {"segmentor", "painter", "discriminator"})


def train_in_two_processes(rank: int, folder: str, stage: str) -> None:
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    torch.manual_seed(0)
    model = small(stage).train()
    parallel = DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.Adam(model.optimizer_groups(), lr=1e-3)
    for step in range(2):
        optimizer.zero_grad()
        given = batch()
        given["crop_image"] = (given["crop_image"].int() + 40 * rank + step).clamp(max=255).byte()
        given["image"] = (given["image"].int() + 40 * rank + step).clamp(max=255).byte()
        # A parameter without a gradient would stop the second step.
        sum(parallel(given).values()).backward()
        optimizer.step()
    torch.save(dict(model.named_parameters()), f"{folder}/{rank}.pth")
    dist.destroy_process_group()


@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_stay_alike(stage, tmp_path):
    """Each on samples of its own; what learns in a stage shares its gradients."""
    mp.spawn(train_in_two_processes, args=(str(tmp_path), stage), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=False) for rank in (0, 1))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
