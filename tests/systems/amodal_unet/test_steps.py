"""Completion by AmodalUNet: by rules whose result is known, and free of grouping."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2 import Deoccluder
from deocclusion_d2.inference import NetworkRunner
from deocclusion_d2.modeling import UNet
from deocclusion_d2.structures import OcclusionGraph, WindowMask
from deocclusion_d2.systems.amodal_unet.network import AmodalUNet
from deocclusion_d2.systems.amodal_unet.steps import SupervisedCompletion
from tests.helpers import RuleNetwork, box_mask, randomise, scene_of, step_config
from tests.inference.test_invariance import H, W, scenes


def amodal_model() -> AmodalUNet:
    torch.manual_seed(0)
    return randomise(AmodalUNet(network=UNet(1, 0.25)))


def test_supervised_completion_does_not_depend_on_batches():
    model = amodal_model()
    graphs = [OcclusionGraph(len(s)) for s in scenes()]
    for batch_size in (1, 3, 64):
        completer = NetworkRunner(model, batch_size=batch_size, precision="float32")
        completion = SupervisedCompletion(completer, patch_size=32)

        def rles(results):
            return [[m.to_rle(H, W) for m in result.amodal_masks] for result in results]

        together = rles(completion(scenes(), graphs))
        alone = [rles(completion([s], [g]))[0] for s, g in zip(scenes(), graphs, strict=True)]
        backwards = rles(completion(scenes()[::-1], graphs[::-1]))[::-1]
        assert together == alone == backwards
    changed = [
        rle != m.to_rle(H, W)
        for scene, found in zip(scenes(), together, strict=True)
        for rle, m in zip(found, scene.modal_masks, strict=True)
    ]
    assert sum(changed) >= 10


@pytest.mark.parametrize("constrain", [True, False])
def test_supervised_completion_by_a_rule(constrain):
    """The network fills the left half of every patch, whatever is in front of what."""

    def left_half(visible: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        out = torch.zeros_like(visible)
        out[:, :, : out.shape[2] // 2] = 1
        return out

    class LeftHalf(RuleNetwork):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.cat([x, x], dim=1))

    model = AmodalUNet(network=LeftHalf(left_half)).eval()
    completer = NetworkRunner(model, precision="float32", optimize=False)
    # Square of box 12 x 12: side int(sqrt(3 * 144)) = 20, from int(20 - 10.39) = 9 in x and y.
    arrays = [box_mask(H, W, 14, 14, 26, 26), np.zeros((H, W), bool)]
    scene = scene_of(arrays)
    completion = SupervisedCompletion(completer, patch_size=20, constrain=constrain)
    amodal, empty = completion([scene], [OcclusionGraph(2)])[0].amodal_masks
    left = box_mask(H, W, 9, 9, 19, 29)
    expected = left | arrays[0] if constrain else left
    assert amodal == WindowMask.from_array(expected)
    assert empty.is_empty


def test_a_deoccluder_by_amodal_unet(tmp_path):
    for name in ("amodal_unet", "supervised"):  # the second is its name in configs of 0.1
        cfg = step_config(tmp_path, f"AmodalUNet convex {name}")
        deoccluder = Deoccluder.from_config(cfg, amodal_model())
        said = deoccluder.describe()
        assert (said["completion"], said["amodal_threshold"]) == ("amodal_unet", 0.5)
        assert not deoccluder.uses_rgb
    for scene, result in zip(scenes(), deoccluder(scenes()), strict=True):
        for modal, amodal in zip(scene.modal_masks, result.amodal_masks, strict=True):
            assert (modal - amodal).is_empty  # visible pixels are kept
