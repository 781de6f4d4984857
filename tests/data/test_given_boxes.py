"""Boxes of whole objects that somebody gives: from annotations and from arrays into the result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deocclusion_d2 import Deoccluder
from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask


def written(folder: Path, boxes: list) -> Path:
    """A COCO file of one image, an annotation for each box; None: no key."""
    mask = WindowMask.filled((10, 10, 20, 20))
    annotations = [
        {
            "id": row,
            "image_id": 1,
            "category_id": 1,
            "segmentation": mask.to_rle(40, 60),
            **({} if box is None else {"amodal_bbox": box}),
        }
        for row, box in enumerate(boxes)
    ]
    path = folder / "modal.json"
    document = {
        "images": [{"id": 1, "height": 40, "width": 60, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": annotations,
    }
    path.write_text(json.dumps(document))
    return path


def test_from_annotations(tmp_path, caplog):
    """[x, y, w, h], maybe beyond the image; what is no box is left out, and that is said."""
    given = [[5, 6, 20, 30], None, "a box", [1, 2, 3], [0, 0, 0, 5], [-9, 0, 90, 50.5]]
    records = load_dataset_dicts(str(written(tmp_path, given)), "", "coco", "modal")
    scene, truth = scene_from_record(records[0])
    assert scene.amodal_boxes[0].tolist() == [5, 6, 25, 36]
    assert scene.amodal_boxes[5].tolist() == [-9, 0, 81, 50.5]
    assert np.isnan(scene.amodal_boxes[1:5]).all()
    assert truth.amodal_boxes is None
    assert "3" in caplog.text and "it is not looked at" in caplog.text
    records = load_dataset_dicts(str(written(tmp_path, [None])), "", "coco", "modal")
    assert scene_from_record(records[0])[0].amodal_boxes is None


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 0, 1, 1]], "give one box .* for each of 2 masks"),
        ("boxes", "give one box"),
        ([[0, 0, 1, 1], [5, 5, 5, 9]], r"row 1 is \[5.0, 5.0, 5.0, 9.0\], but x1 and y1 must be"),
    ],
)
def test_arrays_that_are_no_boxes(boxes, message: str):
    masks = np.zeros((2, 30, 30), bool)
    masks[:, 5:9, 5:9] = True
    with pytest.raises(UserError, match=message):
        Deoccluder.baseline("raw").predict(masks, amodal_boxes=boxes)


def test_boxes_of_masks_of_high_score_alone():
    """They follow the masks that take part."""
    masks = [
        {
            "image_id": 1,
            "segmentation": WindowMask.filled(box).to_rle(30, 30),
            "category_id": 1,
            "score": score,
        }
        for box, score in (((0, 0, 5, 5), 0.2), ((10, 10, 15, 15), 0.9))
    ]
    result = Deoccluder.baseline("raw").predict(masks, amodal_boxes=[[0, 0, 9, 9], [np.nan] * 4])
    assert result.rows == [1] and np.isnan(result.scene.amodal_boxes).all()
    result = Deoccluder.baseline("raw").predict(
        masks, amodal_boxes=[[0, 0, 9, 9], [10, 10, 20, 25]]
    )
    assert result.scene.amodal_boxes.tolist() == [[10, 10, 20, 25]]
