"""COCO results whose RLE says no size: one line that names photo and entry."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deocclusion_d2.decomposition.mask_sources import open_masks
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from tests.helpers import box_mask

IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize("size", [[48, 64, 3], None, [[48], [64]], ["48", "64"], [0, 64]])
@pytest.mark.parametrize("place", [0, 1])
def test_a_size_that_is_none(tmp_path, size, place):
    rle = WindowMask.from_array(box_mask(48, 64, 4, 4, 28, 28)).to_rle(48, 64)
    entries = [
        {"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": dict(rle)} for _ in range(2)
    ]
    entries[place]["segmentation"]["size"] = size
    path = tmp_path / "results.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(UserError) as error:
        open_masks(str(path))(Path("a.jpg"), IMAGE)
    message = str(error.value)
    assert message.startswith(f"a.jpg: {path}: entry {place + 1}: 'segmentation': the RLE's size ")


def test_a_photo_of_another_size(tmp_path):
    rle = WindowMask.from_array(box_mask(48, 64, 4, 4, 28, 28)).to_rle(48, 64)
    path, photo = tmp_path / "results.json", tmp_path / "a.jpg"
    entry = {"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": rle}
    path.write_text(json.dumps([entry]))
    with pytest.raises(UserError, match=r"photo is 60 x 40 pixels, its masks in .*json are 64 x"):
        open_masks(str(path))(photo, IMAGE[:40, :60])
