"""Evaluation where the modal masks are predictions and the true ones are known."""

import json

import numpy as np
import pytest

from deocclusion_d2.data.true_order import order_from_amodal, order_from_depth
from deocclusion_d2.evaluation import (
    AmodalBoxEvaluator,
    AmodalCompletionEvaluator,
    OrderingEvaluator,
)
from deocclusion_d2.evaluation.completion import completion_areas
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, WindowMask

EMPTY = WindowMask.empty()


def rect(x0, y0, x1, y1):
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), dtype=bool))


def test_invisible_parts_by_hand():
    # True 10 x 10, 6 columns visible; predicted visible are 8; the completion has 11 columns.
    # Hidden truth: columns 6-9; completed beyond the prediction: columns 8-10; both: 8 and 9.
    areas = completion_areas(
        rect(0, 0, 11, 10), rect(0, 0, 10, 10), rect(0, 0, 8, 10), rect(0, 0, 6, 10)
    )
    assert areas == (100, 110, 20, 50)


def test_what_is_left_out_and_why(tmp_path):
    # Seen; not predicted; fully hidden, though something is predicted.
    predicted = [rect(0, 0, 4, 4), EMPTY, rect(20, 20, 22, 22)]
    true_modal = [rect(0, 0, 5, 4), rect(8, 0, 12, 4), EMPTY]
    true = [rect(0, 0, 8, 4), rect(8, 0, 12, 4), rect(20, 20, 24, 24)]
    boxes = np.array([m.box for m in true], float)
    scene = Scene(30, 30, predicted, np.ones(3))
    truth = SceneTruth(true, amodal_boxes=boxes, modal_masks=true_modal)
    record = {"scene": scene, "truth": truth}
    output = Deocclusion(OcclusionGraph(3), predicted)
    left_out = {"fully hidden instances": 1, "instances without a prediction": 1}
    for evaluator, unit in (
        (AmodalCompletionEvaluator(str(tmp_path)), "instances"),
        (AmodalBoxEvaluator(str(tmp_path)), "boxes"),
    ):
        evaluator.process([record], [output])
        assert evaluator.evaluate()[evaluator.task][unit] == 1
        written = json.loads((tmp_path / f"{evaluator.task}_results.json").read_text())
        assert written["left_out"] == left_out
    truth.modal_masks = true_modal[:2]
    with pytest.raises(ValueError, match="2 true modal masks for 3 instances"):
        evaluator.process([record], [output])


def test_true_orders_come_from_true_masks(tmp_path):
    # 0 hides the left half of 1; 1 stands before 2 by depth alone. Predictions leave a gap.
    true_modal = [rect(0, 0, 5, 5), rect(5, 0, 10, 5), rect(10, 0, 15, 5)]
    true = [true_modal[0], rect(0, 0, 10, 5), rect(8, 0, 15, 5)]
    predicted = [rect(0, 0, 3, 5), rect(7, 0, 10, 5), EMPTY]
    scene = Scene(10, 20, predicted, np.ones(3))
    truth = SceneTruth(true, depths=np.array([9.0, 5.0, 1.0]), modal_masks=true_modal)
    assert order_from_amodal(scene, truth) == {(0, 1): 1, (1, 2): 1}
    assert order_from_depth(scene, truth) == {(0, 1): -1, (1, 2): -1}
    truth_alone = SceneTruth(true, depths=truth.depths)
    assert order_from_amodal(scene, truth_alone) == order_from_depth(scene, truth_alone) == {}
    evaluator = OrderingEvaluator("amodal", str(tmp_path))
    graph = OcclusionGraph(3)
    graph.add_occlusion(0, 1)
    evaluator.process([{"scene": scene, "truth": truth}], [Deocclusion(graph, predicted)])
    results = evaluator.evaluate()["ordering"]
    assert (results["pairs"], results["Acc"]) == (1, 100.0)
    assert results["pairs-hidden25-50"] == 1, "hidden is what the true modal mask does not hold"
    written = json.loads((tmp_path / "ordering_results.json").read_text())
    assert written["left_out"] == {"pairs with an instance without a prediction": 1}
