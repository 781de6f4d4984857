"""SeGAN's steps and measures, by hand, with a network that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

from deocclusion_d2.chosen_steps import build_content
from deocclusion_d2.config import load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.content import SmoothFiller
from deocclusion_d2.inference.content.holes import background_holes, object_hole
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, SceneTruth, WindowMask
from deocclusion_d2.structures.window_mask import union
from deocclusion_d2.systems.segan.box_crop import NEUTRAL, BoxCrop
from deocclusion_d2.systems.segan.evaluator import SeGANEvaluator, SeGANResult, code_measures
from deocclusion_d2.systems.segan.mapper import Views
from deocclusion_d2.systems.segan.steps import (
    SeGANCompletion,
    SeGANLayers,
    SeGANPainter,
    Segmenting,
)
from tests.helpers import box_mask, scene_of

H, W = 40, 60
VIEWS = Views("crop", input_size=48, mask_size=40, paint_size=40)


class KnownNetwork:
    """Stands for a runner: hands out probabilities, or paints everything in one colour."""

    uses_rgb, uses_category, precision = True, False, "float32"

    def __init__(self, answers=(), colour=(10, 20, 30)) -> None:
        self.answers, self.colour, self.samples = list(answers), colour, []

    def outputs(self, samples, key):
        for sample in samples:
            self.samples.append(sample)
            if key == "rgb":
                yield np.full((40, 40, 3), self.colour, np.float32)
            else:
                yield self.answers.pop(0)


def scene(*boxes):
    made = scene_of([box_mask(H, W, *box) for box in boxes])
    return replace(made, image=np.full((H, W, 3), 77, np.uint8))


def answer(box: tuple, whole: tuple) -> np.ndarray:
    """What a perfect segmentor says of an object in the box around its visible part."""
    crop = BoxCrop.around(box, (0.2,) * 4, (H, W))
    return crop.sample(WindowMask.filled(whole), VIEWS.mask_size).astype(np.float32)


def test_iou_of_masks():
    first = WindowMask.filled((0, 0, 10, 10))
    assert first.iou(WindowMask.filled((5, 0, 15, 10))) == pytest.approx(50 / 150)
    assert WindowMask.empty().iou(WindowMask.empty()) == 0


def test_completion_keeps_what_is_visible():
    visible, whole = (20, 10, 40, 30), (22, 10, 44, 30)
    given = scene(visible, (50, 0, 55, 5))
    given.modal_masks[1] = WindowMask.empty()
    graph = OcclusionGraph(2)
    for constrain in (True, False):
        runner = KnownNetwork([answer(visible, whole)])
        completion = SeGANCompletion(Segmenting(runner, VIEWS), constrain=constrain)
        (result,) = completion([given], [graph])
        expected = [visible, whole] if constrain else [whole]
        assert result.amodal_masks[0] == union(WindowMask.filled(box) for box in expected)
        assert result.amodal_masks[1].is_empty and result.graph is graph
        assert len(runner.samples) == 1


def test_layers():
    """Of the left one 10 x 20 pixels are said to lie under the right one, of 400 pixels."""
    left, right = (10, 10, 30, 30), (30, 10, 50, 30)
    given = scene(left, right, (0, 0, 5, 5))
    under = answer(left, (10, 10, 34, 30))  # 4 columns: 80 of 400 pixels
    runner = KnownNetwork([under, answer(right, right)])
    (graph,) = SeGANLayers(Segmenting(runner, VIEWS))([given])
    assert graph.edges == [(1, 0)] and graph.confidence(1, 0) == pytest.approx(80 / 400)
    assert len(runner.samples) == 2  # the third has no neighbour
    # Both: the larger overlap decides. Neither: no order.
    more = answer(right, (28, 10, 50, 30))
    runner = KnownNetwork([under, more])
    (graph,) = SeGANLayers(Segmenting(runner, VIEWS))([given])
    assert graph.edges == [(1, 0)] and graph.confidence(1, 0) == pytest.approx(0.2 - 0.1)
    runner = KnownNetwork([answer(left, (10, 10, 31, 30)), answer(right, right)])
    (graph,) = SeGANLayers(Segmenting(runner, VIEWS))([given])
    assert graph.edges == [] and graph.neighbour_pairs == [(0, 1)]  # 20 / 400 is 5 %, not more


def test_layers_by_the_share_that_is_hidden():
    """The small hidden part lies all under a large object, which is no 5 % of both."""
    left, right = (10, 10, 30, 30), (30, 10, 50, 30)
    answers = [answer(left, (10, 10, 31, 30)), answer(right, right)]  # 20 of 400 pixels
    layers = SeGANLayers(Segmenting(KnownNetwork(answers), VIEWS), by="share")
    (graph,) = layers([scene(left, right)])
    assert graph.edges == [(1, 0)] and graph.confidence(1, 0) == 1.0
    assert layers.describe()["layers_by"] == "share"
    with pytest.raises(UserError, match="LAYERS_BY = 'area': use iou or share"):
        SeGANLayers(Segmenting(KnownNetwork(), VIEWS), by="area")


def test_the_border_of_five_percent():
    """As in the fact sheet: 100 hidden pixels; 10 or 11 of them under 110 visible ones."""
    hidden = WindowMask.filled((0, 0, 10, 10))
    ten = WindowMask.filled((9, 0, 20, 10))  # 110 pixels, 10 of them hidden's
    assert hidden.iou(ten) == 10 / 200
    eleven = ten - WindowMask.filled((19, 0, 20, 1)) | WindowMask.filled((8, 0, 9, 1))
    assert eleven.area == 110 and hidden.iou(eleven) == 11 / 199


def test_painting_is_for_objects():
    """The background is filled smoothly, objects in what the painter says; at their own pixels."""
    image = np.full((H, W, 3), 77, np.uint8)
    visible, missing = WindowMask.filled((20, 10, 30, 30)), WindowMask.filled((30, 12, 40, 28))
    hole = object_hole(image, visible, missing, visible, 1)
    (background,) = background_holes(image, WindowMask.filled((2, 2, 12, 12)))
    runner = KnownNetwork(colour=(10, 20, 30))
    windows = SeGANPainter(runner, VIEWS, soft_seam=False).fill([background, hole, background])
    assert [w.shape for w in windows] == [(10, 10, 3), (16, 10, 3), (10, 10, 3)]
    assert (windows[1] == (10, 20, 30)).all() and (windows[0] == 77).all()
    (sample,) = runner.samples
    # In the box (16, 6, 44, 34): 28 x 28 pixels.
    assert sample["crop_amodal"].sum() == pytest.approx(40**2 * 360 / 28**2, rel=0.05)
    assert sample["crop_modal"].sum() == pytest.approx(40**2 * 200 / 28**2, rel=0.05)


def test_painted_colours_meet_those_of_the_visible_part():
    """All of the object is 77 in the photo, and painted darker: next to it the hole is 77, too."""
    image = np.full((H, W, 3), 77, np.uint8)
    visible, missing = WindowMask.filled((10, 10, 30, 30)), WindowMask.filled((30, 10, 50, 30))
    hole = object_hole(image, visible, missing, visible, 1)
    (window,) = SeGANPainter(KnownNetwork(colour=(47, 47, 47)), VIEWS).fill([hole])
    row = window[10, :, 0].astype(int)
    assert row[0] == pytest.approx(77, abs=1) and (np.diff(row) <= 0).all()
    # Twenty pixels from it the difference has faded to 30 exp(-19 / 16).
    assert row[-1] == pytest.approx(47 + 30 * np.exp(-19 / 16), abs=1)


def test_a_painter_that_has_not_learned_does_not_paint(tmp_path):
    """Where nobody asks for it, the smooth fill stands in for it."""
    cfg = load_config("segan_segment_kins_quick", ["MODEL.DEVICE", "cpu"])
    model = build_model(cfg)
    assert isinstance(build_content(cfg, model), SmoothFiller)
    cfg.DEOCCLUSION.CONTENT = "segan"
    with pytest.raises(UserError, match="CONTENT = 'segan': the painter of MODEL.WEIGHTS = '' has"):
        build_content(cfg, model)
    cfg = load_config("segan_paint_kins_quick", ["MODEL.DEVICE", "cpu"])
    for module in model.painter.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.num_batches_tracked.fill_(1)
    assert isinstance(build_content(cfg, model), SeGANPainter)


def test_the_codes_measures():
    """Of 10 pixels 6 are visible; segmented are those and 2 of the 4 hidden ones."""
    true, visible = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    true.flat[:10] = True
    visible.flat[:6] = True
    found = np.zeros((4, 4), bool)
    found.flat[:8] = True
    measured = code_measures(found, true, visible, true & ~visible)
    assert measured == {"union_code": 0.8, "visible_code": 0.75, "invisible_code": 0.5}
    assert code_measures(found, visible, visible, found & False)["invisible_code"] == 0


class KnownPhoto:
    def __init__(self, photo):
        self.photo = photo

    def knows(self, row):
        return True

    def __call__(self, row, image):
        return self.photo


def test_measures():
    """A car whose right half is hidden; its hidden part is found but for a fifth, and painted."""
    visible, whole = (10, 10, 30, 30), (10, 10, 40, 30)
    found = (10, 10, 38, 30)
    given = scene(visible)
    photo = np.full((H, W, 3), 90, np.uint8)
    photo[10:30, 10:40] = 150
    truth = SceneTruth(amodal_masks=[WindowMask.filled(whole)], unhidden=KnownPhoto(photo))
    box = BoxCrop.around(visible, (0.2,) * 4, (H, W))  # (6, 6, 34, 34)
    painted = np.full((40, 40, 3), NEUTRAL, np.float32)
    painted[box.sample(WindowMask.filled(whole), 40)] = 150 + 51  # 0.2 too bright
    evaluator = SeGANEvaluator(VIEWS)
    evaluator.reset()
    result = SeGANResult(
        Deocclusion(OcclusionGraph(1), given.modal_masks),
        {0: box},
        {0: WindowMask.filled(found)},
        {0: painted},
    )
    evaluator.process([{"scene": given, "truth": truth}], [result])
    measured = evaluator.evaluate()["segan"]
    assert measured["union"] == pytest.approx(100 * 28 / 30)
    assert measured["visible"] == 100
    assert measured["invisible"] == pytest.approx(100 * 8 / 10)
    # Of 200 hidden pixels the box reaches 4 of 10 columns.
    assert measured["outside"] == pytest.approx(60)
    assert measured["L1_hidden"] == pytest.approx(0.2, abs=0.01)
    assert measured["L2_hidden"] == pytest.approx(0.04, abs=0.005)
    # All of the box: the object is 24 x 20 of 28 x 28 pixels.
    assert measured["L1"] == pytest.approx(0.2 * 480 / 784, abs=0.01)
    assert measured["instances"] == 1
