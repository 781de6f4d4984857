"""Modal masks of photos from annotations of every format, COCO results and a detector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Instances
from torch import nn

from deocclusion_d2.config import load_config
from deocclusion_d2.data.datasets import register_builtin_datasets
from deocclusion_d2.decomposition import open_masks
from deocclusion_d2.decomposition.detector import Detector
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask

HEIGHT, WIDTH = 20, 30
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
LEFT, RIGHT = WindowMask.filled((2, 3, 12, 9)), WindowMask.filled((12, 3, 20, 9))
ALL = WindowMask.filled((2, 3, 16, 9))


def rle(mask: WindowMask, height: int = HEIGHT, width: int = WIDTH) -> dict:
    return mask.to_rle(height, width)


def coco(annotations: list[dict], names=("a.jpg",)) -> dict:
    images = [
        {"id": k, "height": HEIGHT, "width": WIDTH, "file_name": name}
        for k, name in enumerate(names, 1)
    ]
    for number, annotation in enumerate(annotations, 1):
        annotation.setdefault("image_id", 1)
        annotation.update(id=number, iscrowd=0, category_id=4, bbox=[2, 3, 10, 6], area=60)
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 4, "name": "car"}],
    }


def write(path: Path, document) -> str:
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("format_name", "first", "second"),
    [
        ("coco", {"segmentation": rle(LEFT)}, {"segmentation": rle(RIGHT)}),
        (
            "kins",
            {"segmentation": rle(ALL), "inmodal_seg": rle(LEFT), "inmodal_bbox": [2, 3, 10, 6]},
            {"segmentation": rle(RIGHT), "inmodal_seg": rle(RIGHT), "inmodal_bbox": [12, 3, 8, 6]},
        ),
        (
            "cocoa_cls",
            {"segmentation": rle(ALL), "visible_mask": rle(LEFT), "occlude_rate": 0.2},
            {"segmentation": rle(RIGHT), "occlude_rate": 0},
        ),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_formats_are_told_from_the_keys_or_named(tmp_path, format_name, first, second, named):
    path = write(tmp_path / "m.json", coco([first, second]))
    masks = open_masks(f"{format_name}:{path}@{tmp_path}" if named else path)
    photo = masks(Path("somewhere/a.jpg"), IMAGE)
    assert photo.scene.modal_masks == [LEFT, RIGHT]
    assert photo.categories == ["car", "car"]
    assert photo.scene.image is IMAGE
    assert photo.scene.file_name == "somewhere/a.jpg"
    assert photo.scene.category_ids.tolist() == [4, 4]


def cocoa_entry() -> dict:
    square = [2.0, 3.0, 12.0, 3.0, 12.0, 9.0, 2.0, 9.0]
    regions = [
        {"segmentation": rle(RIGHT), "name": "mug ", "isStuff": 0, "order": 1},
        {"segmentation": square, "name": "floor", "isStuff": 1, "order": 2},
    ]
    return {"id": 7, "image_id": 5, "url": "http://x/COCO_5.jpg", "regions": regions}


def test_one_cocoa_scene_belongs_to_any_photo(tmp_path):
    path = write(tmp_path / "scene.json", cocoa_entry())
    photo = open_masks(path)(Path("b/other.jpg"), IMAGE)
    assert photo.categories == ["mug", "floor"]
    assert photo.scene.modal_masks[0] == RIGHT and photo.scene.modal_masks[1].area >= 60
    things = open_masks(path, things_only=True)(Path("b/other.jpg"), IMAGE)
    assert things.categories == ["mug"] and things.scene.modal_masks == [RIGHT]


def refusal(masks, path="a.jpg", image=IMAGE) -> str:
    with pytest.raises(UserError) as error:
        masks(Path(path), image)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def test_photos_are_matched_by_the_end_of_their_path(tmp_path):
    names = ("0000/000001.jpg", "0009/000001.jpg", "0009/000002.jpg")
    annotations = [{"segmentation": rle(LEFT), "image_id": k} for k in (1, 2)]
    masks = open_masks(write(tmp_path / "m.json", coco(annotations, names)))
    found = masks(Path("/d/0009/000001.jpg"), IMAGE).scene
    assert found.image_id == 2
    assert "0000/000001.jpg" in refusal(masks, "/d/0011/000001.jpg")
    # One file of this name, but names repeat between the folders of this data set.
    assert "other folders" in refusal(masks, "/d/0000/000002.jpg")
    assert "no image of this name" in refusal(masks, "/d/0000/000003.jpg")


def test_masks_of_another_size(tmp_path):
    text = refusal(
        open_masks(write(tmp_path / "m.json", coco([{"segmentation": rle(LEFT)}]))),
        image=np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8),
    )
    assert "31 x 20" in text and "30 x 20" in text and "m.json" in text


def results(image_ids=(1, 1)) -> list[dict]:
    return [
        {"image_id": image_ids[0], "category_id": 4, "score": 0.9, "segmentation": rle(ALL)},
        {"image_id": image_ids[1], "category_id": 9, "score": 0.6, "segmentation": rle(RIGHT)},
        {"image_id": image_ids[1], "category_id": 4, "score": 0.2, "segmentation": rle(RIGHT)},
    ]


def test_results_of_one_image(tmp_path):
    photo = open_masks(write(tmp_path / "r.json", results()))(Path("b.jpg"), IMAGE)
    assert photo.scene.modal_masks == [ALL, RIGHT - ALL]
    assert photo.categories == ["category4", "category9"]
    all_scores = open_masks(str(tmp_path / "r.json"), min_score=0.1)(Path("b.jpg"), IMAGE)
    assert len(all_scores.scene) == 3
    text = refusal(open_masks(str(tmp_path / "r.json")), image=IMAGE[1:])
    assert "30 x 19" in text and "r.json" in text


def test_results_with_the_file_of_their_images(tmp_path):
    path = write(tmp_path / "r.json", results((1, 2)))
    document = coco([], ("a.jpg", "sub/b.jpg", "c.jpg"))
    document["categories"].append({"id": 9, "name": "bike"})
    images = write(tmp_path / "i.json", document)
    masks = open_masks(f"{path}@{images}")
    assert masks(Path("a.jpg"), IMAGE).scene.modal_masks == [ALL]
    assert masks(Path("x/b.jpg"), IMAGE).categories == ["bike"]
    assert len(masks(Path("c.jpg"), IMAGE).scene) == 0
    assert "no image of this name" in refusal(masks, "d.jpg")
    # Without it, image ids may be file names.
    plain = open_masks(path)
    assert plain(Path("d/000002.jpg"), IMAGE).scene.modal_masks == [RIGHT]
    assert "IMAGES_JSON" in refusal(plain, "b.jpg")


def test_results_of_frames_with_one_name(tmp_path):
    """Image ids may be texts; the folder tells which frame is meant."""
    images = coco([], ("0000/1.jpg", "0009\\1.jpg", "0009/2.jpg"))
    entries = [
        {"image_id": str(k), "category_id": 4, "score": 0.9, "segmentation": rle(mask)}
        for k, mask in ((1, LEFT), (2, RIGHT))
    ]
    results = write(tmp_path / "r@1.json", entries)
    masks = open_masks(f"{results}@{write(tmp_path / 'i.json', images)}")
    assert masks(Path("x/0000/1.JPG"), IMAGE).scene.modal_masks == [LEFT]
    assert masks(Path("x/0009/1.jpg"), IMAGE).scene.modal_masks == [RIGHT]
    with pytest.raises(UserError, match="other folders, such as 0000/1.jpg"):
        masks(Path("elsewhere/1.jpg"), IMAGE)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"images": []}, "no list 'annotations'"),
        ({"annotations": [{"id": 1}]}, "cannot be told"),
        ("[", "not a JSON file"),
    ],
)
def test_files_without_masks(tmp_path, document, message):
    path = tmp_path / "m.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(UserError, match=message) as error:
        open_masks(str(path))
    assert "m.json" in str(error.value) and "\n" not in str(error.value)


def test_built_in_data_sets_are_known():
    register_builtin_datasets.cache_clear()
    if "d2sa_val" in DatasetCatalog:
        DatasetCatalog.remove("d2sa_val")
    with pytest.raises(UserError, match="D2S_amodal_validation.json: there is no such annotation"):
        open_masks("d2sa_val")


def test_masks_that_are_nowhere():
    with pytest.raises(UserError, match="nowhere.json: there is no such file"):
        open_masks("nowhere.json")


class FakeNetwork(nn.Module):
    """Finds an object in the left half and, less surely, one everywhere."""

    def __init__(self, masks: bool = True) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, batch):
        (self.given,) = batch
        size = (self.given["height"], self.given["width"])
        found = Instances(size)
        found.scores = torch.tensor([0.9, 0.7, 0.1])
        found.pred_classes = torch.tensor([1, 0, 0])
        if self.masks:
            found.pred_masks = torch.ones(3, *size, dtype=torch.bool)
            found.pred_masks[0, :, size[1] // 2 :] = False
        return [{"instances": found}]


def detector_config(name: str):
    cfg = load_config(None)
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 40, 1000
    cfg.DATASETS.TEST = (name,)
    return cfg


def test_a_detector_finds_the_masks():
    MetadataCatalog.get("two_classes_of_a_detector").set(
        thing_classes=["person", "car"], thing_dataset_id_to_contiguous_id={2: 0, 4: 1}
    )
    image = IMAGE.copy()
    image[..., 0] = 200
    network = FakeNetwork()
    detect = Detector(detector_config("two_classes_of_a_detector"), 0.5, True, network)
    photo = detect(Path("a.jpg"), image)
    left = WindowMask.filled((0, 0, WIDTH // 2, HEIGHT))
    assert photo.scene.modal_masks == [left, WindowMask.filled((0, 0, WIDTH, HEIGHT)) - left]
    assert photo.categories == ["car", "person"]
    assert photo.scene.category_ids.tolist() == [4, 2]
    # Resized to the shortest side of the config, in its order of colours: BGR.
    assert network.given["image"].shape == (3, 40, 60)
    assert network.given["image"][:, 5, 5].tolist() == [0, 0, 200]


def test_a_detector_without_masks():
    detect = Detector(detector_config("two_classes_of_a_detector"), 0.5, False, FakeNetwork(False))
    with pytest.raises(UserError, match="finds no masks"):
        detect(Path("a.jpg"), IMAGE)


def test_a_network_that_finds_nothing_is_no_detector():
    with pytest.raises(UserError, match="--detector: PCNetM finds no objects"):
        Detector.from_files("pcnet_m_kins.yaml", None, (), 0.5, False)


def test_a_detector_reads_categories_from_a_data_set_that_is_not_loaded(tmp_path):
    document = coco([])
    document["categories"] = [{"id": 9, "name": "bike"}, {"id": 4, "name": "car"}]
    name = f"coco:{write(tmp_path / 'c.json', document)}"
    photo = Detector(detector_config(name), 0.5, True, FakeNetwork())(Path("a.jpg"), IMAGE)
    assert photo.categories == ["bike", "car"]
    assert photo.scene.category_ids.tolist() == [9, 4]


def test_a_detector_of_unknown_categories():
    cfg = detector_config("data_set_that_is_nowhere")
    photo = Detector(cfg, 0.5, False, FakeNetwork())(Path("a.jpg"), IMAGE)
    assert photo.categories == ["class1", "class0"]
    with pytest.raises(UserError, match="DATASETS.TEST = .*data_set_that_is_nowhere"):
        Detector(cfg, 0.5, True, FakeNetwork())
