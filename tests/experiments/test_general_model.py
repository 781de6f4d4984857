"""The network of the package, made from the beginning at the smallest size."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deocclusion_d2 import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments import general_model
from deocclusion_d2.experiments.general_model import GeneralModelSettings, make_general_model
from deocclusion_d2.pretrained import find_pretrained

TINY = (
    *("MODEL.PCNET_M.WIDTH", "0.25", "INPUT.INSTANCE_CROP.SIZE", "32", "MODEL.DEVICE", "cpu"),
    *("SOLVER.MAX_ITER", "2", "SOLVER.IMS_PER_BATCH", "4", "DATALOADER.NUM_WORKERS", "0"),
    *("VIS_PERIOD", "0", "DEOCCLUSION.ORDERING_PRIOR", ""),
)


@pytest.fixture
def photos(tmp_path):
    """COCO's annotations of three images, of which the list names two: one object in each."""
    content = {
        "images": [
            {"id": i, "height": 60, "width": 80, "file_name": f"{i}.jpg"} for i in (3, 5, 8)
        ],
        "annotations": [
            {
                "id": 10 * i,
                "image_id": i,
                "category_id": 44,
                "iscrowd": 0,
                "bbox": [i, 10, 30, 40],
                "area": 1200,
                "segmentation": [[i, 10, i + 30, 10, i + 30, 50, i, 50]],
            }
            for i in (3, 5, 8)
        ],
        "categories": [{"id": 44, "name": "bottle"}],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    return path


def test_from_annotations_to_a_network_that_is_found(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(general_model, "image_ids", lambda: [3, 8])
    settings = GeneralModelSettings((photos,), street_images=1, shape_scenes=2, opts=TINY)
    folder = tmp_path / "packed"
    manifest = make_general_model(settings, tmp_path / "stages", folder)
    assert json.loads((folder / "manifest.json").read_text()) == manifest
    assert manifest["iterations"] == 2 and manifest["trained_on"][0]["data"].endswith("2 images")
    used = json.loads(
        next(tmp_path.glob("stages/stages/coco_general-*/instances.json")).read_text()
    )
    assert [image["id"] for image in used["images"]] == [3, 8]
    # The manifest names the package's config, whose width is another one.
    with pytest.raises(UserError, match="MODEL.WEIGHTS do not fit this config"):
        Deoccluder.from_pretrained(folder)
    deoccluder = Deoccluder.from_pretrained(folder, TINY)
    masks = np.zeros((2, 40, 40), dtype=bool)
    masks[0, 5:30, 5:20], masks[1, 10:35, 20:38] = True, True
    assert len(deoccluder.predict(masks).graph.edges) <= 1
    # What is there is not made again, and gives the same network.
    weights = (folder / manifest["weights"]).stat().st_size
    again = make_general_model(settings, tmp_path / "stages", tmp_path / "again")
    assert again["bytes"] == weights
    assert find_pretrained(tmp_path / "again").weights.stat().st_size == weights
