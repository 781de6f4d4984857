"""The supervised methods on scenes: by rules whose result is known, and free of grouping."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling import UNet
from deocclusion_d2.structures import OcclusionGraph, WindowMask
from deocclusion_d2.systems.amodal_unet.network import AmodalUNet
from deocclusion_d2.systems.amodal_unet.steps import SupervisedCompletion
from deocclusion_d2.systems.order_net.steps import OrderNetOrdering, PairRunner
from deocclusion_d2.systems.pcnet_m.patch_completer import PatchCompleter
from tests.helpers import RuleNetwork, box_mask, random_order_net, randomise, scene_of
from tests.inference.test_invariance import H, W, scenes


def config(tmp_path, text: str):
    """A config of "META_ARCHITECTURE ORDERING COMPLETION"."""
    path = tmp_path / "c.yaml"
    path.write_text(
        "INPUT: {PARTIAL_COMPLETION: {PATCH_SIZE: 32}}\nMODEL: {DEVICE: cpu, WEIGHTS: ''}\n"
    )
    keys = ("MODEL.META_ARCHITECTURE", "DEOCCLUSION.ORDERING", "DEOCCLUSION.COMPLETION")
    return load_config(
        str(path), [v for pair in zip(keys, text.split(), strict=True) for v in pair]
    )


class LargerInFront(torch.nn.Module):
    """Stands for OrderNet: the mask with more pixels is in front, equal ones are a tie."""

    def __init__(self) -> None:
        super().__init__()
        self.network = torch.nn.Linear(1, 1)
        self.device, self.use_rgb, self.use_category = torch.device("cpu"), False, False

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        first, second = (batch[k].sum(dim=(1, 2)) for k in ("first_mask", "second_mask"))
        return {"first_in_front": 0.5 + 0.4 * torch.sign(first.float() - second.float())}


def in_bytes(graph: OcclusionGraph) -> tuple:
    return graph.edges, graph.neighbour_pairs


def test_order_goes_to_the_more_probable_and_ties_stay_open():
    boxes = [(0, 0, 10, 20), (10, 0, 30, 20), (30, 0, 40, 20), (40, 0, 50, 20), (60, 30, 62, 40)]
    scene = scene_of([box_mask(H, W, *box) for box in boxes])
    runner = PairRunner(LargerInFront(), precision="float32")
    # The square around instances 2 and 3 has 34 px a side: no resizing makes one larger.
    ordering = OrderNetOrdering(runner, patch_size=34)
    empty = scene_of([np.zeros((H, W), bool)])
    first, nothing, again = ordering([scene, empty, scene])
    assert first.neighbour_pairs == [(0, 1), (1, 2), (2, 3)]
    assert first.edges == [(1, 0), (1, 2)]
    # Probabilities of 0.9 and 0.1.
    assert [first.confidence(*e) for e in first.edges] == pytest.approx([0.8, 0.8])
    assert nothing.edges == [] and len(nothing) == 1
    assert in_bytes(again) == in_bytes(first)


def amodal_model() -> AmodalUNet:
    torch.manual_seed(0)
    return randomise(AmodalUNet(network=UNet(1, 0.25)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_order_net_does_not_depend_on_batches(precision):
    model = random_order_net()
    expected = None
    for batch_size in (1, 3, 64):
        runner = PairRunner(model, batch_size=batch_size, precision=precision)
        ordering = OrderNetOrdering(runner, patch_size=32)
        probabilities = list(
            runner.outputs(ordering._samples(scenes(), _pairs(ordering)), "first_in_front")
        )
        together = [in_bytes(g) for g in ordering(scenes())]
        alone = [in_bytes(ordering([s])[0]) for s in scenes()]
        backwards = [in_bytes(g) for g in ordering(scenes()[::-1])][::-1]
        # To the bit, one sample a call.
        single = [
            next(iter(runner.outputs([sample], "first_in_front")))
            for sample in ordering._samples(scenes(), _pairs(ordering))
        ]
        assert single == probabilities
        expected = expected or (together, probabilities)
        assert (together, probabilities) == expected
        assert alone == backwards == together
    assert sum(len(edges) for edges, _ in expected[0]) >= 15


def _pairs(ordering: OrderNetOrdering) -> list[list[tuple[int, int]]]:
    return [graph.neighbour_pairs for graph in ordering(scenes())]


def test_supervised_completion_does_not_depend_on_batches():
    model = amodal_model()
    graphs = [OcclusionGraph(len(s)) for s in scenes()]
    for batch_size in (1, 3, 64):
        completer = PatchCompleter(model, batch_size=batch_size, precision="float32")
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
    completer = PatchCompleter(model, precision="float32", optimize=False)
    # Square of box 12 x 12: side int(sqrt(3 * 144)) = 20, from int(20 - 10.39) = 9 in x and y.
    arrays = [box_mask(H, W, 14, 14, 26, 26), np.zeros((H, W), bool)]
    scene = scene_of(arrays)
    completion = SupervisedCompletion(completer, patch_size=20, constrain=constrain)
    amodal, empty = completion([scene], [OcclusionGraph(2)])[0].amodal_masks
    left = box_mask(H, W, 9, 9, 19, 29)
    expected = left | arrays[0] if constrain else left
    assert amodal == WindowMask.from_array(expected)
    assert empty.is_empty


def test_a_method_needs_its_own_network(tmp_path):
    for text, message in {
        "PCNetM order_net raw": "DEOCCLUSION.ORDERING = 'order_net' runs OrderNet, but "
        "MODEL.META_ARCHITECTURE is 'PCNetM'",
        "OrderNet dual_completion raw": "ORDERING = 'dual_completion' runs PCNetM",
        "OrderNet order_net og": "COMPLETION = 'og' runs PCNetM",
        "AmodalUNet order_net supervised": "ORDERING = 'order_net' runs OrderNet",
        "PCNetM convex supervised": "COMPLETION = 'supervised' runs AmodalUNet",
        "AmodalUNet convex nog": "COMPLETION = 'nog' runs PCNetM",
    }.items():
        with pytest.raises(UserError, match=message.replace(".", r"\.")) as error:
            Deoccluder.from_config(config(tmp_path, text))
        assert "\n" not in str(error.value)


def test_deoccluders_of_the_supervised_networks(tmp_path):
    cfg = config(tmp_path, "AmodalUNet convex supervised")
    deoccluder = Deoccluder.from_config(cfg, amodal_model())
    said = deoccluder.describe()
    assert (said["completion"], said["amodal_threshold"]) == ("supervised", 0.5)
    assert not deoccluder.uses_rgb
    for scene, result in zip(scenes(), deoccluder(scenes()), strict=True):
        for modal, amodal in zip(scene.modal_masks, result.amodal_masks, strict=True):
            assert (modal - amodal).is_empty  # visible pixels are kept

    cfg = config(tmp_path, "OrderNet order_net raw")
    deoccluder = Deoccluder.from_config(cfg, random_order_net(use_rgb=True))
    assert deoccluder.uses_rgb and "amodal_threshold" not in deoccluder.describe()
    with pytest.raises(UserError, match="the scene holds no image"):
        deoccluder(scenes())
    with_images = scenes()
    for scene in with_images:
        scene.image = np.zeros((H, W, 3), np.uint8)
    results = deoccluder(with_images)
    assert [r.graph.neighbour_pairs for r in results] == [
        r.graph.neighbour_pairs for r in Deoccluder.baseline("raw")(with_images)
    ]
