"""What benchmarks/image_border.py measures with."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

from deocclusion_d2.structures import Deocclusion, OcclusionGraph, SceneTruth, WindowMask
from tests.helpers import box_mask, scene_of

PROGRAM = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks/image_border.py"))
H, W = 60, 100


def test_crops():
    rng = np.random.default_rng(0)
    whole = scene_of([box_mask(H, W, 10, 10, 90, 50), box_mask(H, W, 0, 10, 60, 50)])
    hidden = SceneTruth(amodal_masks=[WindowMask.filled((10, 5, 90, 50)), whole.modal_masks[1]])
    for truth in (SceneTruth(), hidden):
        crop = PROGRAM["crop_of"](whole, truth, rng)
        height, width = crop.scene.height, crop.scene.width
        assert 36 <= height < 51 and 60 <= width < 85
        x0, y0, x1, y1 = crop.boxes[0]
        assert (x1 - x0, y1 - y0) == (80, 40)
        inside = (max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
        assert crop.scene.modal_masks[0].box == inside
        share = 1 - crop.scene.modal_masks[0].area / 3200
        # Of the second nobody knows what the image's own border cuts.
        expected = [np.nan if truth is hidden else share, np.nan]
        assert np.allclose(crop.cut, expected, equal_nan=True)


def test_what_counts():
    """At the crop's border, and hidden by nothing; boxes by hand."""
    masks = [box_mask(H, W, 0, 0, 20, 20), box_mask(H, W, 50, 30, 60, 40)]
    crop = PROGRAM["Crop"](
        scene_of(masks), [(-20, 0, 20, 20), (50, 30, 60, 40)], np.array([0.5, 0])
    )
    result = Deocclusion(OcclusionGraph(2), crop.scene.modal_masks)
    assert list(PROGRAM["measured"](crop, result)) == [(0.5, 0.5)]
    result.unclipped_boxes = [(-10, 0, 20, 20), (50, 30, 60, 40)]
    assert list(PROGRAM["measured"](crop, result)) == [(0.5, 0.75)]
    result.graph.add_occlusion(1, 0)
    assert list(PROGRAM["measured"](crop, result)) == []
    assert PROGRAM["compare"]([crop], lambda scenes: [result])[0][0] == 0
