"""Ordering by the occluders' layer: by hand with known layers, and on the network's own regions."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances

from deocclusion_d2 import load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.systems.bcnet.pictures import FIELDS, draw_regions
from deocclusion_d2.systems.bcnet.steps import (
    LayerOrdering,
    OccluderMasks,
    RegionRunner,
    _Region,
)
from tests.helpers import box_mask, scene_of

H, W = 40, 60
CONFIG = "bcnet_R_18_FPN_kins_quick"
# FRONT lies on the left half of BACK; what of BACK is visible is its right half.
FRONT, BACK = (10, 10, 30, 30), (30, 10, 40, 30)
BACK_BOX = (20, 10, 40, 30)


def scene(**more):
    made = scene_of([box_mask(H, W, *BACK), box_mask(H, W, *FRONT), box_mask(H, W, 50, 0, 58, 8)])
    image = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    return replace(made, image=image, **more)


class KnownLayers:
    """Stands for a runner whose network knows the probability of occluders by box."""

    uses_rgb, uses_category = True, False

    def __init__(self, layers: dict[tuple, np.ndarray]) -> None:
        self.layers, self.asked = layers, []

    def sample(self, image, boxes):
        return {"boxes": boxes}

    def results(self, samples, operation):
        for sample in samples:
            boxes = [tuple(int(v) for v in box) for box in sample["boxes"]]
            self.asked.append(boxes)
            yield np.stack([self.layers.get(box, np.zeros((28, 28), np.float32)) for box in boxes])


def left(value: float, rest: float = 0.0) -> np.ndarray:
    """Probabilities of a region: one number left of its middle, one right of it."""
    layer = np.full((28, 28), rest, np.float32)
    layer[:, :14] = value
    return layer


def test_what_is_seen_in_the_other_s_region_is_in_front():
    """The whole object's box shows the occluder; the box of its visible part ends before it."""
    boxes = np.full((3, 4), np.nan)
    boxes[0] = BACK_BOX
    runner = KnownLayers({BACK_BOX: left(0.9), FRONT: left(0.0)})
    graph = LayerOrdering(runner)([scene(amodal_boxes=boxes)])[0]
    assert runner.asked == [[BACK_BOX, FRONT]]  # the third has no neighbour
    assert graph.edges == [(1, 0)] and graph.neighbour_pairs == [(0, 1)]
    # Of FRONT's 10 columns in the region, 9 and a half are sure; one is between 0.9 and 0.
    assert graph.confidence(1, 0) == pytest.approx(0.9, abs=0.03)


def test_neither_is_seen():
    boxes = np.full((3, 4), np.nan)
    boxes[0] = BACK_BOX
    runner = KnownLayers({BACK_BOX: left(0.0), FRONT: left(0.0)})
    graph = LayerOrdering(runner)([scene(amodal_boxes=boxes)])[0]
    assert graph.edges == [] and graph.neighbour_pairs == [(0, 1)]


def test_of_two_the_surer_one():
    masks = [box_mask(H, W, 10, 10, 30, 30), box_mask(H, W, 20, 20, 40, 36)]
    both = replace(scene_of(masks), image=scene().image)
    first, second = (10, 10, 30, 30), (20, 20, 40, 36)
    sure, half = np.full((28, 28), 0.9, np.float32), np.full((28, 28), 0.6, np.float32)
    graph = LayerOrdering(KnownLayers({first: sure, second: half}))([both])[0]
    assert graph.edges == [(1, 0)] and graph.confidence(1, 0) == pytest.approx(0.3)
    graph = LayerOrdering(KnownLayers({first: half, second: sure}))([both])[0]
    assert graph.edges == [(0, 1)]


@pytest.mark.parametrize("far", [1e3, 1e300])
def test_boxes_far_beyond_the_image(far):
    """They end where nothing can be seen anyway."""
    boxes = np.full((3, 4), np.nan)
    boxes[0], boxes[1] = (-far, -far, far, far), (far, far, 2 * far, 2 * far)
    runner = KnownLayers({(-W, -H, 2 * W, 2 * H): np.full((28, 28), 0.9, np.float32)})
    graph = LayerOrdering(runner)([scene(amodal_boxes=boxes)])[0]
    assert runner.asked == [[(-W, -H, 2 * W, 2 * H), FRONT]] and graph.edges == [(1, 0)]


