"""Whatever looks at colours refuses a photo that does not fit its masks, and names it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from detectron2.engine import default_argument_parser
from PIL import Image

from deocclusion_d2.config import load_config
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.loaders import build_scene_test_loader
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.engine.train import train
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.systems import system_of
from deocclusion_d2.visualization import by_deoccluder, render_records
from tests.helpers import box_mask
from tests.systems.tiny import tiny_options

H, W = 40, 60


def kins(folder: Path) -> str:
    """A KINS file of one image; its name as a data set."""
    annotations = []
    for number, (x0, y0, x1, y1) in enumerate([(5, 5, 25, 25), (22, 10, 42, 30)], 1):
        rle = WindowMask.from_array(box_mask(H, W, x0, y0, x1, y1)).to_rle(H, W)
        modal = box_mask(H, W, 25 if number == 2 else x0, y0, x1, y1)
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "segmentation": rle,
                "inmodal_seg": WindowMask.from_array(modal).to_rle(H, W),
            }
        )
    document = {
        "images": [{"id": 1, "file_name": "1.png", "height": H, "width": W}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": annotations,
    }
    (folder / "data.json").write_text(json.dumps(document))
    return f"kins:{folder / 'data.json'}@{folder}"


def another_size(path: Path) -> None:
    Image.fromarray(np.zeros((H, W + 1, 3), np.uint8)).save(path)


def stored_turned(path: Path) -> None:
    """The masks fit the stored pixels, and EXIF turns them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((H, W, 3), np.uint8)).save(path, exif=exif)


def sixteen_bits(path: Path) -> None:
    cv2.imwrite(str(path), np.full((H, W), 30000, np.uint16))


def transparent(path: Path) -> None:
    Image.fromarray(np.zeros((H, W, 4), np.uint8)).save(path)


def cut(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (H, W, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:3000])


FAULTS = {
    another_size: "the photo is 61 x 40 pixels, its masks in the annotations are 60 x 40",
    stored_turned: r"EXIF orientation \(6\)",
    sixteen_bits: "more than 8 bits",
    transparent: "transparent pixels",
    cut: "not a readable picture",
}
CONFIGS = {
    "pcnet_m_kins_quick.yaml": (
        "MODEL.PCNET_M.USE_RGB",
        "True",
        "INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS",
        "False",
    ),
    "order_net_mi_kins_quick.yaml": (),
    "modal_unet_kins_quick.yaml": (),
    "pcnet_c_kins_quick.yaml": (),
}


@pytest.fixture(params=FAULTS, ids=lambda fault: fault.__name__)
def faulty(request, tmp_path) -> tuple[str, str]:
    """A data set whose photo does not fit, and what messages say of it."""
    request.param(tmp_path / "1.png")
    return kins(tmp_path), rf"^{tmp_path}/1\.png: .*{FAULTS[request.param]}"


@pytest.mark.parametrize("config", CONFIGS)
def test_training(config, faulty):
    name, message = faulty
    small = [*tiny_options(config), *CONFIGS[config], "SOLVER.IMS_PER_BATCH", "1"]
    cfg = load_config(config, ["DATASETS.TRAIN", f"('{name}',)", *small])
    with pytest.raises(UserError, match=message):
        next(iter(system_of(cfg).network.train_loader(cfg)))


def test_evaluation_and_pictures(faulty, tmp_path):
    name, message = faulty
    cfg = load_config("pcnet_m_kins_quick.yaml", ["DATALOADER.NUM_WORKERS", "0"])
    with pytest.raises(UserError, match=message):
        next(iter(build_scene_test_loader(cfg, name, load_images=True)))
    assert next(iter(build_scene_test_loader(cfg, name)))[0]["scene"].image is None
    records = DatasetCatalog.get(ensure_registered(name))
    method = by_deoccluder(Deoccluder.baseline("convex_r"))
    with pytest.raises(UserError, match=message):
        list(render_records(records, method, tmp_path / "out", "title"))


def test_a_training_ends_with_that_line(tmp_path, capsys):
    """Not with what its evaluation would say, which Detectron2 starts all the same."""
    another_size(tmp_path / "1.png")
    name, config = kins(tmp_path), "modal_unet_kins_quick.yaml"
    options = ["DATASETS.TRAIN", f"('{name}',)", "DATASETS.TEST", "('kins:/nowhere.json',)"]
    options += ["OUTPUT_DIR", str(tmp_path / "out"), *tiny_options(config), "SOLVER.MAX_ITER", "1"]
    with pytest.raises(SystemExit):
        train(default_argument_parser().parse_args(["--config-file", config, *options]))
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error: {tmp_path}/1.png: the photo is 61 x 40 pixels")
