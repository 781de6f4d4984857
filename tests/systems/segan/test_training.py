"""SeGAN's trainings go on after an interruption as if there had been none."""

from __future__ import annotations

import shutil

import pytest
import torch

from deocclusion_d2.engine.train import train
from deocclusion_d2.systems.segan.config import STAGES
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
