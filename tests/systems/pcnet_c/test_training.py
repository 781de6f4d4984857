"""Training PCNet-C through the command's own entry point: two sides, one optimizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from detectron2.engine import default_argument_parser
from torch.nn.parallel import DistributedDataParallel

from deocclusion_d2.config import load_config
from deocclusion_d2.engine.optimizer import build_optimizer
from deocclusion_d2.engine.train import train
from deocclusion_d2.engine.trainer import Trainer
from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling.discriminator import PatchDiscriminator
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits
from deocclusion_d2.systems.pcnet_c.network import ContentLossWeights, PCNetC
from deocclusion_d2.systems.pcnet_c.partial_conv_unet import PartialConvUNet
from tests.systems.pcnet_c.test_network import batch

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
SMALL = ("MODEL.PCNET_C.WIDTH", "0.0625", "MODEL.PCNET_C.ADVERSARIAL_WEIGHT", "0.1",
         "SOLVER.IMS_PER_BATCH", "2", "SOLVER.CPU_BFLOAT16", "False", "SOLVER.MAX_ITER", "2",
         "SOLVER.CHECKPOINT_PERIOD", "1", "DATALOADER.NUM_WORKERS", "0")  # fmt: skip


@pytest.fixture(scope="module")
def kins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kins")
    write_splits(folder, {"train": 3, "val": 2}, SyntheticKinsConfig(96, 320), 1)
    return folder


def arguments(kins: Path, output: Path, *opts: str, flags: tuple[str, ...] = ()):
    train_set = f"kins.modal:{kins}/instances_train.json@{kins}/training/image_2"
    return default_argument_parser().parse_args(
        [
            "--config-file", str(CONFIGS / "quick_schedules/pcnet_c_kins_quick.yaml"), *flags,
            "DATASETS.TRAIN", f"('{train_set}',)",
            "DATASETS.TEST", "()",
            "OUTPUT_DIR", str(output),
            *SMALL,
            *opts,
        ]
    )  # fmt: skip


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "model_final.pth", weights_only=False)


def test_resumed_training_equals_an_uninterrupted_one(kins, tmp_path):
    """The discriminator, its norms' estimates and both sides' Adam states go on."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(arguments(kins, whole, "VIS_PERIOD", "2"))
    lines = [json.loads(t) for t in (whole / "metrics.json").read_text().splitlines()]
    assert {"loss_hole", "loss_adversarial", "loss_discriminator"} <= set(lines[-1])

    cut.mkdir()
    shutil.copy(whole / "model_0000000.pth", cut)
    (cut / "last_checkpoint").write_text("model_0000000.pth")
    train(arguments(kins, cut, flags=("--resume",)))
    expected, resumed = checkpoint(whole)["model"], checkpoint(cut)["model"]
    assert any(k.startswith("discriminator.") for k in expected)
    assert all(torch.equal(expected[k], resumed[k]) for k in expected)
    first = torch.load(whole / "model_0000000.pth", weights_only=False)["model"]
    for side in ("network.encoder.0.conv.weight", "discriminator.layers.4.parametrizations"):
        moved = [k for k in expected if k.startswith(side)]
        assert moved and any(not torch.equal(first[k], expected[k]) for k in moved), side


def test_learning_rates_of_both_sides_follow_the_schedule():
    cfg = load_config(str(CONFIGS / "pcnet_c_kins.yaml"), [
        "MODEL.PCNET_C.WIDTH", "0.0625", "MODEL.PCNET_C.PERCEPTUAL_WEIGHT", "0",
        "MODEL.PCNET_C.STYLE_WEIGHT", "0", "MODEL.DEVICE", "cpu", "SOLVER.STEPS", "(2,)",
        "SOLVER.MAX_ITER", "10"])  # fmt: skip
    optimizer = Trainer.build_optimizer(cfg, Trainer.build_model(cfg))
    assert isinstance(optimizer, torch.optim.Adam)
    scheduler = Trainer.build_lr_scheduler(cfg, optimizer)
    network, discriminator = optimizer.param_groups
    assert (network["lr"], discriminator["lr"]) == pytest.approx((1e-4, 1e-5))
    assert network["betas"] == (0.9, 0.999) and discriminator["betas"] == (0.0, 0.9)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    assert (network["lr"], discriminator["lr"]) == pytest.approx((1e-5, 1e-6))


def test_wrong_optimizers_are_refused():
    cfg = load_config(str(CONFIGS / "quick_schedules/pcnet_c_kins_quick.yaml"), [
        "MODEL.PCNET_C.WIDTH", "0.0625", "MODEL.DEVICE", "cpu"])  # fmt: skip
    model = Trainer.build_model(cfg)
    for name, message in (("SGD", "PCNetC is trained by Adam"), ("LAMB", "use SGD or Adam")):
        cfg.SOLVER.OPTIMIZER = name
        with pytest.raises(UserError, match=message):
            build_optimizer(cfg, model)


def train_in_two_processes(rank: int, folder: str) -> None:
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    torch.manual_seed(0)
    model = PCNetC(
        network=PartialConvUNet(width=1 / 16),
        discriminator=PatchDiscriminator(width=1 / 16),
        weights=ContentLossWeights(perceptual=0, style=0),
    ).train()
    parallel = DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(2):
        optimizer.zero_grad()
        # A parameter without a gradient would stop the second step.
        sum(parallel(batch(seed=10 * step + rank)).values()).backward()
        optimizer.step()
    torch.save(dict(model.named_parameters()), f"{folder}/{rank}.pth")
    dist.destroy_process_group()


def test_two_processes_stay_alike(tmp_path):
    """Each on samples of its own; both sides' gradients are shared."""
    mp.spawn(train_in_two_processes, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=False) for rank in (0, 1))
    assert any(name.startswith("discriminator.") for name in first)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_patches_that_do_not_fit_are_refused(kins, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train(arguments(kins, tmp_path, "INPUT.INSTANCE_CROP.SIZE", "96"))
    assert "PATCH_SIZE = 96" in capsys.readouterr().err


def test_without_vgg_weights_training_says_which_keys(kins, tmp_path, capsys):
    missing = ("MODEL.PCNET_C.STYLE_WEIGHT", "1.0", "MODEL.PCNET_C.VGG_WEIGHTS", "none.pth")
    with pytest.raises(SystemExit) as stopped:
        train(arguments(kins, tmp_path, *missing))
    assert stopped.value.code == 1
    assert "MODEL.PCNET_C.STYLE_WEIGHT 0" in capsys.readouterr().err
