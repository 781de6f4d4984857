"""Built-in data sets, names made up on the fly, and what Detectron2 does with them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets.coco import convert_to_coco_json
from pycocotools.coco import COCO

from deocclusion_d2.data.datasets import (
    ensure_registered,
    register_amodal_dataset,
    register_builtin_datasets,
    register_modal_dataset,
)
from deocclusion_d2.errors import UserError

DOCUMENT = {
    "images": [{"id": 7, "file_name": "b.png", "height": 6, "width": 8}],
    "categories": [{"id": 4, "name": "car"}, {"id": 2, "name": "pedestrian"}],
    "annotations": [
        {
            "id": 11,
            "image_id": 7,
            "category_id": 4,
            "segmentation": [[0, 1, 6, 1, 6, 5, 0, 5]],
            "bbox": [0, 1, 6, 4],
            "area": 24,
            "iscrowd": 0,
            # The left column, 4 px high: 1 above, 4, 43 after.
            "inmodal_seg": {"size": [6, 8], "counts": [1, 4, 43]},
            "inmodal_bbox": [0, 1, 1, 4],
        }
    ],
}
ROOT = os.path.expanduser(os.getenv("DETECTRON2_DATASETS", "datasets"))
BUILTIN = {
    "kins_train": ("amodal", "KINS/instances_train.json", "KINS/training/image_2"),
    "kins_val": ("amodal", "KINS/instances_val.json", "KINS/testing/image_2"),
    "kins2020_train": ("amodal", "KINS/update_train_2020.json", "KINS/training/image_2"),
    "kins2020_val": ("amodal", "KINS/update_test_2020.json", "KINS/testing/image_2"),
    "synthetic_kins_train": (
        "amodal",
        "synthetic_KINS/instances_train.json",
        "synthetic_KINS/training/image_2",
    ),
    "synthetic_kins_val": (
        "amodal",
        "synthetic_KINS/instances_val.json",
        "synthetic_KINS/testing/image_2",
    ),
    "generic_shapes_train": (
        "amodal",
        "generic_shapes/instances_train.json",
        "generic_shapes/images",
    ),
    "generic_shapes_val": (
        "amodal",
        "generic_shapes/instances_val.json",
        "generic_shapes/images",
    ),
    "cocoa_val": ("cocoa", "COCOA/annotations/COCO_amodal_val2014.json", "coco/val2014"),
    "cocoa_cls_train": (
        "amodal",
        "COCOA/annotations/COCO_amodal_train2014_with_classes.json",
        "coco/train2014",
    ),
    "d2sa_val": ("amodal", "D2SA/D2S_amodal_validation.json", "D2SA/images"),
    "kitti_mots_train": ("modal", "kitti_mots/train.json", "kitti_mots/images"),
    "kitti_mots_dev": ("kitti_mots_dev", "kitti_mots/dev.json", "kitti_mots/images"),
    "coco_modal_train": ("modal", "coco/annotations/instances_train2017.json", "coco/train2017"),
    "coco_crowd": ("modal", "coco_crowd/instances.json", "coco_crowd/images"),
}


@pytest.fixture
def kins_json(tmp_path: Path) -> str:
    path = tmp_path / "kins.json"
    path.write_text(json.dumps(DOCUMENT))
    return str(path)


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin(name: str) -> None:
    evaluator_type, json_file, image_root = BUILTIN[name]
    modal_only = evaluator_type in ("modal", "kitti_mots_dev")
    register_builtin_datasets()
    for full_name in (name,) if modal_only else (name, f"{name}_modal"):
        assert full_name in DatasetCatalog
        metadata = MetadataCatalog.get(full_name)
        assert metadata.evaluator_type == evaluator_type
        assert metadata.annotation_json == os.path.join(ROOT, json_file)
        assert metadata.image_root == os.path.join(ROOT, image_root)
        assert metadata.view == ("modal" if modal_only or full_name != name else "amodal")
        assert ensure_registered(full_name) == full_name


def test_builtin_leaves_alone_what_is_there() -> None:
    register_builtin_datasets()
    before = MetadataCatalog.get("kins_val").annotation_json
    register_builtin_datasets.cache_clear()
    register_builtin_datasets()
    assert MetadataCatalog.get("kins_val").annotation_json == before


def test_views_on_the_fly(kins_json: str) -> None:
    amodal, modal = f"kins:{kins_json}@/images", f"kins.modal:{kins_json}@/images"
    for name, box in ((amodal, [0, 1, 6, 4]), (modal, [0, 1, 1, 4])):
        assert ensure_registered(name) == name
        assert ensure_registered(name) == name, "a second time"
        (record,) = DatasetCatalog.get(name)
        assert record["file_name"] == "/images/b.png"
        assert record["annotations"][0]["bbox"] == box
        metadata = MetadataCatalog.get(name)
        assert metadata.thing_classes == ["pedestrian", "car"]
        assert metadata.thing_dataset_id_to_contiguous_id == {2: 0, 4: 1}
        assert metadata.evaluator_type == "amodal"
        assert not hasattr(metadata, "json_file"), "evaluators take the dicts as truth"


def test_default_image_root_is_the_folder_of_the_json(
    kins_json: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = os.path.dirname(kins_json)
    name = ensure_registered(f"coco:{kins_json}")
    assert DatasetCatalog.get(name)[0]["file_name"] == os.path.join(folder, "b.png")
    metadata = MetadataCatalog.get(name)
    assert (metadata.view, metadata.evaluator_type) == ("modal", "modal")
    monkeypatch.chdir(folder)
    assert (
        DatasetCatalog.get(ensure_registered("coco.modal:kins.json"))[0]["file_name"] == "./b.png"
    )


def test_last_at_separates(tmp_path: Path) -> None:
    folder = tmp_path / "a@b"
    folder.mkdir()
    (folder / "x.json").write_text(json.dumps(DOCUMENT))
    name = ensure_registered(f"coco:{folder}/x.json@{tmp_path}/images")
    assert DatasetCatalog.get(name)[0]["file_name"] == f"{tmp_path}/images/b.png"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kins_trian", "'kins_trian' is not registered; register it, or name a JSON"),
        ("kins:", "is not registered"),
        ("kinz:{json}", "unknown annotation format 'kinz'; the known ones are coco, "),
        ("kins.visible:{json}", "only '.modal' may stand"),
        ("kins:{json}.gone", "there is no file '{json}.gone'"),
        ("kins:@{json}", "there is no file ''"),
    ],
)
def test_bad_names(kins_json: str, name: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        ensure_registered(name.format(json=kins_json))
    assert expected.format(json=kins_json) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_functions_are_lazy_and_check_their_arguments() -> None:
    register_amodal_dataset("lazy_amodal", "gone.json", "images", format="cocoa", view="modal")
    register_modal_dataset("lazy_modal", "gone.json", "images")
    assert MetadataCatalog.get("lazy_amodal").evaluator_type == "cocoa"
    assert MetadataCatalog.get("lazy_modal").evaluator_type == "modal"
    with pytest.raises(UserError, match="gone.json"):
        DatasetCatalog.get("lazy_modal")
    with pytest.raises(UserError, match="no amodal masks"):
        register_amodal_dataset("bad", "gone.json", "images", format="coco")
    assert "bad" not in DatasetCatalog


# ---------------------------------------------------------------- with Detectron2's evaluator


def ground_truth(name: str, output_dir: Path) -> COCO:
    """What Detectron2's COCOEvaluator takes as ground truth."""
    metadata = MetadataCatalog.get(name)
    DatasetCatalog.get(name)
    path = os.path.join(output_dir, f"{name}_coco_format.json")
    metadata.json_file = path
    convert_to_coco_json(name, path)
    return COCO(path)


