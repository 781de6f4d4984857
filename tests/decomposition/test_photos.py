"""Photos of a file or folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.decomposition.photos import list_photos, output_names, read_photo
from deocclusion_d2.errors import UserError


def test_photos_are_read_as_all_pictures_are(tmp_path):
    """Turned upright; see ``tests/data/test_images.py`` for what is refused."""
    pixels = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3) * 4
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png"), np.rot90(pixels, -1))
    (tmp_path / "empty.png").touch()
    with pytest.raises(UserError, match="empty.png: not a readable picture"):
        read_photo(tmp_path / "empty.png")


@pytest.mark.parametrize(
    ("photos", "names"),
    [
        (["a.jpg", "a.png", "a_jpg.bmp"], ["a_jpg-2", "a_png", "a_jpg"]),
        (["A.jpg", "a.png", "b.png"], ["A_jpg", "a_png", "b"]),
        (["A.jpg", "a.jpg"], ["A_jpg", "a_jpg-2"]),
        (["a.b.jpg", "a_b.png", "a.b.png"], ["a_b_jpg", "a_b", "a_b_png"]),
        (["con.jpg", "a .jpg", "e\u0301.jpg", "\u00e9.png"], ["_con", "a", "é_jpg", "é_png"]),
        (["x" * 120 + "1.jpg", "x" * 120 + "2.jpg"], ["x" * 100, "x" * 100 + "-2"]),
    ],
)
def test_every_photo_has_a_folder_of_its_own(photos, names):
    assert output_names([Path("photos", name) for name in photos]) == names


def test_photos_of_a_folder(tmp_path):
    for name in ("b.JPG", "a.png", "a.jpg", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    photos = list_photos(tmp_path)
    assert [p.name for p in photos] == ["a.jpg", "a.png", "b.JPG"]
    assert output_names(photos) == ["a_jpg", "a_png", "b"]
    assert list_photos(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(UserError, match="no picture"):
        list_photos(tmp_path / "folder.png")
    with pytest.raises(UserError, match="no such file"):
        list_photos(tmp_path / "nowhere")
