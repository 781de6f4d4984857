"""What benchmarks/masks_in_true_boxes.py measures with."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from deocclusion_d2.structures import SceneTruth, WindowMask
from tests.helpers import box_mask, scene_of

PROGRAM = runpy.run_path(
    str(Path(__file__).resolve().parents[2] / "benchmarks/masks_in_true_boxes.py")
)
H, W = 40, 60


def test_by_hand():
    """The upper half of each box is found: of a whole object, and of one whose lower half is
    hidden; a third one has no group."""
    scene = scene_of(
        [box_mask(H, W, *box) for box in ((0, 0, 10, 20), (20, 0, 30, 10), (40, 0, 50, 10))]
    )
    amodal = [WindowMask.filled(box) for box in ((0, 0, 10, 20), (20, 0, 30, 20), (40, 0, 50, 10))]
    asked = []

    def upper_halves(scene, rows, boxes):
        asked.append((rows, boxes.tolist()))
        return [WindowMask.filled((int(b[0]), 0, int(b[2]), 12)) for b in boxes]

    found = PROGRAM["measure"](
        upper_halves,
        [(scene, SceneTruth(amodal_masks=amodal), ["hidden0", "hidden25-50", None])],
    )
    assert asked == [([0, 1], [[0, 0, 10, 20], [20, 0, 30, 20]])]
    # 120 of 200 pixels; of the hidden 100 pixels 20.
    assert found == {
        "hidden0": [(pytest.approx(0.6), None)],
        "hidden25-50": [(pytest.approx(0.6), pytest.approx(0.2))],
    }
