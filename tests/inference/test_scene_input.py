"""What users hold as masks: taken where it has one meaning, else refused in one line."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from detectron2.structures import Instances, PolygonMasks
from PIL import Image

from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.scene_input import scene_from_masks
from deocclusion_d2.structures import WindowMask
from tests.helpers import box_mask

H, W = 40, 50
MASKS = np.stack([box_mask(H, W, 5, 5, 25, 20), box_mask(H, W, 30, 8, 44, 30)])
IMAGE = np.zeros((H, W, 3), np.uint8)
SOFT = np.where(MASKS, 0.97, 0.02)


def arrays(masks, *args, **kwargs) -> np.ndarray:
    scene, _ = scene_from_masks(masks, *args, **kwargs)
    return np.stack([mask.to_array(scene.height, scene.width) for mask in scene.modal_masks])


def refusal(masks, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        scene_from_masks(masks, *args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


ACCEPTED = {
    "bool": MASKS,
    "uint8": MASKS.astype(np.uint8),
    "255": MASKS.astype(np.uint8) * 255,
    "int64": MASKS.astype(np.int64),
    "float": MASKS.astype(np.float32),
    "float 255": MASKS * 255.0,
    "probabilities": SOFT,
    "tensor": torch.from_numpy(MASKS),
    "bfloat16": torch.from_numpy(SOFT).bfloat16(),
    "gradient": torch.from_numpy(SOFT).half().requires_grad_(),
    "list of arrays": list(MASKS),
    "list of tensors": list(torch.from_numpy(SOFT)),
    "tuple of lists": tuple(MASKS.tolist()),
    "generator": (mask for mask in MASKS),
    "pictures": [Image.fromarray(mask.astype(np.uint8) * 255) for mask in MASKS],
    "pictures of one bit": [Image.fromarray(mask).convert("1") for mask in MASKS],
    "rle": [WindowMask.from_array(mask).to_rle(H, W) for mask in MASKS],
    "instances": Instances((H, W), pred_masks=torch.from_numpy(MASKS)),
    "soft instances": Instances((H, W), pred_masks=torch.from_numpy(SOFT)),
    "polygons": Instances(
        (H, W),
        gt_masks=PolygonMasks(
            [[[5, 5, 25, 5, 25, 20, 5, 20]], [[30, 8, 44, 8, 44, 30], [30, 8, 30, 30, 44, 30]]]
        ),
    ),
    "predictor": {"instances": Instances((H, W), pred_masks=torch.from_numpy(MASKS))},
    "model": [{"instances": Instances((H, W), gt_masks=torch.from_numpy(MASKS))}],
    "generator of SAM": [{"segmentation": m, "area": 3, "predicted_iou": 0.4} for m in MASKS],
    "generator of SAM, RLE": [
        {"segmentation": WindowMask.from_array(m).to_rle(H, W), "bbox": [0, 0, 1, 1]} for m in MASKS
    ],
}


@pytest.mark.parametrize("form", ACCEPTED)
def test_one_meaning(form):
    assert np.array_equal(arrays(ACCEPTED[form]), MASKS)


def test_no_polygon_is_an_empty_mask():
    assert not arrays(Instances((H, W), gt_masks=PolygonMasks([[]]))).any()


def test_a_probability_of_a_half_is_foreground():
    values = np.array([[[0.5, 0.4999], [0.0, 1.0]]])
    assert arrays(values).tolist() == [[[True, False], [False, True]]]


def test_masks_last():
    """The image tells; the number of ids, or a shape like an image's, makes them be refused."""
    last = MASKS.transpose(1, 2, 0)
    assert np.array_equal(arrays(last, image=IMAGE), MASKS)
    assert np.array_equal(arrays(torch.from_numpy(last.copy()), image=IMAGE), MASKS)
    assert "(40, 50, 2), which looks like (H, W, N): give (N, H, W)" in refusal(last)
    assert "looks like (H, W, N)" in refusal(last, [1, 2])
    # A cube is what is documented, and narrow images are what their number of ids says.
    assert len(arrays(np.zeros((30, 30, 30), bool))) == 30
    assert arrays(np.zeros((9, 8, 3), bool), [1] * 9).shape == (9, 8, 3)
    assert arrays(np.zeros((9, 8, 3), bool), image=np.zeros((8, 3, 3), np.uint8)).shape[0] == 9


