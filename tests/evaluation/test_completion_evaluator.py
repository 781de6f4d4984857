import numpy as np
import pytest

from deocclusion_d2.evaluation import AmodalCompletionEvaluator
from deocclusion_d2.evaluation.completion import completion_areas
from deocclusion_d2.evaluation.occlusion_groups import hidden_share_group
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, WindowMask
from deocclusion_d2.structures.mask_sample import MaskSample


def rect(x0, y0, x1, y1):
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), dtype=bool))


def evaluate(modal, true, predicted, height=40, width=40, samples=None):
    evaluator = AmodalCompletionEvaluator()
    scene = Scene(height, width, modal, np.ones(len(modal)))
    output = Deocclusion(OcclusionGraph(len(modal)), predicted, samples=samples)
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


def test_the_best_of_samples_is_the_one_nearest_to_the_truth():
    # First: true 10 x 10, 5 columns visible. The mode adds nothing: 50 / 100, hidden part 0 / 50.
    # Samples of 8 x 10 (80 / 100, 30 / 50), of 10 x 20 (100 / 200) and of the mode's mask.
    # Second: nothing may hide it, so that nothing was drawn: 16 / 20 of the mode, not occluded.
    modal = [rect(0, 0, 5, 10), rect(20, 20, 24, 24)]
    true = [rect(0, 0, 10, 10), rect(20, 20, 24, 24)]
    predicted = [modal[0], rect(20, 20, 24, 25)]
    drawn = [rect(0, 0, 10, 20), rect(0, 0, 8, 10), modal[0]]
    # Weights do not count: what is rarely drawn may be the best.
    samples = [MaskSample(m, w) for m, w in zip(drawn, (0.6, 0.1, 0.3), strict=True)]
    plain = evaluate(modal, true, predicted)
    results = evaluate(modal, true, predicted, samples=[samples, []])
    best = {k: v for k, v in results.items() if k.startswith("best_of_samples_")}
    # The method's own figures are those without samples.
    assert {k: v for k, v in results.items() if k not in best} == plain
    assert best == pytest.approx(
        {
            "best_of_samples_mIoU_sum": 100 * 96 / 120,
            "best_of_samples_mIoU_mean": 80.0,
            "best_of_samples_mIoU_sum-hidden0": 80.0,
            "best_of_samples_mIoU_mean-hidden0": 80.0,
            **{
                f"best_of_samples_{metric}{group}": value
                for group in ("-hidden25-50", "-occluded")
                for metric, value in {
                    "mIoU_sum": 80.0,
                    "mIoU_mean": 80.0,
                    "invisible_IoU_sum": 60.0,
                    "invisible_IoU_mean": 60.0,
                }.items()
            },
            "best_of_samples_invisible_IoU_sum": 60.0,
            "best_of_samples_invisible_IoU_mean": 60.0,
        }
    )


def test_more_samples_are_never_worse_and_the_mode_is_one_of_them():
    rng = np.random.default_rng(3)
    modal, true = [rect(5, 5, 12, 20)], [rect(5, 5, 20, 20)]
    mode = [rect(5, 5, 17, 20)]
    drawn = [
        MaskSample(rect(5, 5, *(int(n) for n in rng.integers((12, 18), (30, 30)))), 1 / 20)
        for _ in range(20)
    ]
    found = [evaluate(modal, true, mode, samples=[drawn[:k]]) for k in range(21)]
    means = [of["best_of_samples_mIoU_mean"] for of in found]
    assert means[0] == found[0]["mIoU_mean"] < means[-1]
    assert means == sorted(means)


def test_lists_of_samples_are_one_for_each_instance():
    with pytest.raises(ValueError, match="2 lists of samples for 1 instances"):
        evaluate([rect(0, 0, 2, 2)], [rect(0, 0, 2, 2)], [rect(0, 0, 2, 2)], samples=[[], []])


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
