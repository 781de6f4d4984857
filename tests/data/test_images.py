"""Images that cannot be read are named."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.data.images import read_rgb
from deocclusion_d2.errors import UserError


def test_red_comes_first_and_exif_turns(tmp_path):
    path = tmp_path / "a.png"
    pixels = np.array([[[200, 20, 10], [1, 2, 3]]], np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(read_rgb(path), pixels[:, ::-1])


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"none.png: No such file"):
        read_rgb(tmp_path / "none.png")
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    with pytest.raises(UserError, match=r"text.png: cannot identify image"):
        read_rgb(text)
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(whole)
    cut.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"cut.jpg: .*truncated"):
        read_rgb(cut)
