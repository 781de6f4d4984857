"""Photos of every kind: converted where that is harmless, else refused in one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.decomposition.photos import list_photos, output_names, read_photo
from deocclusion_d2.errors import UserError

RGB = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3) * 4


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("RGB", RGB),
        ("L", np.asarray(Image.fromarray(RGB).convert("L"))[..., None].repeat(3, axis=2)),
        ("RGBA", RGB),
        ("LA", np.asarray(Image.fromarray(RGB).convert("L"))[..., None].repeat(3, axis=2)),
        ("P", np.asarray(Image.fromarray(RGB).convert("P").convert("RGB"))),
        ("1", np.asarray(Image.fromarray(RGB).convert("1").convert("RGB"))),
    ],
)
def test_eight_bits_are_converted(tmp_path, mode, expected):
    Image.fromarray(RGB).convert(mode).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, expected)


def test_exif_turns_the_photo(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png"), np.rot90(RGB, -1))


def refusal(path) -> str:
    with pytest.raises(UserError) as error:
        read_photo(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_refused(tmp_path, channels, ending):
    path = tmp_path / f"a.{ending}"
    cv2.imwrite(str(path), np.full((5, 4, channels), 300, np.uint16))
    assert "magick" in refusal(path)


def test_floats_are_refused(tmp_path):
    Image.fromarray(np.zeros((5, 4), np.float32)).save(tmp_path / "a.tif")
    assert "8 bits" in refusal(tmp_path / "a.tif")


def test_transparency_is_refused(tmp_path):
    rgba = np.dstack([RGB, np.full((5, 4), 255, np.uint8)])
    rgba[2, 2, 3] = 254
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert "transparent" in refusal(tmp_path / "a.png")
    palette = Image.fromarray(RGB).convert("P")
    palette.save(tmp_path / "b.png", transparency=palette.getpixel((0, 0)))
    assert "transparent" in refusal(tmp_path / "b.png")


def test_unreadable_files(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    assert "not a readable picture" in refusal(tmp_path / "text.jpg")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (90, 90, 3), np.uint8)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:2000])
    assert "not a readable picture" in refusal(tmp_path / "cut.jpg")
    (tmp_path / "empty.png").touch()
    assert "not a readable picture" in refusal(tmp_path / "empty.png")
    assert "no such file" in refusal(tmp_path / "none.png")


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