LOGITS = np.where(MASKS, 8.3, -12.1)
LABELS = np.stack([MASKS[0] + 2 * MASKS[1]])


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (LOGITS, r"mask 0 holds values from -12.1 to 8.3, no mask: of logits give logits > 0"),
        (torch.from_numpy(LOGITS), "of logits give"),
        (np.where(MASKS, np.nan, 0), "mask 0 holds values that are not finite"),
        (np.where(MASKS, np.inf, 0), "not finite"),
        (LABELS, "from 0 to 2, no mask: of labels give one mask a label"),
        (MASKS.astype(np.uint8) * 128, "from 0 to 128"),
        (MASKS.astype(np.int8) * -1, "from -1 to 0"),
        (MASKS.astype(complex), "complex128 values"),
        (MASKS[0], "shape \\(40, 50\\): give \\(N, H, W\\); of one mask, mask\\[None\\]"),
        (MASKS[:, None], "give \\(N, H, W\\); of \\(N, 1, H, W\\), masks\\[:, 0\\]"),
        ([MASKS[0], MASKS[1][:-1]], "mask 1 has shape \\(39, 50\\), mask 0 \\(40, 50\\)"),
        ([MASKS], "mask 0 has shape \\(2, 40, 50\\): give \\(H, W\\)"),
        ([[[1, 0], [1]]], "mask 0 is no \\(H, W\\) array"),
        ([Image.fromarray(IMAGE)], "picture of RGB pixels: give one of mode 1 or L"),
        (["car"], "mask 0 has shape \\(\\)"),
        ([None], "mask 0 "),
        (None, "masks is a NoneType"),
        ("masks.png", "masks is a str"),
        (Image.fromarray(MASKS[0]), "masks is a Image"),
        ({"masks": MASKS, "boxes": []}, "masks is a dict of 'masks', 'boxes'"),
        ([{"box": 3}], "mask 0 is a dict of 'box'"),
        ([ACCEPTED["rle"][0], MASKS[1]], "mask 1 is a ndarray, mask 0 a dict"),
        ([], "no masks and no image"),
        ([{**ACCEPTED["rle"][0], "size": [H, W, 3]}], r"mask 0: the RLE's size is \[40, 50, 3\]"),
        ([{**ACCEPTED["rle"][0], "size": None}], "mask 0: the RLE's size is None"),
        ([{"counts": "5"}], "mask 0: the RLE's size is None"),
        ([{**ACCEPTED["rle"][0], "counts": "5"}], "mask 0: the RLE's counts"),
        ([{"segmentation": MASKS[0]}, {"area": 3}], "mask 1 has no key 'segmentation'"),
        (Instances((H, W), pred_masks=torch.from_numpy(LOGITS)), r"pred_masks\[0\] holds values"),
        (
            Instances(
                (H, W), pred_masks=torch.from_numpy(MASKS), scores=torch.tensor([0.9, torch.nan])
            ),
            "scores are not all finite",
        ),
    ],
)
def test_no_or_several_meanings(masks, message):
    assert re.search(message, refusal(masks)), refusal(masks)


@pytest.mark.parametrize("size", [[H, W, 3], None, [0, W], ["40", "50"], [[H], W], 40])
def test_results_of_a_size_that_is_none(size):
    rle = {**ACCEPTED["rle"][0], "size": size}
    entry = {"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": rle}
    for image in (None, IMAGE):
        assert "entry 1: 'segmentation': the RLE's size is" in refusal([entry], image=image)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["car", "person"], r"category_ids\[0\] is 'car': give the integer ids .*, not names"),
        ([1, 1.5], r"category_ids\[1\] is 1.5"),
        ([1, None], r"category_ids\[1\] is None"),
        ([True, False], r"category_ids\[0\] is True"),
        ([1, float("nan")], r"category_ids\[1\] is nan"),
        (3, "category_ids is 3: give one id per mask"),
        ("car", "category_ids is 'car'"),
        ([1], "2 masks, 1 category ids"),
    ],
)
def test_category_ids_that_are_none(ids, message):
    assert re.search(message, refusal(MASKS, ids))


@pytest.mark.parametrize("ids", [[4, 2], (4.0, 2.0), np.array([4, 2]), torch.tensor([4, 2])])
def test_category_ids(ids):
    assert scene_from_masks(MASKS, ids)[0].category_ids.tolist() == [4, 2]


def test_boxes_of_whole_objects():
    """One has none; the caller's array stays as it is."""
    given = np.array([[-3.0, 1, 60, 20], [np.nan] * 4])
    scene, _ = scene_from_masks(MASKS, amodal_boxes=given)
    assert np.array_equal(scene.amodal_boxes, given, equal_nan=True)
    assert scene.amodal_boxes is not given


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2, 30, 40]], "give one box .* for each of 2 masks"),
        ([None, None], "give one box"),
        ([[1, 2, 3, 4], list("abcd")], "give one box"),
        ([[1, 2, 3, 4], [9, 2, 3, 4]], r"row 1 is \[9.0, 2.0, 3.0, 4.0\], but x1 and y1 must be"),
        ([[np.nan] * 4, [1, 2, 3, np.nan]], "row 1 is .*; give four finite numbers, or NaN for"),
        ([[1, 2, np.inf, 4], [1, 2, 3, 4]], "row 0 is .*; give four finite numbers"),
    ],
)
def test_boxes_of_whole_objects_that_are_none(boxes, message):
    assert re.search(f"amodal_boxes: {message}", refusal(MASKS, amodal_boxes=boxes))


def test_images():
    assert scene_from_masks(MASKS, image=Image.fromarray(IMAGE))[0].image.shape == (H, W, 3)
    rgba = np.zeros((H, W, 4), np.uint8)
    for image in (IMAGE / 255.0, IMAGE[..., 0], IMAGE.transpose(2, 0, 1), rgba):
        assert "give (H, W, 3) uint8 RGB" in refusal(MASKS, image=image)
    assert "convert it to RGB" in refusal(MASKS, image=Image.fromarray(IMAGE).convert("L"))
    assert "the image is 50 x 39 pixels, the masks 50 x 40" in refusal(MASKS, image=IMAGE[:-1])