def test_probabilities_are_those_of_the_pixels():
    """In a region of 28 x 28 pixels, and enlarged four times as OpenCV does it."""
    layer = np.random.default_rng(0).random((28, 28)).astype(np.float32)
    mask = WindowMask.from_array(box_mask(H, W, 12, 9, 20, 30))
    own = _Region((10, 5, 38, 33), layer).share(mask)
    assert own == pytest.approx(layer[4:25, 2:10].mean(), rel=1e-5)
    enlarged = cv2.resize(layer, (112, 112), interpolation=cv2.INTER_LINEAR)
    box = (-50, -60, 62, 52)
    inside = mask.crop(box)
    assert _Region(box, layer).share(mask) == pytest.approx(enlarged[inside].mean(), rel=1e-5)
    assert _Region((40, 0, 50, 5), layer).share(mask) == 0


def test_the_papers_protocol_is_float32(model):
    opts = ["MODEL.BCNET.OCCLUDERS", "in_front", "MODEL.DEVICE", "cpu"]
    for protocol, precision in (("True", "float32"), ("False", "bfloat16")):
        more = ["DEOCCLUSION.PAPER_PROTOCOL", protocol, "DEOCCLUSION.PRECISION", "bfloat16"]
        cfg = load_config(CONFIG, [*opts, *more])
        assert RegionRunner.from_config(cfg, model).precision == precision


def test_scenes_keep_their_places():
    alone = replace(scene_of([box_mask(H, W, 50, 0, 58, 8)]), image=scene().image)
    boxes = np.full((3, 4), np.nan)
    boxes[0] = BACK_BOX
    runner = KnownLayers({BACK_BOX: left(0.9)})
    graphs = LayerOrdering(runner)([alone, scene(amodal_boxes=boxes), alone])
    assert [len(g) for g in graphs] == [1, 3, 1] and [g.edges for g in graphs] == [[], [(1, 0)], []]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    cfg = load_config(CONFIG, ["MODEL.DEVICE", "cpu"])
    return build_model(cfg).eval()


def test_the_runner_sees_what_detectron2_sees(model):
    """Masks of the regions that the network itself has found, at the size of the photo."""
    opts = ["MODEL.BCNET.OCCLUDERS", "in_front", "DEOCCLUSION.PRECISION", "float32"]
    cfg = load_config(CONFIG, ["MODEL.DEVICE", "cpu", "INPUT.MIN_SIZE_TEST", "40", *opts])
    runner = RegionRunner.from_config(cfg, model)
    photo = scene().image
    whole = torch.from_numpy(np.ascontiguousarray(photo[:, :, ::-1].transpose(2, 0, 1))).float()
    model.roi_heads.mask_head.keep_extras = True
    try:
        with torch.no_grad():
            found = model([{"image": whole, "height": H, "width": W}])[0]["instances"]
    finally:
        model.roi_heads.mask_head.keep_extras = False
    assert len(found)
    boxes = found.pred_boxes.tensor.numpy()
    (again,) = runner.results([runner.sample(photo, boxes)], OccluderMasks())
    np.testing.assert_allclose(again, found.pred_occluder_masks[:, 0].numpy(), atol=1e-4)
    assert not model.roi_heads.mask_head.keep_extras, "the model that was given has changed"


def test_neighbours_say_no_order(model):
    cfg = load_config(CONFIG, ["MODEL.DEVICE", "cpu"])
    with pytest.raises(UserError, match="OCCLUDERS = 'neighbours': neighbours are each other's"):
        RegionRunner.from_config(cfg, model)


def test_a_picture_of_regions():
    photo = scene().image
    found = Instances((H, W))
    found.pred_boxes = Boxes(torch.tensor([[-5.0, 2, 20, 30], [10, 10, 70, 45], [58, 38, 60, 40]]))
    assert draw_regions(photo, found, ["a", "b", "c"]) is None
    for name in FIELDS:
        found.set(name, torch.rand(3, 1, 28, 28))
    assert draw_regions(photo, found[:0], []) is None
    picture = draw_regions(photo, found, ["car", "person", "猫"])
    assert picture.dtype == np.uint8 and picture.shape == (28 + 3 * 132, 5 * 132 + 4, 3)
    # What hides most comes first.
    found.pred_occluder_masks[:] = torch.tensor([0.1, 0.9, 0.5])[:, None, None, None]
    found.pred_occluder_masks[1, 0, :14] = 0.2
    brightness = [
        row[:, 136:264].mean()
        for row in np.split(draw_regions(photo, found, ["a", "b", "c"])[28:], 3)
    ]
    assert brightness == sorted(brightness, reverse=True)
