"""The probabilities of hidden regions: what is kept, where it lies, how it is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2.structures import OcclusionGraph, ProbabilityMap, SquareCrop, WindowMask
from deocclusion_d2.systems.pcnet_m.completion import PCNetCompletion
from deocclusion_d2.systems.pcnet_m.patch_completer import PatchCompleter
from tests.helpers import box_mask, rule_model, scene_of

H, W = 64, 96


def hidden_scene():
    """Instance 0 is hidden by 1; nothing hides 1 and 2."""
    masks = [box_mask(H, W, 20, 20, 36, 44), box_mask(H, W, 36, 20, 60, 44)]
    graph = OcclusionGraph(3)
    graph.add_occlusion(1, 0)
    return scene_of([*masks, box_mask(H, W, 70, 2, 90, 12)]), graph


def halves(size: int) -> torch.Tensor:
    """Probability 0.6 in the left half of the patch, 0.15 in the right half, everywhere."""
    probability = torch.full((size, size), 0.15)
    probability[:, : size // 2] = 0.6
    return probability


def completion(keep: bool, probability: torch.Tensor, **options) -> PCNetCompletion:
    # The rule network's probability of f is sigmoid(16 (f - 0.5)).
    foreground = 0.5 + probability.logit() / 16
    model = rule_model(lambda visible, eraser: foreground.expand(visible.shape))
    completer = PatchCompleter(model, precision="float32")
    return PCNetCompletion(completer, patch_size=32, keep_probability=keep, **options)


def test_only_what_may_be_hidden_has_a_probability():
    scene, graph = hidden_scene()
    result = completion(True, halves(32))([scene], [graph])[0]
    assert result.probabilities[1:] == [None, None]
    kept = result.probabilities[0]
    # The square: side int(sqrt(3 * 16 * 24)) = 33 around (28, 32), from (11, 15); it ends at x 44.
    assert kept.xywh == [36, 20, 8, 24]
    # Patch pixels 16 and up are 0.15; their centres lie at x 11 + 16.5 * 33 / 32 = 28 and up.
    assert np.all(kept.array == round(0.15 * 255))


@pytest.mark.parametrize(("recentre", "average"), [(0, False), (2, False), (2, True)])
def test_keeping_it_changes_no_mask(recentre, average):
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.random((32, 32)).astype(np.float32))
    scene, graph = hidden_scene()
    options = {"threshold": 0.45, "recentre": recentre, "average_views": average}
    without, kept = (completion(k, noise, **options)([scene], [graph])[0] for k in (False, True))
    assert without.probabilities is None
    assert kept.amodal_masks == without.amodal_masks and kept.amodal_masks[0].area > 16 * 24


def test_paste_is_bilinear_and_stays_in_the_image():
    # 2 x 2 values into 4 x 4 pixels: centres at 1/4 and 3/4 of a value's pixel, as OpenCV resizes.
    patch = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    everywhere = WindowMask.filled((-10, -10, 100, 100))
    pasted = SquareCrop(5, 6, 4).paste_probability(patch, 20, 20, everywhere)
    assert pasted.crop((5, 6, 9, 7))[0] == pytest.approx([0, 0.25, 0.75, 1], abs=1 / 500)
    # Its first column is 0, and not kept.
    assert pasted.xywh == [6, 6, 3, 4]
    cut = SquareCrop(-2, -1, 4).paste_probability(patch, 2, 20, everywhere)
    assert cut.xywh == [0, 0, 2, 2]
    assert cut.array[0].tolist() == [round(0.75 * 255), 255]
    assert SquareCrop(30, 0, 4).paste_probability(patch, 20, 20, everywhere).xywh == [0, 0, 0, 0]


def test_json_and_back():
    rng = np.random.default_rng(0)
    kept = ProbabilityMap.from_array(rng.random((7, 5)), 3, 4)
    back = ProbabilityMap.from_json(kept.to_json())
    assert back.xywh == kept.xywh == [3, 4, 5, 7] and np.array_equal(back.array, kept.array)
    nothing = ProbabilityMap.from_array(np.zeros((3, 3)), 1, 1)
    assert ProbabilityMap.from_json(nothing.to_json()).array.size == 0
    for wrong in {**kept.to_json(), "bbox": [3, 4, 7, 5]}, {"bbox": [0, 0, 2, 2], "png": ""}:
        with pytest.raises(ValueError, match="no 8-bit PNG"):
            ProbabilityMap.from_json(wrong)
    # Beyond its window it is 0.
    outside = kept.crop((0, 0, 4, 5))
    assert outside[4, 3] == kept.array[0, 0] / np.float32(255) and np.count_nonzero(outside) == 1
