"""Completion of held-out erasures, against a loop over the same samples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from deocclusion_d2.config import load_config
from deocclusion_d2.data.draws import Draws
from deocclusion_d2.data.loaders import train_instances
from deocclusion_d2.errors import UserError
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits
from deocclusion_d2.systems.pcnet_m.erasures import evaluate_erasures
from deocclusion_d2.systems.pcnet_m.mapper import PartialCompletionMapper
from tests.helpers import random_model

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "configs" / "quick_schedules" / "pcnet_m_kins_quick.yaml")
DRAWS = 30
SMALL = ["INPUT.INSTANCE_CROP.SIZE", "32", "DATALOADER.NUM_WORKERS", "0"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("kins")
    write_splits(folder, {"train": 3}, SyntheticKinsConfig(96, 320), 1)
    return f"kins.modal:{folder}/instances_train.json@{folder}/training/image_2"


class Completes(torch.nn.Module):
    """Gives what a function makes of the batch as the probability."""

    def __init__(self, probability) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, batch: dict) -> dict:
        return {"probability": self.probability(batch).float()}


def settings(*opts: str):
    return load_config(CONFIG, [*SMALL, *opts])


def drawn(cfg, dataset: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The samples one by one: mask and eraser, bool."""
    cfg.DATASETS.TRAIN = (dataset,)
    mapper = PartialCompletionMapper(cfg, train_instances(cfg), 0)
    draws = Draws(len(mapper), 0)
    samples = [mapper(draws[k]) for k in range(DRAWS)]
    return [(s["modal_mask"].astype(bool), s["eraser"].astype(bool)) for s in samples]


def test_against_a_loop_over_the_samples(dataset):
    everything = Completes(lambda batch: torch.ones(batch["eraser"].shape))
    found = evaluate_erasures(settings(), dataset, DRAWS, everything)
    ious, hidden, erasers, added, areas = [], 0, 0, 0, 0
    for mask, eraser in drawn(settings(), dataset):
        if (mask & eraser).any():
            ious.append((mask & eraser).sum() / eraser.sum())
            hidden, erasers = hidden + (mask & eraser).sum(), erasers + eraser.sum()
        else:
            added, areas = added + eraser.sum(), areas + mask.sum()
    assert found["erased"] == len(ious) > 5 and found["intact"] == DRAWS - len(ious) > 0
    assert found["erased_IoU_mean"] == pytest.approx(100 * np.mean(ious))
    assert found["erased_IoU_sum"] == pytest.approx(100 * hidden / erasers)
    assert found["grown"] == pytest.approx(100 * added / areas) and found["grown"] > 0


def test_the_truth_is_perfect_and_nothing_is_zero(dataset):
    perfect = evaluate_erasures(settings(), dataset, DRAWS, Completes(lambda b: b["modal_mask"]))
    assert (perfect["erased_IoU_sum"], perfect["erased_IoU_mean"], perfect["grown"]) == (
        100,
        100,
        0,
    )
    # At the threshold is not above it.
    threshold = settings().DEOCCLUSION.AMODAL_THRESHOLD
    at = Completes(lambda batch: torch.full(batch["eraser"].shape, threshold))
    nothing = evaluate_erasures(settings(), dataset, DRAWS, at)
    assert (nothing["erased_IoU_sum"], nothing["erased_IoU_mean"], nothing["grown"]) == (0, 0, 0)


def test_batches_and_workers_change_nothing(dataset):
    model = random_model()
    one = evaluate_erasures(settings(), dataset, DRAWS, model)
    for opts in (("SOLVER.IMS_PER_BATCH", "7"), ("DATALOADER.NUM_WORKERS", "2")):
        assert evaluate_erasures(settings(*opts), dataset, DRAWS, model) == pytest.approx(one)
    assert 0 < one["erased_IoU_mean"] < 100


def test_another_config_can_draw_for_a_network(dataset):
    model = random_model()
    own = evaluate_erasures(settings(), dataset, DRAWS, model)
    wide = settings(
        *("INPUT.INSTANCE_CROP.ENLARGE", "2.0", "INPUT.PARTIAL_COMPLETION.SEAMS.PROBABILITY", "1.0")
    )
    assert evaluate_erasures(wide, dataset, DRAWS, model) != own
    assert evaluate_erasures(wide, dataset, DRAWS, model, settings()) == own


def test_mistakes_are_one_line(dataset):
    for wrong, match in (
        (("MODEL.META_ARCHITECTURE", "PCNetC"), "MODEL.META_ARCHITECTURE = 'PCNetC'"),
        (("MODEL.WEIGHTS", "absent.pth"), "MODEL.WEIGHTS: file 'absent.pth' does not exist"),
    ):
        with pytest.raises(UserError, match=match):
            evaluate_erasures(settings(*wrong), dataset, DRAWS)
    with pytest.raises(UserError, match="0 draws"):
        evaluate_erasures(settings(), dataset, 0)


def test_the_command(dataset, tmp_path):
    weights = tmp_path / "model.pth"
    torch.save({"model": random_model().state_dict()}, weights)
    command = [sys.executable, "-W", "ignore", str(ROOT / "tools/evaluate_erasures.py")]
    command += ["--config-file", CONFIG, "--dataset", dataset, "--draws", "5"]
    small = ["--opts", *SMALL, "MODEL.PCNET_M.WIDTH", "0.25"]
    done = subprocess.run(
        [*command, "--weights", str(weights), str(weights), *small], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    header, _, first, second = done.stdout.strip().splitlines()
    assert header.split()[1:4] == ["weights", "|", "erased_IoU_sum"] and first == second
    done = subprocess.run(
        [*command, "--weights", "absent.pth", *small], capture_output=True, text=True
    )
    assert done.returncode == 1 and "error: MODEL.WEIGHTS" in done.stderr.splitlines()[-1]
