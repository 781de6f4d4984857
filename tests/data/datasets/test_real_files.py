"""The real files beside the project, where they are there."""

from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_util

from deocclusion_d2.data.datasets import load_dataset_dicts


def test_kitti_mots_train(real_data: Path) -> None:
    path = str(real_data / "kitti_mots/train.json")
    records = load_dataset_dicts(path, "images", "coco", "modal")
    annotations = [a for record in records for a in record["annotations"]]
    assert (len(records), len(annotations)) == (3673, 20260)
    assert {a["dataset_category_id"] for a in annotations} == {2, 4}
    for annotation in annotations[::500]:
        assert annotation["bbox"] == mask_util.toBbox(annotation["segmentation"]).tolist()


def test_kitti_mots_dev_with_labels(real_data: Path) -> None:
    folder = real_data / "kitti_mots"
    records = load_dataset_dicts(
        str(folder / "dev.json"),
        str(folder / "images"),
        "coco",
        "modal",
        str(folder / "dev_labels.json"),
    )
    annotations = [a for record in records for a in record["annotations"]]
    assert (len(records), len(annotations)) == (847, 6639)
    labelled = [a for a in annotations if "amodal_bbox" in a]
    assert len(labelled) == 6627
    assert all({"depth", "occlusion_level", "truncated"} <= set(a) for a in labelled)
    assert {a["occlusion_level"] for a in labelled} <= {0, 1, 2, 3}
    assert Path(records[0]["file_name"]).is_file(), "sequence 0000 has images"


def test_coco_crowd(real_data: Path) -> None:
    path = str(real_data / "coco_crowd/instances.json")
    records = load_dataset_dicts(path, str(real_data / "coco_crowd/images"), "coco", "modal")
    annotations = [a for record in records for a in record["annotations"]]
    assert (len(records), len(annotations)) == (648, 6846)
    assert sum(a["iscrowd"] for a in annotations) == 89
    assert all(Path(record["file_name"]).is_file() for record in records)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_cocoa_scenes(real_data: Path, number: int) -> None:
    folder = real_data / "cocoa_scenes"
    (record,) = load_dataset_dicts(str(folder / f"{number}.json"), str(folder), "cocoa")
    assert record["file_name"] == str(folder / f"{number}.jpg")
    annotations = record["annotations"]
    assert len(annotations) == [2, 11, 19, 10, 6][number - 1]
    for annotation in annotations:
        modal = mask_util.decode(annotation["modal_segmentation"])
        amodal = mask_util.decode(annotation["amodal_segmentation"])
        assert modal.shape == amodal.shape == (record["height"], record["width"])
        if annotation["occlude_rate"] == 0:
            assert np.array_equal(modal, amodal)
        else:
            hidden = 1 - np.count_nonzero(modal & amodal) / np.count_nonzero(amodal)
            # The data set rasterised its polygons in another way.
            assert hidden == pytest.approx(annotation["occlude_rate"], abs=0.03)
