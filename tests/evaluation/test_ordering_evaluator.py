from itertools import combinations

import numpy as np
import pytest

from deocclusion_d2.data.true_order import (
    order_from_amodal,
    order_from_depth,
    order_from_depth_constraints,
)
from deocclusion_d2.evaluation import OrderingEvaluator
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, WindowMask

HEIGHT, WIDTH = 20, 60


def rect(x0, y0, x1, y1):
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), dtype=bool))


def make_scene(modal):
    return Scene(HEIGHT, WIDTH, modal, np.ones(len(modal)), image_id=7, file_name="7.png")


def result(scene, edges):
    graph = OcclusionGraph(len(scene))
    for occluder, occludee in edges:
        graph.add_occlusion(occluder, occludee)
    return Deocclusion(graph, scene.modal_masks)


def evaluate(evaluator, scene, truth, edges):
    evaluator.reset()
    evaluator.process([{"scene": scene, "truth": truth}], [result(scene, edges)])
    return evaluator.evaluate()["ordering"]


def painted_scene(rng, count=8, height=24, width=32):
    """Rectangles and crosses painted from back (first) to front (last), and then shuffled."""
    amodal = []
    for _ in range(count):
        full = np.zeros((height, width), dtype=bool)
        y, x = rng.integers(0, height - 4), rng.integers(0, width - 4)
        h, w = rng.integers(3, 12, size=2)
        full[y : y + h, x : x + w] = True
        full[y + 1 : y + h - 1, x + 1 : x + w - 1] &= rng.random() < 0.7
        amodal.append(full)
    modal = [m & ~np.any(amodal[k + 1 :], axis=0) for k, m in enumerate(amodal)]
    order = rng.permutation(count)
    return [modal[k] for k in order], [amodal[k] for k in order]


def full_image_order(modal, amodal):
    """The definition on full-size arrays."""
    orders = {}
    for i, j in combinations(range(len(modal)), 2):
        grown = np.pad(modal[i], 1)
        grown = (grown[1:-1, 1:-1] | grown[:-2, 1:-1] | grown[2:, 1:-1] | grown[1:-1, :-2]) | grown[
            1:-1, 2:
        ]
        if (grown & modal[j]).any():
            i_on_j, j_on_i = (modal[i] & amodal[j]).sum(), (modal[j] & amodal[i]).sum()
            orders[i, j] = 1 if i_on_j > j_on_i else -1 if j_on_i > i_on_j else 0
    return orders


def test_order_from_amodal_by_hand():
    # 0 hides 8 px of 1; 1 and 2 touch and hide nothing; 3 is apart; 4 and 2 hide each other:
    # 4 has 2 px on 2's amodal mask, 2 has 4 px on 4's.
    modal = [
        rect(0, 0, 6, 4),
        rect(6, 0, 10, 4),
        rect(10, 0, 14, 4),
        rect(30, 0, 34, 4),
        rect(14, 0, 18, 4),
    ]
    amodal = [
        modal[0],
        rect(4, 0, 10, 4),
        modal[2] | rect(14, 0, 16, 1),
        modal[3],
        rect(13, 0, 18, 4),
    ]
    scene, truth = make_scene(modal), SceneTruth(amodal_masks=amodal)
    assert order_from_amodal(scene, truth) == {(0, 1): 1, (1, 2): 0, (2, 4): 1}

    backwards = make_scene(modal[::-1])
    truth = SceneTruth(amodal_masks=amodal[::-1])
    assert order_from_amodal(backwards, truth) == {(3, 4): -1, (2, 3): 0, (0, 2): -1}


def test_equal_mutual_occlusion_has_no_order():
    modal = [rect(0, 0, 4, 4), rect(4, 0, 8, 4)]
    amodal = [rect(0, 0, 5, 4), rect(3, 0, 8, 4)]
    assert order_from_amodal(make_scene(modal), SceneTruth(amodal_masks=amodal)) == {(0, 1): 0}


def test_order_from_amodal_agrees_with_full_images():
    rng = np.random.default_rng(0)
    ordered = 0
    for _ in range(40):
        modal, amodal = painted_scene(rng)
        expected = full_image_order(modal, amodal)
        scene = make_scene([WindowMask.from_array(m) for m in modal])
        truth = SceneTruth(amodal_masks=[WindowMask.from_array(m) for m in amodal])
        assert order_from_amodal(scene, truth) == expected
        ordered += sum(order != 0 for order in expected.values())
    assert ordered > 200


def test_order_from_depth_constraints():
    scene = make_scene([rect(0, 0, 2, 2)] * 4)
    truth = SceneTruth(depth_constraints=[(2, 0), (1, 3), (1, 3), (2, 1), (1, 2), (2, 1)])
    # Both ways between 1 and 2: a mutual occlusion.
    assert order_from_depth_constraints(scene, truth) == {(0, 2): -1, (1, 3): 1, (1, 2): 0}
    assert order_from_depth_constraints(scene, SceneTruth(depth_constraints=[])) == {}


