"""Scenes and stand-ins that several tests use."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from detectron2.modeling.backbone.resnet import BasicBlock, BasicStem, ResNet
from torch import nn

from deocclusion_d2 import load_config
from deocclusion_d2.modeling import UNet
from deocclusion_d2.structures import Scene, WindowMask
from deocclusion_d2.systems.order_net.network import OrderNet, PairClassifier
from deocclusion_d2.systems.pcnet_m.network import PCNetM
from deocclusion_d2.unfinished import unfinished_folder


def scene_of(arrays: list[np.ndarray], categories: list[int] | None = None) -> Scene:
    """A scene from (H, W) masks."""
    height, width = arrays[0].shape
    return Scene(
        height,
        width,
        [WindowMask.from_array(a) for a in arrays],
        np.array(categories or [1] * len(arrays)),
    )


def box_mask(height: int, width: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """(height, width) bool, True inside the box."""
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return mask


class RuleNetwork(nn.Module):
    """Stands for a U-Net: logits from a rule on (visible, eraser), each (N, S, S) float.

    The rule returns the foreground, 0/1; the logits make its probability 0.9997 or 0.0003.
    """

    def __init__(self, rule: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.rule = rule
        self.head = nn.Conv2d(1, 1, 1)  # the model asks it for its dtype

    def peak_activations(self, size: int) -> int:
        return size**2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        foreground = self.rule(x[:, 0].float(), x[:, 1].float()).float()
        return torch.stack([-8 * (foreground - 0.5), 8 * (foreground - 0.5)], dim=1)


def rule_model(rule, **options) -> PCNetM:
    """A PCNet-M whose network follows a rule."""
    return PCNetM(network=RuleNetwork(rule), use_category=False, **options).eval()


def random_model(width: float = 0.25, seed: int = 0, **options) -> PCNetM:
    """A small PCNet-M with random weights and random batch norm statistics."""
    torch.manual_seed(seed)
    return randomise(PCNetM(network=UNet(5 if options.get("use_rgb") else 2, width), **options))


def randomise(model: nn.Module) -> nn.Module:
    """Random batch norm statistics for a model with a U-Net, and a head that is not indifferent."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    # A head of random weights gives all pixels nearly the same probability, on one side of 0.5.
    head = model.eval().network.head
    head.weight.data.mul_(30)
    masks = (torch.rand(4, head_inputs(model), 4, 4) < 0.5).float().repeat_interleave(8, 2)
    with torch.no_grad():
        logits = model.network(masks.repeat_interleave(8, 3))
    head.bias.data[1] -= (logits[:, 1] - logits[:, 0]).median()
    return model


def head_inputs(model: nn.Module) -> int:
    """Channels of the network's input."""
    return model.network.stem[0].in_channels


def random_order_net(use_rgb: bool = False, seed: int = 0) -> OrderNet:
    """A small OrderNet with random weights whose probabilities differ from 0.5."""
    torch.manual_seed(seed)
    norm = "BN"
    stages = [
        ResNet.make_stage(
            BasicBlock, 1, in_channels=8, out_channels=16, stride_per_block=[2], norm=norm
        )
    ]
    backbone = ResNet(BasicStem(5 if use_rgb else 2, 8, norm), stages, out_features=["res2"])
    network = PairClassifier(backbone)
    # Else all pairs get nearly the same probability, on one side of 0.5.
    network.eval()
    masks = (torch.rand(16, 5 if use_rgb else 2, 4, 4) < 0.5).float().repeat_interleave(8, 2)
    with torch.no_grad():
        logits = network(masks.repeat_interleave(8, 3))
    difference = logits[:, 0] - logits[:, 1]
    scale = 2 / difference.std()
    network.head.weight.data.mul_(scale)
    network.head.bias.data.mul_(scale)[0] -= scale * difference.median()
    return OrderNet(network=network, use_rgb=use_rgb).eval()


def step_config(tmp_path, text: str):
    """A config of "META_ARCHITECTURE ORDERING COMPLETION"."""
    path = tmp_path / "c.yaml"
    path.write_text("INPUT: {INSTANCE_CROP: {SIZE: 32}}\nMODEL: {DEVICE: cpu, WEIGHTS: ''}\n")
    keys = ("MODEL.META_ARCHITECTURE", "DEOCCLUSION.ORDERING", "DEOCCLUSION.COMPLETION")
    return load_config(
        str(path), [v for pair in zip(keys, text.split(), strict=True) for v in pair]
    )


def program_of(path: Path) -> ModuleType:
    """A program that lies in no package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leave_over(path: Path) -> Path:
    """What a run that was killed while it wrote ``path`` has left on this machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_folder(path.parent, path.name) as work:
        (work / "new").mkdir()
        (work / "new" / "half.png").write_bytes(b"half")
        # Under another name it outlives the block, and its lock does not.
        left = work.rename(f"{str(work)[:-16]}0123456789ab.tmp")
    return left
