"""What benchmarks/eroded_masks.py measures with."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np

from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.loaders import records_of
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.structures import WindowMask
from tests.helpers import box_mask

PROGRAM = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks/eroded_masks.py"))
H, W = 30, 40


def test_eroded():
    """By hand; where the image cuts an object, nothing is taken away."""
    eroded = PROGRAM["eroded"]
    inside = WindowMask.from_array(box_mask(H, W, 10, 10, 30, 20))
    assert eroded(inside, 0, H, W) == inside
    # The kernel of 3 px is a cross: of a rectangle a row is gone on every side.
    assert eroded(inside, 1, H, W) == WindowMask.filled((11, 11, 29, 19))
    cut = WindowMask.from_array(box_mask(H, W, 0, 10, 30, 30))
    assert eroded(cut, 2, H, W) == WindowMask.filled((0, 12, 28, 30))
    thin = WindowMask.filled((5, 5, 9, 7))
    assert eroded(thin, 1, H, W) == thin


def test_eroded_masks_keep_the_labels(tmp_path):
    """The predicted masks are the eroded ones, the true ones those of the file."""
    masks = [box_mask(H, W, 2, 2, 20, 20), box_mask(H, W, 20, 2, 38, 20)]
    rles = [WindowMask.from_array(mask).to_rle(H, W) for mask in masks]
    path = tmp_path / "true.json"
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "height": H, "width": W, "file_name": "1.jpg"}],
                "categories": [{"id": 1, "name": "thing"}],
                "annotations": [
                    {
                        "id": 7 + n,
                        "image_id": 1,
                        "category_id": 1,
                        "segmentation": rle,
                        "inmodal_seg": rle,
                    }
                    for n, rle in enumerate(rles)
                ],
            }
        )
    )
    name = ensure_registered(f"kins:{path}")
    results = tmp_path / "eroded.json"
    results.write_text(json.dumps(PROGRAM["results_of"](records_of(name), 1)))
    tested = ensure_registered(f"predicted:{results}@{name}")
    scene, truth = scene_from_record(records_of(tested)[0])
    assert scene.modal_masks == [WindowMask.filled(b) for b in ((3, 3, 19, 19), (21, 3, 37, 19))]
    assert [m.to_array(H, W).tolist() for m in truth.modal_masks] == [m.tolist() for m in masks]
    assert np.array_equal(scene.instance_ids, [7, 8])
