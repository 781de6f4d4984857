"""SeGAN's boxes and training samples, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2 import load_config
from deocclusion_d2.engine.trainer import Trainer
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import SquareCrop, WindowMask
from deocclusion_d2.systems.segan.box_crop import NEUTRAL, BoxCrop
from deocclusion_d2.systems.segan.mapper import Views
from tests.helpers import box_mask

H, W = 40, 60


def test_the_expanded_box():
    box = BoxCrop.around((100, 100, 200, 200), (0.2,) * 4, (500, 500))
    assert box.box == (80, 80, 220, 220)
    assert BoxCrop.around((10, 0, 30, 10), (0.5, 0.1, 1.0, 0.3), (12, 35)).box == (0, 0, 35, 12)


def test_a_square_holds_the_box():
    box = BoxCrop((10, 20, 60, 30))
    assert box.held_by(SquareCrop(0, 0, 80)) == SquareCrop(0, 0, 80)
    # Ten pixels are missing at the right: as many are added on all sides.
    assert box.held_by(SquareCrop(0, 0, 50)) == SquareCrop(-10, -10, 70)
    assert box.held_by(SquareCrop(15, 25, 100)) == SquareCrop(10, 20, 110)


def test_a_patch_and_the_way_back():
    mask = WindowMask.from_array(box_mask(H, W, 15, 10, 25, 30))
    box = BoxCrop((10, 5, 50, 35))  # 40 x 30 pixels
    patch = box.sample(mask, 60)
    assert patch.shape == (60, 60) and patch.mean() == pytest.approx(mask.area / 1200, abs=0.03)
    assert box.paste(patch.astype(np.float32), 0.5) == mask
    assert np.array_equal(box.sample(mask, 60, flip=True), patch[:, ::-1])
    # Of a smaller patch a pixel is the object's that is so by half.
    assert BoxCrop((0, 0, 8, 4)).sample(WindowMask.filled((0, 0, 3, 4)), 2).tolist() == [
        [True, False],
        [True, False],
    ]
    assert BoxCrop((0, 0, 8, 4)).sample(WindowMask.filled((0, 0, 1, 4)), 2).tolist() == [
        [False, False],
        [False, False],
    ]


def test_what_the_segmentor_sees():
    """All of the photo, or the square around the object; the box is in its pixels."""
    image = np.zeros((H, W, 3), np.uint8)
    image[10:30, 15:25] = 200
    modal = WindowMask.from_array(box_mask(H, W, 15, 10, 25, 30))
    box, square = BoxCrop((13, 6, 27, 34)), SquareCrop(0, 0, 40)
    seen = Views("image", input_size=120).input(image, modal, box, square)
    # 60 x 40 pixels become 120 x 120.
    assert seen["box"].tolist() == [26, 18, 54, 102]
    assert seen["modal_mask"].nonzero()[1].min() == 30 and seen["modal_mask"].sum() == 20 * 60
    assert (seen["image"][..., 0] > 100).sum() == pytest.approx(20 * 60, rel=0.1)
    turned = Views("image", input_size=120).input(image, modal, box, square, flip=True)
    assert turned["box"].tolist() == [66, 18, 94, 102]
    assert np.array_equal(turned["modal_mask"], seen["modal_mask"][:, ::-1])
    assert np.array_equal(turned["image"], seen["image"][:, ::-1])
    seen = Views("crop", input_size=80).input(image, modal, box, square)
    assert seen["box"].tolist() == [26, 12, 54, 68] and seen["modal_mask"].sum() == 20 * 40
    with pytest.raises(UserError, match="CONTEXT = 'photo': use image or crop"):
        Views.from_config(load_config("segan_segment_kins", ["MODEL.SEGAN.CONTEXT", "photo"]))


def rendered(folder, with_colours: bool = True) -> str:
    """Two grey cars, the left half of one behind the other: what is hidden of it is red."""
    image = np.full((H, W, 3), 30, np.uint8)
    image[10:30, 20:40] = 100
    image[8:32, 10:30] = 180
    Image.fromarray(image).save(folder / "1.png")
    whole = np.full((20, 20, 4), 255, np.uint8)
    whole[..., :3] = 100
    whole[:, :10, :3] = (200, 0, 0)
    Image.fromarray(whole).save(folder / "whole.png")
    annotations = []
    for number, (amodal, modal) in enumerate(
        (((20, 10, 40, 30), (30, 10, 40, 30)), ((10, 8, 30, 32), (10, 8, 30, 32)))
    ):
        masks = [WindowMask.filled(box) for box in (amodal, modal)]
        annotations.append(
            {
                "id": number + 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": masks[0].to_rle(H, W),
                "bbox": masks[0].xywh,
                "inmodal_seg": masks[1].to_rle(H, W),
                "inmodal_bbox": masks[1].xywh,
            }
        )
    if with_colours:
        annotations[0] |= {"full_object": "whole.png", "full_object_box": [20, 10, 20, 20]}
    document = {
        "images": [{"id": 1, "file_name": "1.png", "height": H, "width": W}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": annotations,
    }
    (folder / "data.json").write_text(json.dumps(document))
    return f"kins:{folder}/data.json@{folder}"


def first_batch(folder, stage: str, *opts: str, with_colours: bool = True) -> dict:
    name = rendered(folder, with_colours)
    small = ["DATASETS.TRAIN", f"('{name}',)", "SOLVER.IMS_PER_BATCH", "2", "MODEL.DEVICE", "cpu",
             "DATALOADER.NUM_WORKERS", "0", "INPUT.INSTANCE_CROP.FLIP_PROB", "0.0",
             "MODEL.SEGAN.EXPAND", "(0.5,0.5)", "MODEL.WEIGHTS", ""]  # fmt: skip
    cfg = load_config(f"segan_{stage}_kins_quick", [*small, *opts])
    return next(iter(Trainer.build_train_loader(cfg)))


def test_a_training_sample(tmp_path):
    batch = first_batch(tmp_path, "paint")
    # The occludee's box: 10 x 20 pixels at (30, 10), and half of that on each side.
    row = int(batch["crop_modal"].float().mean(dim=(1, 2)).argmin())
    red = batch["crop_full"][row].float()
    side = red.shape[0]
    # In the box (25, 0, 45, 40) the hidden part is seen from 25 to 30: a quarter of its width.
    assert red[side // 2, : side // 4].mean(dim=0).tolist() == pytest.approx([200, 0, 0], abs=8)
    assert red[side // 2, side // 4 + 2 : side // 2].float().mean().item() == pytest.approx(100)
    assert (red[: side // 5] == NEUTRAL).all() and (red[:, -side // 5 :] == NEUTRAL).all()
    seen = batch["crop_image"][row]
    assert seen[side // 2, 2].float().mean().item() == pytest.approx(180)
    amodal, modal = batch["crop_amodal"][row], batch["crop_modal"][row]
    assert amodal.sum().item() == pytest.approx(side**2 * 0.75 * 0.5, rel=0.05)
    assert modal.sum().item() == pytest.approx(side**2 * 0.5 * 0.5, rel=0.05)
    # The same at the mask's resolution.
    share = batch["mask_amodal"][row].float().mean().item()
    assert share == pytest.approx(0.375, abs=0.03)


def test_the_segmentor_learns_without_colours(tmp_path):
    batch = first_batch(tmp_path, "segment", with_colours=False)
    assert "crop_full" not in batch and len(batch["image"]) == 2


def test_the_painter_learns_from_what_somebody_knows(tmp_path):
    """Without a picture of its own, the hidden car is left out; the other is whole in the photo."""
    batch = first_batch(tmp_path, "paint", with_colours=False)
    assert (batch["crop_modal"] == batch["crop_amodal"]).all()
    document = json.loads((tmp_path / "data.json").read_text())
    del document["annotations"][1]
    (tmp_path / "data.json").write_text(json.dumps(document))
    name = f"kins:{tmp_path}/data.json@{tmp_path}"
    cfg = load_config("segan_paint_kins_quick", ["DATASETS.TRAIN", f"('{name}',)"])
    with pytest.raises(UserError, match="no usable instance"):
        Trainer.build_train_loader(cfg)


def test_an_expansion_that_cannot_be(tmp_path):
    with pytest.raises(UserError, match=r"EXPAND = \(0.3, 0.1\): use two numbers from 0 on"):
        first_batch(tmp_path, "segment", "MODEL.SEGAN.EXPAND", "(0.3,0.1)")
