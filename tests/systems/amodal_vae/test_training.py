"""The three stages by the command's own entry point: each from the one before, and interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from detectron2.engine import default_argument_parser

from deocclusion_d2.config import find_config
from deocclusion_d2.engine.train import train

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
    assert int(whole["steps"]) == (4 if stage == "full" else 2)
