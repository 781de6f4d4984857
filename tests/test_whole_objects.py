"""Masks of whole objects, as a detector of amodal masks finds them: ordered, not completed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import MetadataCatalog

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.data.datasets import view_of
from deocclusion_d2.decomposition import decompose
from deocclusion_d2.decomposition.detector import Detector, detected_view
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.steps import RuleStep
from deocclusion_d2.structures import OcclusionGraph, Scene, own_pixels
from tests.decomposition.test_mask_sources import FakeNetwork, detector_config
from tests.helpers import box_mask, scene_of

H, W = 40, 60
# Each covers a part of the next.
BOXES = [(4, 4, 24, 24), (14, 8, 40, 30), (30, 12, 56, 36)]


class KnownOrder(RuleStep):
    """An ordering that has been told; it remembers the scenes that it saw."""

    def __init__(self, *edges: tuple[int, int]) -> None:
        self.edges, self.seen = edges, []

    def __call__(self, scenes):
        self.seen += scenes
        graphs = [OcclusionGraph(len(scene)) for scene in scenes]
        for graph in graphs:
            for front, back in self.edges:
                graph.add_occlusion(front, back)
        return graphs


class NoCompletion(RuleStep):
    """A completion that must not be asked."""

    def __call__(self, scenes, graphs):
        raise AssertionError("whole objects are completed")


def scene(scores=None, whole: bool = True) -> Scene:
    made = scene_of([box_mask(H, W, *box) for box in BOXES])
    image = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    return replace(made, scores=scores, masks_are_amodal=whole, image=image)


def deoccluder(*edges: tuple[int, int]) -> Deoccluder:
    return Deoccluder(KnownOrder(*edges), NoCompletion(), {})


def area(row: int, *without: int) -> int:
    """Pixels of a box that others leave."""
    own = box_mask(H, W, *BOXES[row])
    for other in without:
        own &= ~box_mask(H, W, *BOXES[other])
    return int(own.sum())


@pytest.mark.parametrize("scores", [None, [0.9, 0.8, 0.7], [0.7, 0.8, 0.9]])
def test_what_is_in_front_is_seen(scores):
    """Whatever the scores say: 2 before 1 before 0."""
    given = scene(scores)
    result = deoccluder((2, 1), (1, 0))([given])[0]
    assert result.amodal_masks == given.modal_masks
    assert result.graph.edges == [(1, 0), (2, 1)]
    visible = [mask.area for mask in result.visible_masks(given)]
    assert visible == [area(0, 1), area(1, 2), area(2)]


def test_what_no_order_says_the_scores_say():
    result = deoccluder((1, 0))([scene([0.9, 0.5, 0.7])])[0]
    assert result.graph.edges == [(1, 0), (2, 1)]  # 0.7 is more than 0.5
    result = deoccluder()([scene()])[0]
    assert result.graph.edges == [(0, 1), (1, 2)]  # 400, 572, 624 pixels: the smaller one


def test_a_circle_leaves_no_pixel_without_an_owner():
    """Three that all overlap, each said to be in front of the next."""
    boxes = [(4, 4, 30, 30), (10, 8, 40, 26), (12, 2, 26, 36)]
    given = scene_of([box_mask(H, W, *box) for box in boxes])
    given.masks_are_amodal = True
    result = Deoccluder(KnownOrder((0, 1), (1, 2), (2, 0)), NoCompletion(), {})([given])[0]
    # The order is that of the pixels, and no circle any more: the last edge gave way.
    assert result.graph.edges == [(0, 1), (0, 2), (1, 2)]
    assert result.visible_masks(given)[0] == given.modal_masks[0]
    shown = sum(mask.to_array(H, W).astype(int) for mask in result.visible_masks(given))
    assert np.array_equal(shown, np.any([m.to_array(H, W) for m in given.modal_masks], axis=0))


def test_the_ordering_sees_the_whole_objects():
    ordering, given = KnownOrder(), scene([0.9, 0.8, 0.7])
    Deoccluder(ordering, NoCompletion(), {})([given])
    (seen,) = ordering.seen
    assert seen.modal_masks == given.modal_masks


def test_beside_scenes_of_modal_masks():
    from deocclusion_d2.systems.baselines.steps import RawCompletion

    both = Deoccluder(KnownOrder((2, 1), (1, 0)), RawCompletion(), {})
    modal, whole = scene([0.9, 0.8, 0.7], whole=False), scene([0.9, 0.8, 0.7])
    results = both([modal, whole, modal])
    assert results[0].graph.edges == both([modal])[0].graph.edges
    assert results[1].visible_masks(whole)[2].area == area(2)
    assert results[2].visible_masks(modal)[2].area == area(2, 1)  # of the higher score
    orders = both.order([modal, whole])
    assert [g.edges for g in orders] == [r.graph.edges for r in results[:2]]


def test_the_order_comes_before_scores_and_sizes():
    masks, graph = scene().modal_masks, OcclusionGraph(3)
    graph.add_occlusion(1, 2)
    owned = own_pixels(masks, [0.1, 0.2, 0.3], graph)
    assert [m.area for m in owned.masks] == [area(0, 1), area(1), area(2, 1)]
    owned = own_pixels(masks, graph=graph)
    assert [m.area for m in owned.masks] == [area(0), area(1, 0), area(2, 1)]


def test_an_edge_elsewhere_changes_no_pair():
    """2 lies apart and is said to hide 0: between 0 and 1 the scores decide as ever."""
    masks = [box_mask(H, W, *box) for box in ((4, 4, 24, 24), (14, 8, 40, 30), (50, 0, 58, 6))]
    given = replace(scene_of(masks), scores=[0.9, 0.8, 0.7], masks_are_amodal=True)
    result = deoccluder((2, 0))([given])[0]
    assert result.graph.edges == [(0, 1), (2, 0)]
    assert result.visible_masks(given)[0] == given.modal_masks[0]


def test_from_front_to_back():
    graph = OcclusionGraph(5)
    graph.add_occlusion(4, 0)
    for front, back, confidence in ((1, 2, 0.9), (2, 3, 0.8), (3, 1, 0.2)):
        graph.add_occlusion(front, back, confidence=confidence)
    ranks = graph.front_to_back([(3, 4), (0, 3)])
    # The circle is cut at 3 -> 1; of the further pairs the second would close another one.
    assert ranks[1] < ranks[2] < ranks[3] < ranks[4] < ranks[0]
    assert OcclusionGraph(0).front_to_back() == []


def test_layers_are_the_photo_again():
    given = scene([0.9, 0.8, 0.7])
    result = deoccluder((2, 1), (1, 0))([given])[0]
    layered = decompose(given, result, inset=0, dilation=0)
    assert [layer.amodal_mask for layer in layered.layers] == given.modal_masks
    again = layered.background.copy()
    for row in (0, 1, 2):
        layer = layered.layers[row]
        window = again[layer.y0 : layer.y0 + H, layer.x0 : layer.x0 + W]
        window = window[: layer.rgba.shape[0], : layer.rgba.shape[1]]
        window[layer.rgba[..., 3] > 0] = layer.rgba[..., :3][layer.rgba[..., 3] > 0]
    assert np.array_equal(again, given.image)


def test_predict_takes_them():
    order = deoccluder((2, 1), (1, 0))
    masks = np.stack([m.to_array(H, W) for m in scene().modal_masks])
    result = order.predict(masks, masks_are_amodal=True)
    assert result.amodal_masks == scene().modal_masks
    assert result.visible_masks(scene())[0].area == area(0, 1)


# -------------------------------------------------------------------- detectors


def test_what_a_detector_has_learned():
    def view(*opts: str) -> str:
        return detected_view(load_config("amodal_mask_rcnn_R_50_FPN_kins", list(opts)))

    def trained(name: str) -> str:
        return view("DATASETS.TRAIN", f"('{name}',)")

    assert view() == trained("kins_train") == trained("kins:a.json@b") == "amodal"
    assert trained("pseudo_amodal:a.json") == "amodal"
    modal = ("kins_train_modal", "kins.modal:a.json", "coco:a.json", "coco_2017_train", "nowhere")
    assert {trained(name) for name in modal} == {"modal"}
    assert view("DATASETS.TRAIN", "()") == "modal"
    assert view("DEOCCLUSION.DETECTED", "modal") == "modal"
    with pytest.raises(UserError, match="DETECTED = 'whole': use auto, "):
        view("DEOCCLUSION.DETECTED", "whole")
    assert view_of("pseudo_amodal.modal:a.json") == "modal"


def test_masks_of_a_detector_overlap_as_they_were_found():
    """Modal ones do not: each pixel is the surer one's."""
    MetadataCatalog.get("two_classes_of_whole_objects").set(
        thing_classes=["person", "car"], thing_dataset_id_to_contiguous_id={2: 0, 4: 1}
    )
    cfg = detector_config("two_classes_of_whole_objects")
    found = []
    for view in ("modal", "amodal"):
        cfg.DEOCCLUSION.DETECTED = view
        photo = Detector(cfg, 0.5, False, FakeNetwork())(
            Path("a.jpg"), np.zeros((H, W, 3), np.uint8)
        )
        found.append(photo.scene)
    assert [m.area for m in found[0].modal_masks] == [H * W // 2, H * W // 2]
    assert [m.area for m in found[1].modal_masks] == [H * W // 2, H * W]
    assert [s.masks_are_amodal for s in found] == [False, True]
