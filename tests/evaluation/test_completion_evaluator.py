import numpy as np
import pytest

from deocclusion_d2.evaluation import AmodalCompletionEvaluator
from deocclusion_d2.evaluation.completion import completion_areas
from deocclusion_d2.evaluation.occlusion_groups import hidden_share_group
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, WindowMask


def rect(x0, y0, x1, y1):
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), dtype=bool))


def evaluate(modal, true, predicted, height=40, width=40):
    evaluator = AmodalCompletionEvaluator()
    scene = Scene(height, width, modal, np.ones(len(modal)))
    output = Deocclusion(OcclusionGraph(len(modal)), predicted)
    evaluator.process([{"scene": scene, "truth": SceneTruth(amodal_masks=true)}], [output])
    return evaluator.evaluate()["completion"]


@pytest.mark.parametrize(
    ("hidden", "total", "group"),
    [
        (0, 8, "hidden0"),
        (1, 10**6, "hidden0-25"),
        (2, 8, "hidden0-25"),
        (3, 8, "hidden25-50"),
        (4, 8, "hidden25-50"),
        (5, 8, "hidden50-75"),
        (6, 8, "hidden50-75"),
        (7, 8, "hidden75-100"),
        (8, 8, "hidden100"),
    ],
)
def test_bins_hold_their_upper_end(hidden, total, group):
    assert hidden_share_group(hidden, total) == group


def test_two_instances_by_hand():
    # First: true 10 x 10, 7 columns visible (30 % hidden), predicted 9 x 12.
    #   whole: intersection 9 * 10 = 90, union 100 + 108 - 90 = 118
    #   invisible: 108 - 70 = 38 and 30, intersection 2 * 10 = 20, union 48
    # Second: visible 4 x 4, predicted 4 x 5: 16 / 20; nothing of it is hidden.
    modal = [rect(0, 0, 7, 10), rect(20, 20, 24, 24)]
    true = [rect(0, 0, 10, 10), modal[1]]
    predicted = [rect(0, 0, 9, 12), rect(20, 20, 24, 25)]
    assert completion_areas(predicted[0], true[0], modal[0]) == (90, 118, 20, 48)
    occluded = {
        "mIoU_sum": 100 * 90 / 118,
        "mIoU_mean": 100 * 90 / 118,
        "invisible_IoU_sum": 100 * 20 / 48,
        "invisible_IoU_mean": 100 * 20 / 48,
        "instances": 1,
    }
    assert evaluate(modal, true, predicted) == pytest.approx(
        {
            "mIoU_sum": 100 * 106 / 138,
            "mIoU_mean": 100 * (90 / 118 + 16 / 20) / 2,
            "invisible_IoU_sum": 100 * 20 / 48,
            "invisible_IoU_mean": 100 * 20 / 48,
            "instances": 2,
            "mIoU_sum-hidden0": 80.0,
            "mIoU_mean-hidden0": 80.0,
            "instances-hidden0": 1,
            **{f"{key}-hidden25-50": value for key, value in occluded.items()},
            **{f"{key}-occluded": value for key, value in occluded.items()},
        }
    )


def test_the_two_forms_of_the_invisible_iou_differ():
    # Hidden 10 px, all found; hidden 30 px, none found.
    modal = [rect(0, 0, 9, 10), rect(20, 0, 27, 10)]
    true = [rect(0, 0, 10, 10), rect(20, 0, 30, 10)]
    results = evaluate(modal, true, [true[0], modal[1]])
    assert results["invisible_IoU_sum"] == pytest.approx(100 * 10 / 40)
    assert results["invisible_IoU_mean"] == pytest.approx(50.0)


def test_empty_masks():
    empty = WindowMask.empty()
    # Fully hidden; without any true mask; visible but lost by the method.
    modal = [empty, empty, rect(0, 0, 4, 4)]
    true = [rect(9, 9, 12, 12), empty, rect(0, 0, 5, 4)]
    results = evaluate(modal, true, [rect(9, 9, 12, 12), empty, empty])
    assert results["instances"] == 1
    assert results["mIoU_sum"] == results["mIoU_mean"] == results["invisible_IoU_mean"] == 0.0
    assert evaluate([empty], [rect(0, 0, 2, 2)], [empty]) == {"instances": 0}


def test_agrees_with_full_images():
    rng = np.random.default_rng(1)
    height, width, count = 30, 40, 60

    def random_mask(wanted):
        full = np.zeros((height, width), dtype=bool)
        y, x = rng.integers(0, height - 8), rng.integers(0, width - 8)
        h, w = rng.integers(2, 14, size=2)
        full[y : y + h, x : x + w] = rng.random(full[y : y + h, x : x + w].shape) < wanted
        return full

    true = [random_mask(0.9) | random_mask(0.5) for _ in range(count)]
    modal = [t & ~(random_mask(1.0) | random_mask(1.0)) if k % 2 else t for k, t in enumerate(true)]
    predicted = [m | (random_mask(0.5) & ~m) for m in modal]

    whole, invisible, whole_ious, invisible_ious = np.zeros(2), np.zeros(2), [], []
    for m, t, p in zip(modal, true, predicted, strict=True):
        if not m.any():
            continue
        areas = np.array([(p & t).sum(), (p | t).sum()])
        whole += areas
        whole_ious.append(areas[0] / areas[1])
        if (t & ~m).any():
            areas = np.array([(p & ~m & t & ~m).sum(), ((p & ~m) | (t & ~m)).sum()])
            invisible += areas
            invisible_ious.append(areas[0] / areas[1])
    windows = [[WindowMask.from_array(x) for x in masks] for masks in (modal, true, predicted)]
    results = evaluate(*windows, height, width)
    assert results["mIoU_sum"] == pytest.approx(100 * whole[0] / whole[1])
    assert results["mIoU_mean"] == pytest.approx(100 * np.mean(whole_ious))
    assert results["invisible_IoU_sum"] == pytest.approx(100 * invisible[0] / invisible[1])
    assert results["invisible_IoU_mean"] == pytest.approx(100 * np.mean(invisible_ious))
    assert results["instances-occluded"] == len(invisible_ious) > 15
    bins = [key for key in results if key.startswith("instances-hidden")]
    assert sum(results[key] for key in bins) == results["instances"] == len(whole_ious)
