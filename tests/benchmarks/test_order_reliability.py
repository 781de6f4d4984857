"""What benchmarks/order_reliability.py measures with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deocclusion_d2.structures import Deocclusion, OcclusionGraph, SceneTruth, WindowMask
from tests.helpers import box_mask, program_of, scene_of

PROGRAM = program_of(Path(__file__).resolve().parents[2] / "benchmarks/order_reliability.py")


def test_calibration():
    """Three pairs of 0.75 on average, two of them right; one of 0.975 that is wrong; by hand."""
    pairs = [(0.5, True), (0.52, True), (0.48, False), (0.95, False)]
    error, rows = PROGRAM.calibration(pairs)
    # 0.48 lies in the bin from 0.4 on.
    expected = [[0.74, 0, 1], [0.755, 1, 2], [0.975, 0, 1]]
    assert np.allclose(rows, expected)
    assert error == pytest.approx(100 * (0.74 + 2 * 0.245 + 0.975) / 4)
    assert PROGRAM.calibration([(1.0, True)]) == (0, pytest.approx(np.array([[1.0, 1, 1]])))
    assert PROGRAM.calibration([])[0] == 0


def test_pairs_that_count(tmp_path):
    """0 hides 1 and 1 hides 2; the method orders the first pair wrongly, and not the second."""
    boxes = [(0, 0, 10, 10), (10, 0, 20, 10), (20, 0, 30, 10)]
    scene = scene_of([box_mask(20, 40, *box) for box in boxes])
    amodal = [WindowMask.filled(b) for b in ((0, 0, 10, 10), (5, 0, 20, 10), (15, 0, 30, 10))]
    graph = OcclusionGraph(3)
    graph.add_occlusion(1, 0, confidence=0.3)
    found = PROGRAM.OrderConfidences()
    found.reset()
    found.add(scene, SceneTruth(amodal_masks=amodal), Deocclusion(graph, scene.modal_masks))
    assert found.pairs == [(0.3, False)] and found.undecided == 1
    found.add(scene, SceneTruth(), Deocclusion(graph, scene.modal_masks))  # no labels
    assert len(found.pairs) == 1
    PROGRAM.draw({"a": PROGRAM.calibration(found.pairs)}, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
