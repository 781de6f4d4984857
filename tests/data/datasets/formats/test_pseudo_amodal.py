"""What a file of pasted objects says about its photos and masks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.data.datasets.segmentation import InvalidAnnotation
from deocclusion_d2.data.instance_table import InstanceTable
from deocclusion_d2.data.scenes import scene_from_record

SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


def write(folder: Path, **image: object) -> str:
    """Two objects in one image, of the second of which nobody knows the whole."""
    annotations = [
        {
            "id": 1 + n,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "segmentation": SQUARE,
            "modal_segmentation": SQUARE,
            "amodal_exact": n == 0,
        }
        for n in range(2)
    ]
    path = folder / "pairs.json"
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 20, "width": 20, **image}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": annotations,
    }
    path.write_text(json.dumps(document))
    return str(path)


def test_the_photo_before_is_seen_from_the_folder_of_images(tmp_path: Path):
    path = write(tmp_path, source_image="../photos/b.jpg")
    (record,) = load_dataset_dicts(path, "d/images", "pseudo_amodal")
    assert record["source_image"] == os.path.join("d", "photos", "b.jpg")
    (plain,) = load_dataset_dicts(write(tmp_path), "d/images", "pseudo_amodal")
    assert "source_image" not in plain


def test_a_photo_that_is_no_path(tmp_path: Path):
    """It is this format's key: in others it may mean anything."""
    path = write(tmp_path, source_image=5)
    with pytest.raises(InvalidAnnotation, match=r"pairs.json: image 1 .a.jpg.: 'source_image' is"):
        load_dataset_dicts(path, "d", "pseudo_amodal")
    assert "source_image" not in load_dataset_dicts(path, "d", "coco", "modal")[0]


def test_masks_that_are_not_the_whole_object(tmp_path: Path):
    records = load_dataset_dicts(write(tmp_path), "d", "pseudo_amodal")
    _, truth = scene_from_record(records[0])
    assert [truth.knows_whole(row) for row in (0, 1)] == [True, False]
    assert len(InstanceTable(records)) == 2
    amodal = InstanceTable(records, columns=["amodal"])
    assert len(amodal) == 1 and amodal.unknown == 1
