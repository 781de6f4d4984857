"""Completion by Amodal-VAE: where it may grow, given boxes, and samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.network_runner import NetworkRunner
from deocclusion_d2.structures import OcclusionGraph, Scene, WindowMask
from deocclusion_d2.systems.amodal_vae.network import AmodalVAE
from deocclusion_d2.systems.amodal_vae.steps import AmodalVAECompletion

# Three in a row, the first in front of the second, the second in front of the third.
MASKS = [WindowMask.filled((x, 10, x + 10, 20)) for x in (10, 20, 30)]
# The middle one's whole box, in pixels.
BOX = (15, 5, 36, 24)


def runner(latent: int = 6) -> NetworkRunner:
    torch.manual_seed(0)
    model = AmodalVAE(stage="joint", size=8, latent=latent, width=0.25).eval()
    with torch.no_grad():
        model.transformer.box.weight.normal_(std=0.3)
    return NetworkRunner(model, precision="float32")


def scene(boxes: bool = True, masks: list[WindowMask] = MASKS) -> Scene:
    made = Scene(40, 60, list(masks), np.ones(len(masks)))
    if boxes:
        made.amodal_boxes = np.array([[np.nan] * 4, BOX, [np.nan] * 4])
    return made


def graph() -> OcclusionGraph:
    made = OcclusionGraph(3)
    made.add_occlusion(0, 1)
    made.add_occlusion(1, 2)
    return made


@pytest.mark.parametrize("limit", ["anywhere", "in_front", "not_behind"])
def test_where_it_may_grow(limit: str):
    """With every pixel of the given box completed: by hand, all of it, or by the order."""
    completion = AmodalVAECompletion(
        runner(), threshold=0.0, limit=limit, samples=4, given_boxes=True
    )
    result = completion([scene()], [graph()])[0]
    whole = WindowMask.filled(BOX)
    expected = {
        "anywhere": whole,
        "in_front": MASKS[1] | (whole & MASKS[0]),
        "not_behind": whole - MASKS[2],
    }[limit]
    assert result.amodal_masks[1] == expected
    # All draws are this mask.
    assert [(s.mask == expected, s.weight) for s in result.samples[1]] == [(True, 1.0)]
    region = completion.speaks_at(scene(), graph(), 1)
    if limit == "anywhere":
        assert region is None
    else:
        grown = WindowMask.from_array(whole.array & region.crop(BOX), *BOX[:2])
        assert expected - MASKS[1] == grown - MASKS[1]
    if limit == "in_front":
        assert result.amodal_masks[0] == MASKS[0] and result.samples[0] == []


def test_a_given_box_counts_where_it_is_asked_for():
    predicted = AmodalVAECompletion(runner(), threshold=0.0)
    with_boxes, without = (predicted([scene(b)], [graph()])[0] for b in (True, False))
    assert with_boxes.amodal_masks == without.amodal_masks
    given = AmodalVAECompletion(runner(), threshold=0.0, given_boxes=True)
    found = given([scene()], [graph()])[0].amodal_masks
    assert found[1] == WindowMask.filled(BOX)
    assert [found[0], found[2]] == [without.amodal_masks[k] for k in (0, 2)]


def test_a_given_box_that_misses_its_mask_is_refused():
    made = scene()
    made.amodal_boxes[1] = (100, 0, 110, 9)
    completion = AmodalVAECompletion(runner(), given_boxes=True)
    with pytest.raises(UserError, match=r"annotation 1: the given box .* from \(100, 0\) to"):
        completion([made], [graph()])
    made.amodal_boxes[1] = (29.5, 0, 110, 11)
    assert completion([made], [graph()])


def test_draws_do_not_depend_on_their_number_or_on_what_is_beside():
    """The seed says them; weights are shares of the draws, and the mean is the probability."""

    def samples(count: int, seed: int = 3, masks: list[WindowMask] = MASKS) -> list:
        completion = AmodalVAECompletion(
            runner(), threshold=0.5, samples=count, seed=seed, keep_probability=True
        )
        empty = OcclusionGraph(len(masks))
        return completion([scene(False, masks)], [empty])[0]

    many, few = samples(9), samples(4)
    for of_many, of_few in zip(many.samples, few.samples, strict=True):
        assert sum(s.weight for s in of_many) == pytest.approx(1)
        assert all(any(s.mask == other.mask for other in of_many) for s in of_few)
        assert [s.weight for s in of_many] == sorted((s.weight for s in of_many), reverse=True)
    alone = samples(9, masks=MASKS[1:2])
    assert [s.mask for s in alone.samples[0]] == [s.mask for s in many.samples[1]]
    other = samples(9, seed=4)
    assert any(
        [s.mask for s in a] != [s.mask for s in b]
        for a, b in zip(many.samples, other.samples, strict=True)
    )
    # Of one draw the probability is its own, and of several the mean.
    one = samples(1)
    for modal, drawn, kept in zip(MASKS, one.samples, one.probabilities, strict=True):
        above = WindowMask.from_array(kept.array > 127, kept.x0, kept.y0)
        assert above | modal == drawn[0].mask
    assert any(
        not np.array_equal(a.array, b.array)
        for a, b in zip(one.probabilities, many.probabilities, strict=True)
    )
    assert many.amodal_masks == few.amodal_masks == other.amodal_masks


def test_an_empty_mask_has_neither_completion_nor_samples():
    masks = [WindowMask.empty(), MASKS[0]]
    completion = AmodalVAECompletion(runner(), samples=2)
    result = completion([scene(False, masks)], [OcclusionGraph(2)])[0]
    assert result.amodal_masks[0].is_empty and result.samples[0] == [] and result.samples[1]


def test_thin_seams_are_not_added():
    """All of the given box but a seam of a pixel around the visible part."""
    box = (19, 9, 31, 21)
    made = scene()
    made.amodal_boxes[1] = box
    completion = AmodalVAECompletion(
        runner(), threshold=0.0, least_thickness=2.0, given_boxes=True
    )  # a pixel of the network's mask is 1.5 px
    assert completion([made], [graph()])[0].amodal_masks[1] == MASKS[1]
    made.amodal_boxes[1] = (14, 9, 31, 21)
    grown = completion([made], [graph()])[0].amodal_masks[1]
    assert (grown & WindowMask.filled((15, 10, 19, 20))).area > 30
    assert (grown - WindowMask.filled((14, 9, 30, 21))).is_empty