@pytest.mark.parametrize("pair", [(0, 4), (-1, 2), (1, 1)])
def test_wrong_depth_constraint_is_named(pair):
    scene = make_scene([rect(0, 0, 2, 2)] * 4)
    with pytest.raises(ValueError, match=r"image 7 \(7.png\): depth constraint .* 4 instances"):
        order_from_depth_constraints(scene, SceneTruth(depth_constraints=[pair]))


def test_order_from_depth():
    # A row of touching squares; the last is apart.
    modal = [rect(4 * k, 0, 4 * k + 4, 4) for k in range(5)] + [rect(40, 0, 44, 4)]
    depths = np.array([10.0, 8.5, 9.9, np.nan, 3.0, 50.0])
    scene, truth = make_scene(modal), SceneTruth(depths=depths)
    # 0-1 differ by exactly 1.5 m; 1-2 by 1.4 m; 2-3 and 3-4 are unknown.
    assert order_from_depth(scene, truth) == {(0, 1): -1}
    assert order_from_depth(scene, truth, min_depth_gap=1.0) == {(0, 1): -1, (1, 2): 1}


def test_accuracy_by_hand_and_by_level():
    modal = [rect(4 * k, 0, 4 * k + 4, 4) for k in range(5)]
    truth = SceneTruth(
        depths=np.array([10.0, 8.0, 6.0, 4.0, 4.5]),
        # Occludees of the three pairs are 0, 1 and 2; the level of 2 is unknown, that of 3 is not.
        occlusion_levels=np.array([2, 2, -1, 1, 0]),
    )
    scene = make_scene(modal)
    # Right, wrong, undecided; 3-4 is too close to count, whatever is predicted.
    results = evaluate(OrderingEvaluator("depth"), scene, truth, [(1, 0), (1, 2), (4, 3)])
    assert results == pytest.approx(
        {
            "Acc": 100 / 3,
            "Undecided": 100 / 3,
            "Acc_image": 100 / 3,
            "pairs": 3,
            "Acc-level1": 0.0,
            "Undecided-level1": 100.0,
            "pairs-level1": 1,
            "Acc-level2": 50.0,
            "Undecided-level2": 0.0,
            "pairs-level2": 2,
        }
    )


def test_accuracy_of_images():
    """One image has one pair, which is right; another three, of which one is; a third has none."""
    modal = [rect(4 * k, 0, 4 * k + 4, 4) for k in range(4)]
    scene = make_scene(modal)
    evaluator = OrderingEvaluator("depth")
    evaluator.reset()
    for depths, edges in (
        ([10.0, 8.0, 8.0, 8.0], [(1, 0)]),
        ([10.0, 8.0, 6.0, 4.0], [(1, 0), (1, 2), (2, 3)]),
        ([8.0, 8.0, 8.0, 8.0], [(1, 0)]),
    ):
        truth = SceneTruth(depths=np.array(depths))
        evaluator.process([{"scene": scene, "truth": truth}], [result(scene, edges)])
    results = evaluator.evaluate()["ordering"]
    assert results["pairs"] == 4 and results["Acc"] == 50.0
    assert results["Acc_image"] == pytest.approx((100 + 100 / 3) / 2)


def test_pairs_are_split_by_hidden_share_of_the_occludee():
    # 0 hides a quarter of 1 (4 of 16 px); 2 hides more than a quarter of 3 (2 of 6 rows).
    modal = [rect(0, 0, 4, 4), rect(4, 0, 7, 4), rect(20, 0, 24, 2), rect(20, 2, 24, 6)]
    amodal = [modal[0], rect(3, 0, 7, 4), modal[2], rect(20, 0, 24, 6)]
    truth = SceneTruth(amodal_masks=amodal)
    results = evaluate(OrderingEvaluator(), make_scene(modal), truth, [(0, 1), (3, 2)])
    assert (results["Acc"], results["pairs"]) == (50.0, 2)
    assert (results["Acc-hidden0-25"], results["Acc-hidden25-50"]) == (100.0, 0.0)


def test_falls_back_to_the_second_truth_per_image():
    modal = [rect(0, 0, 4, 4), rect(4, 0, 7, 4)]
    amodal = [modal[0], rect(3, 0, 7, 4)]  # 0 in front
    evaluator = OrderingEvaluator(("depth_constraint", "amodal"))
    scene, edges = make_scene(modal), [(0, 1)]
    both = SceneTruth(amodal_masks=amodal, depth_constraints=[(1, 0)])
    assert evaluate(evaluator, scene, both, edges)["Acc"] == 0.0
    assert evaluate(evaluator, scene, SceneTruth(amodal_masks=amodal), edges)["Acc"] == 100.0
    none_listed = SceneTruth(amodal_masks=amodal, depth_constraints=[])
    assert evaluate(evaluator, scene, none_listed, edges) == {"pairs": 0}
    assert evaluate(evaluator, scene, SceneTruth(), edges) == {"pairs": 0}


def test_unknown_truth_is_refused():
    with pytest.raises(ValueError, match="unknown order truth \\['stereo'\\]: choose from"):
        OrderingEvaluator("stereo")
