import logging

import numpy as np
import pytest

from deocclusion_d2.evaluation import ReliabilityEvaluator
from deocclusion_d2.structures import (
    Deocclusion,
    OcclusionGraph,
    ProbabilityMap,
    Scene,
    SceneTruth,
    WindowMask,
)


def rect(x0, y0, x1, y1):
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), dtype=bool))


def evaluate(*instances):
    """Each instance: modal, true amodal mask, kept probabilities or None."""
    evaluator = ReliabilityEvaluator()
    modal, true, kept = map(list, zip(*instances, strict=True))
    scene = Scene(40, 40, modal, np.ones(len(modal)))
    output = Deocclusion(OcclusionGraph(len(modal)), modal, probabilities=kept)
    evaluator.process([{"scene": scene, "truth": SceneTruth(amodal_masks=true)}], [output])
    return evaluator.evaluate()


def test_visible_pixels_are_no_merit():
    """A map that holds them too, as certain, is judged as the one without."""
    modal, true = rect(0, 0, 4, 4), rect(0, 0, 6, 4)
    hidden = ProbabilityMap(4, 0, np.full((4, 4), 102, np.uint8))
    alone = evaluate((modal, true, hidden))["reliability"]
    assert (alone["pixels"], alone["predicted"], alone["true"]) == (16, pytest.approx(40), 50)
    assert evaluate((modal, true, hidden.with_certain(modal)))["reliability"] == alone
    only_visible = ProbabilityMap.from_array(np.zeros((0, 0))).with_certain(modal)
    assert evaluate((modal, true, only_visible)) == {}


def test_two_instances_by_hand():
    # The first: true columns 0-9, visible 0-6. Kept columns 7-12 of 4 rows: 153/255 = 0.6 in 7-10,
    # 51/255 = 0.2 in 11 and 12. Of 16 pixels at 0.6 columns 7, 8, 9 are true: 12; of 8 at 0.2 none.
    levels = np.zeros((4, 6), np.uint8)
    levels[:, :4], levels[:, 4:] = 153, 51
    first = rect(0, 0, 7, 10), rect(0, 0, 10, 10), ProbabilityMap(7, 2, levels)
    # The second: 4 pixels with certainty, all true, and 4 that are 0 and are not counted.
    sure = np.array([[255, 255, 0, 0]] * 2, np.uint8)
    second = rect(20, 20, 24, 24), rect(20, 20, 26, 24), ProbabilityMap(24, 21, sure)
    hidden_by_nothing = rect(30, 30, 34, 34), rect(30, 30, 34, 34), None
    fully_hidden = WindowMask.empty(), rect(0, 30, 4, 34), ProbabilityMap(0, 30, sure)
    results = evaluate(first, second, hidden_by_nothing, fully_hidden)["reliability"]
    assert results == pytest.approx(
        {
            "predicted": 100 * (16 * 0.6 + 8 * 0.2 + 4) / 28,
            "true": 100 * (12 + 4) / 28,
            # 12 times (0.6 - 1)^2, 4 times 0.6^2, 8 times 0.2^2
            "Brier": 100 * (12 * 0.16 + 4 * 0.36 + 8 * 0.04) / 28,
            "pixels": 28,
            "predicted-p20-30": 20,
            "true-p20-30": 0,
            "Brier-p20-30": 4,
            "pixels-p20-30": 8,
            "predicted-p60-70": 60,
            "true-p60-70": 75,
            "Brier-p60-70": 100 * (12 * 0.16 + 4 * 0.36) / 16,
            "pixels-p60-70": 16,
            "predicted-p90-100": 100,
            "true-p90-100": 100,
            "Brier-p90-100": 0,
            "pixels-p90-100": 4,
            # 16 pixels are 15 points off, 8 are 20 off.
            "ECE": (16 * 15 + 8 * 20) / 28,
        }
    )


def test_without_probabilities_nothing_is_said(caplog):
    with caplog.at_level(logging.INFO):
        assert evaluate((rect(0, 0, 2, 2), rect(0, 0, 4, 2), None)) == {}
    assert not caplog.messages
