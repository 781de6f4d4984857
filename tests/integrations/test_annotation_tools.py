"""Converted files in Datumaro, through whose reader of COCO CVAT takes them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.structures import WindowMask

dm = pytest.importorskip("datumaro")


@pytest.fixture(params=["rle", "polygons"])
def converted(request, masks, tmp_path):
    """Folder of a converted data set as Datumaro wants it, and the output."""
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 48, "width": 64}],
        "categories": [{"id": 1, "name": "box"}],
        "annotations": [
            {
                "id": k + 5,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "segmentation": WindowMask.from_array(mask).to_rle(48, 64),
                "attributes": {"colour": "red"},
            }
            for k, mask in enumerate(masks)
        ],
    }
    (tmp_path / "modal.json").write_text(json.dumps(document))
    (tmp_path / "annotations").mkdir()
    output = tmp_path / "annotations" / "instances_train.json"
    job = ConversionJob(
        tmp_path / "modal.json", output, method="convex_r", segmentation=request.param
    )
    convert(job)
    (tmp_path / "modal.json").unlink()
    return tmp_path, json.loads(output.read_text())


def read(folder):
    (item,) = dm.Dataset.import_from(str(folder), "coco")
    return item


def test_attributes_arrive(converted):
    folder, written = converted
    item = read(folder)
    for annotation in written["annotations"]:
        found = [a for a in item.annotations if a.id == annotation["id"]]
        assert found
        for shape in found:
            assert shape.attributes == {**annotation["attributes"], "is_crowd": False}
    assert {a.attributes["occluded"] for a in item.annotations} == {True, False}
    assert all(a.attributes["colour"] == "red" for a in item.annotations)


@pytest.mark.parametrize("converted", ["polygons"], indirect=True)
def test_cvat_draws_by_z_order_once_datumaro_is_told(converted, tmp_path):
    """As docs/INTEGRATIONS.md does it: Datumaro's reader of COCO leaves it an attribute."""
    folder, _ = converted
    dataset = dm.Dataset.import_from(str(folder), "coco")
    items = [
        item.wrap(annotations=[a.wrap(z_order=a.attributes["z_order"]) for a in item.annotations])
        for item in dataset
    ]
    ordered = dm.Dataset.from_iterable(items, categories=dataset.categories())
    ordered.export(str(tmp_path / "cvat"), "cvat")
    (file,) = (tmp_path / "cvat").rglob("*.xml")
    shapes = {e.get("occluded"): e.get("z_order") for e in ElementTree.parse(file).iter("polygon")}
    assert shapes == {"1": "0", "0": "1"}