@pytest.mark.parametrize(("kind", "area"), [("kins", 24), ("kins.modal", 4)])
def test_ground_truth_of_coco_evaluator(
    kins_json: str, tmp_path: Path, kind: str, area: int
) -> None:
    truth = ground_truth(ensure_registered(f"{kind}:{kins_json}"), tmp_path / "out")
    (annotation,) = truth.loadAnns(truth.getAnnIds())
    assert (annotation["category_id"], annotation["image_id"]) == (4, 7)
    assert annotation["area"] == area
    mask = truth.annToMask(annotation)
    expected = np.zeros((6, 8))
    expected[1:5, : 6 if kind == "kins" else 1] = 1
    assert np.array_equal(mask, expected)


def test_keys_that_coco_eval_would_miss(tmp_path: Path) -> None:
    """LVIS has no iscrowd: the dicts are the truth, not the file."""
    annotation = {k: v for k, v in DOCUMENT["annotations"][0].items() if k != "iscrowd"}
    path = tmp_path / "lvis.json"
    path.write_text(json.dumps({**DOCUMENT, "annotations": [annotation]}))
    truth = ground_truth(ensure_registered(f"coco:{path}"), tmp_path / "out")
    assert truth.loadAnns(truth.getAnnIds())[0]["iscrowd"] == 0
