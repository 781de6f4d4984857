"""Eq. 3 and eq. 4 on hand-made scenes whose answer is known.

The network is a rule: it fills the bounding box of what it sees, under the eraser only. So an
instance gains pixels where its box reaches into the eraser, and everything can be counted by hand.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.structures import OcclusionGraph, SquareCrop, WindowMask, neighbour_pairs
from deocclusion_d2.systems.pcnet_m.completion import PCNetCompletion, grow_eraser
from deocclusion_d2.systems.pcnet_m.ordering import DualCompletion
from deocclusion_d2.systems.pcnet_m.patch_completer import PatchCompleter
from tests.helpers import box_mask, random_model, rule_model, scene_of

H, W = 60, 90


def fill_box(visible: torch.Tensor, eraser: torch.Tensor) -> torch.Tensor:
    """The bounding box of what is visible, under the eraser, and what is visible."""
    out = visible > 0
    for k in range(len(out)):
        rows, columns = (out[k].any(dim=d).nonzero().flatten() for d in (1, 0))
        if len(rows):
            box = torch.zeros_like(out[k])
            box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
            out[k] |= box & (eraser[k] > 0)
    return out


def completer(rule=fill_box, batch_size: int = 5) -> PatchCompleter:
    return PatchCompleter(
        rule_model(rule), batch_size=batch_size, precision="float32", optimize=False
    )


def order(arrays, size: int = 64, **options) -> OcclusionGraph:
    return DualCompletion(completer(), patch_size=size, **options)([scene_of(arrays)])[0]


def front_to_back(boxes: list[tuple[int, int, int, int]]) -> list[np.ndarray]:
    """Modal masks of boxes painted so that the first is in front."""
    taken, masks = np.zeros((H, W), bool), []
    for box in boxes:
        full = box_mask(H, W, *box)
        masks.append(full & ~taken)
        taken |= full
    return masks


def test_chain():
    graph = order(front_to_back([(10, 20, 30, 40), (20, 25, 50, 45), (40, 30, 70, 50)]))
    assert graph.edges == [(0, 1), (1, 2)]
    assert graph.ancestors(2) == [0, 1]


def test_cycle():
    # Four crossing bars, each under the one before it, as the sheets of paper in Fig. 7.
    bars = [
        box_mask(H, W, 5, 10, 45, 20),
        box_mask(H, W, 30, 5, 40, 50),
        box_mask(H, W, 5, 35, 45, 45),
        box_mask(H, W, 10, 5, 20, 50),
    ]
    graph = order([bar & ~bars[k - 1] for k, bar in enumerate(bars)])
    assert graph.edges == [(0, 1), (1, 2), (2, 3), (3, 0)]
    assert graph.cycles() == [[0, 1, 2, 3]]
    assert graph.ancestors(0) == [1, 2, 3]


def test_mutual_occlusion_goes_to_the_larger_increment():
    # b reaches over a's upper right corner (2 x 5 px), a over b's lower left one (2 x 10 px). The
    # box of a holds 30 pixels of b, the box of b 50 pixels of a.
    a, b = box_mask(H, W, 10, 10, 30, 30), box_mask(H, W, 30, 10, 50, 30)
    a[10:15, 28:30], b[10:15, 28:30] = False, True
    b[20:30, 30:32], a[20:30, 30:32] = False, True
    graph = order([a, b], size=128)
    assert graph.edges == [(0, 1)]
    assert graph.graph.edges[0, 1]["increments"] == pytest.approx((30, 50), rel=0.2)


def test_nested_and_touching_without_occlusion():
    # A ring around a disc: the disc hides the ring's middle.
    inner = box_mask(H, W, 25, 25, 35, 35)
    ring = box_mask(H, W, 10, 10, 50, 50) & ~inner
    assert order([inner, ring]).edges == [(0, 1)]
    # Two boxes side by side: they touch, and neither gains anything.
    graph = order([box_mask(H, W, 10, 10, 30, 30), box_mask(H, W, 30, 10, 50, 30)])
    assert graph.neighbour_pairs == [(0, 1)] and graph.edges == []


def test_increment_is_counted_in_image_pixels():
    # The target's box is 20 x 20 with a 10 x 10 corner hidden: 100 pixels, whatever the patch.
    front = box_mask(H, W, 20, 20, 45, 45)
    back = box_mask(H, W, 10, 10, 30, 30) & ~front
    for size in (64, 128, 256):
        graph = order([front, back], size=size)
        gain = graph.graph.edges[0, 1]["increments"]
        assert gain[0] == 0
        assert gain[1] == pytest.approx(100, rel=0.2)


def test_gap_between_masks_needs_dilation():
    front = box_mask(H, W, 20, 20, 45, 45)
    back = box_mask(H, W, 10, 10, 30, 30) & ~box_mask(H, W, 18, 18, 45, 45)  # 2 px gap
    assert neighbour_pairs([WindowMask.from_array(m) for m in (front, back)]) == []
    assert order([front, back]).edges == []
    assert order([front, back], dilation=5).edges == [(0, 1)]
    target, eraser = WindowMask.from_array(back), WindowMask.from_array(front)
    grown = grow_eraser(eraser, target, 5)
    assert grown.intersection_area(target) == 0
    assert grown.to_array(H, W)[25, 18]  # the gap belongs to the eraser now


def test_neighbour_pairs_equal_those_of_full_images():
    rng = np.random.default_rng(0)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    for _ in range(20):
        arrays = []
        for _ in range(8):
            x, y, w, h = (int(v) for v in rng.integers(0, 40, 4))
            arrays.append(box_mask(H, W, x, y, x + w, y + h))
        expected = [
            (i, j)
            for i in range(8)
            for j in range(i + 1, 8)
            if (cv2.dilate(arrays[i].astype(np.uint8), cross).astype(bool) & arrays[j]).any()
        ]
        assert neighbour_pairs([WindowMask.from_array(a) for a in arrays]) == expected


def test_completion_uses_all_ancestors_or_all_neighbours():
    masks = front_to_back([(30, 10, 50, 50), (20, 15, 40, 45), (5, 20, 60, 40)])
    scene = scene_of(masks)
    chain = OcclusionGraph.from_increments(
        3, [(0, 1), (1, 2), (0, 2)], np.array([[0, 9], [0, 9], [0, 0]])
    )
    grounded = PCNetCompletion(completer(), patch_size=128)([scene], [chain])[0].amodal_masks
    assert grounded[0] == scene.modal_masks[0]
    # 2 is hidden by 1, and through it by 0 as well: its whole box comes back.
    assert grounded[2].area == pytest.approx(55 * 20, rel=0.03)
    direct = OcclusionGraph.from_increments(3, [(1, 2)], np.array([[0.0, 9.0]]))
    only_one = PCNetCompletion(completer(), patch_size=128)([scene], [direct])[0].amodal_masks
    # With 1 alone as the eraser, what lies behind 0 (x = 30 to 50) stays hidden.
    assert only_one[2].area == pytest.approx(55 * 20 - 20 * 20, rel=0.05)
    ungrounded = PCNetCompletion(completer(), grounded=False, patch_size=128)
    everything = ungrounded([scene], [chain])[0].amodal_masks
    assert everything[2] == grounded[2]


def test_constrained_completion_keeps_visible_pixels_and_stays_under_the_eraser():
    rng = np.random.default_rng(1)

    def noise(visible, eraser):
        return torch.rand(visible.shape, generator=torch.Generator().manual_seed(3)) < 0.5

    masks = front_to_back([(30, 10, 50, 50), (20, 15, 40, 45), (5, 20, 60, 40)])
    masks = [m & (rng.random(m.shape) < 0.95) for m in masks]
    scene = scene_of(masks)
    graph = OcclusionGraph.from_increments(3, [(0, 1), (1, 2)], np.array([[0.0, 1], [0, 1]]))
    result = PCNetCompletion(completer(noise), patch_size=64)([scene], [graph])[0].amodal_masks
    for i in range(3):
        modal, amodal = masks[i], result[i].to_array(H, W)
        hiding = np.any([masks[j] for j in graph.ancestors(i)] + [np.zeros_like(modal)], axis=0)
        assert (amodal >= modal).all()
        assert not (amodal & ~modal & ~hiding).any()
    assert result[2].area > scene.modal_masks[2].area
    unconstrained = PCNetCompletion(completer(noise), patch_size=64, constrain=False)
    raw = unconstrained([scene], [graph])[0].amodal_masks
    assert (masks[2] & ~raw[2].to_array(H, W)).any()


def test_equals_the_one_patch_protocol_of_full_images():
    """Eq. 3 and 4 written plainly: full images, one patch at a time, OpenCV."""
    model = random_model(width=0.25, use_category=True)
    runner = PatchCompleter(model, batch_size=3, precision="float32", optimize=False)
    size = 64
    masks = front_to_back([(30, 5, 55, 55), (20, 15, 40, 45), (5, 20, 75, 40), (0, 0, 25, 18)])
    scene = scene_of(masks, categories=[4, 2, 1, 4])

    def square(mask):
        box = WindowMask.from_array(mask).box
        s = SquareCrop.around(box)
        return s.x0, s.y0, s.side

    def crop(mask, x0, y0, side):
        padded = np.pad(mask.astype(np.uint8), 300)
        return padded[y0 + 300 : y0 + 300 + side, x0 + 300 : x0 + 300 + side]

    def forward(target, eraser, category):
        visible = target.copy()
        visible[eraser > 0] = 0
        # In a batch of the runner's size: in another one the last bits differ, by processor, and
        # with them a pixel whose probability is next to the threshold.
        x = torch.zeros(runner.forward_size(size), 2, size, size)
        x[0] = torch.from_numpy(np.stack([visible * float(category), eraser.astype(float)]))
        with torch.no_grad():
            logits = runner.model.network(x.to(memory_format=torch.channels_last))
        return visible, torch.softmax(logits, 1)[0, 1].numpy()

    def linear(mask, new):
        return (
            cv2.resize(mask.astype(np.float32), (new, new), interpolation=cv2.INTER_LINEAR) > 0.5
        ).astype(np.uint8)

    pairs = neighbour_pairs(scene.modal_masks)
    assert len(pairs) >= 4
    increments = []
    for pair in pairs:
        row = []
        for t, e in (pair, pair[::-1]):
            x0, y0, side = square(masks[t])
            patches = [
                cv2.resize(crop(m, x0, y0, side), (size, size), interpolation=cv2.INTER_NEAREST)
                for m in (masks[t], masks[e])
            ]
            visible, p = forward(*patches, scene.category_ids[t])
            new = (p > 0.5) & (visible == 0) & (patches[1] > 0)
            row.append(new.sum() * (side / size) ** 2)
        increments.append(row)
    expected = OcclusionGraph.from_increments(4, pairs, np.array(increments))
    graph = DualCompletion(runner, patch_size=size, threshold=0.5)([scene])[0]
    assert graph.edges == expected.edges and len(graph.edges) >= 3
    for edge in graph.edges:
        gains, wanted = (g.graph.edges[edge]["increments"] for g in (graph, expected))
        assert gains == pytest.approx(wanted)

    completion = PCNetCompletion(runner, patch_size=size, threshold=0.5, constrain=False)
    result = completion([scene], [graph])[0].amodal_masks
    for i in range(4):
        ancestors = graph.ancestors(i)
        if not ancestors:
            assert result[i] == scene.modal_masks[i]
            continue
        x0, y0, side = square(masks[i])
        eraser = np.any([masks[j] for j in ancestors], axis=0)
        patches = [linear(crop(m, x0, y0, side), size) for m in (masks[i], eraser)]
        _, p = forward(*patches, scene.category_ids[i])
        pasted = np.zeros((H + 600, W + 600), np.uint8)
        pasted[y0 + 300 : y0 + 300 + side, x0 + 300 : x0 + 300 + side] = linear(p > 0.5, side)
        assert np.array_equal(result[i].to_array(H, W), pasted[300:-300, 300:-300].astype(bool))


def test_deoccluder_names_the_key_of_what_is_wrong(tmp_path):
    from detectron2.config import get_cfg

    from deocclusion_d2 import add_deocclusion_config
    from deocclusion_d2.errors import UserError

    cfg = get_cfg()
    add_deocclusion_config(cfg)
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.DEVICE = "PCNetM", "cpu"
    with pytest.raises(UserError, match=r"MODEL\.WEIGHTS is empty"):
        Deoccluder.from_config(cfg)
    cfg.MODEL.WEIGHTS = str(tmp_path / "none.pth")
    with pytest.raises(UserError, match="does not exist"):
        Deoccluder.from_config(cfg)
    cfg.MODEL.PCNET_M.WIDTH = 0.25
    torch.save({"model": random_model(0.5).state_dict()}, cfg.MODEL.WEIGHTS)
    with pytest.raises(UserError, match="network.stem.0.weight has shape"):
        Deoccluder.from_config(cfg)
    torch.save({"model": {"network.stem.0.bias": torch.zeros(4)}}, cfg.MODEL.WEIGHTS)
    with pytest.raises(UserError, match="network.stem.0.weight is missing"):
        Deoccluder.from_config(cfg)
    cfg.DEOCCLUSION.DILATION = 4
    with pytest.raises(UserError, match=r"DEOCCLUSION\.DILATION = 4"):
        Deoccluder.from_config(cfg, random_model())
    cfg.DEOCCLUSION.DILATION, cfg.DEOCCLUSION.ORDERING = 0, "depth"
    with pytest.raises(UserError, match=r"DEOCCLUSION\.ORDERING = 'depth'"):
        Deoccluder.from_config(cfg, random_model())
