"""One reader for all pictures: read rightly, or refused in one line that names the file."""

from __future__ import annotations

import io
import logging
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from detectron2.data.detection_utils import read_image
from PIL import Image, ImageCms

from deocclusion_d2.data import images
from deocclusion_d2.data.images import check_size, read_rgb, read_size
from deocclusion_d2.errors import UserError

RGB = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3) * 4
GREY = np.asarray(Image.fromarray(RGB).convert("L"))[..., None].repeat(3, axis=2)
NOISE = np.random.default_rng(0).integers(0, 255, (90, 70, 3), np.uint8)


def refusal(path: Path, size: tuple[int, int] | None = None) -> str:
    with pytest.raises(UserError) as error:
        read_rgb(path, size)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text


@pytest.fixture(autouse=True)
def _say_again():
    images._say.cache_clear()


# -------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("RGB", RGB),
        ("L", GREY),
        ("RGBA", RGB),
        ("LA", GREY),
        ("P", np.asarray(Image.fromarray(RGB).convert("P").convert("RGB"))),
        ("1", np.asarray(Image.fromarray(RGB).convert("1").convert("RGB"))),
    ],
)
def test_eight_bits_are_converted(tmp_path, mode, expected):
    Image.fromarray(RGB).convert(mode).save(tmp_path / "a.png")
    photo = read_rgb(tmp_path / "a.png", (5, 4))
    assert photo.dtype == np.uint8 and photo.flags.writeable
    np.testing.assert_array_equal(photo, expected)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "webp", "gif", "ppm"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_same_bits_as_detectron2(tmp_path, mode, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(NOISE).convert(mode).save(path)
    np.testing.assert_array_equal(read_rgb(path), read_image(str(path), "RGB"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_as_detectron2_does(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for path in (tmp_path / "a.png", tmp_path / "a.jpg"):
        Image.fromarray(NOISE).save(path, exif=exif)
        upright = read_rgb(path)
        np.testing.assert_array_equal(upright, read_image(str(path), "RGB"))
        assert read_size(path) == upright.shape[:2]
    if orientation == 6:  # the camera was turned: rows are columns
        Image.fromarray(RGB).save(tmp_path / "b.png", exif=exif)
        np.testing.assert_array_equal(read_rgb(tmp_path / "b.png"), np.rot90(RGB, -1))


def test_damaged_exif_data_do_not_matter(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(NOISE).save(path, exif=b"Exif\0\0" + b"II*\0\xff\xff\xff\x7f" + b"\xff" * 40)
    assert read_rgb(path).shape == (90, 70, 3)


def test_the_ending_does_not_matter(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.jpg"), RGB)


# -------------------------------------------------------------------- size and orientation


def test_size_is_that_of_the_masks(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path)
    assert read_rgb(path, (90, 70)).shape == (90, 70, 3)
    assert "is 70 x 90 pixels, its masks in the annotations are 75 x 95: use" in refusal(
        path, (95, 75)
    )
    assert "are 90 x 70: turn one of them" in refusal(path, (70, 90))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_is_turned_once(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(NOISE).save(tmp_path / "a.tif", exif=exif)
    Image.fromarray(NOISE).save(tmp_path / "a.png", exif=exif)
    upright = read_rgb(tmp_path / "a.png")
    size = upright.shape[:2]
    assert read_size(tmp_path / "a.tif") == size
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif", size), upright)
    if orientation >= 5:
        assert f"EXIF orientation ({orientation})" in refusal(tmp_path / "a.tif", size[::-1])


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_masks_in_the_stored_orientation(tmp_path, orientation):
    path, exif = tmp_path / "a.jpg", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(NOISE).save(path, exif=exif)
    assert read_rgb(path, (70, 90)).shape == (70, 90, 3)
    text = refusal(path, (90, 70))
    assert "is 90 x 70 pixels" in text and f"EXIF orientation ({orientation}) turns" in text
    with pytest.raises(UserError, match=r"its masks in m\.json are .* EXIF orientation"):
        check_size(path, (70, 90), (90, 70), masks="m.json")
    assert "EXIF" not in refusal(path, (91, 70))


# -------------------------------------------------------------------- depth and transparency


@pytest.mark.parametrize("ending", ["png", "tif", "jp2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_refused(tmp_path, channels, ending):
    path = tmp_path / f"a.{ending}"
    cv2.imwrite(str(path), np.full((64, 64, channels), 300, np.uint16))
    assert "more than 8 bits per channel: convert it first (magick" in refusal(path)


def test_sixteen_bits_of_a_portable_map_are_refused(tmp_path):
    path = tmp_path / "a.ppm"
    for kind, values in ((b"P5", 20), (b"P6", 60)):
        path.write_bytes(kind + b" 4 5 65535\n" + bytes(2 * values))
        assert "more than 8 bits" in refusal(path)
    path.write_bytes(b"P6 4 5 255\n" + RGB.tobytes())
    np.testing.assert_array_equal(read_rgb(path), RGB)


def test_twelve_bits_and_floats_are_refused(tmp_path):
    # A TIFF of one row of 4 pixels, 12 bits each.
    tags = [(256, 4), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    entries += struct.pack("<HHII", 279, 3, 1, 6)
    head = struct.pack("<2sHI", b"II", 42, 14)
    path = tmp_path / "twelve.tif"
    path.write_bytes(head + b"\x12\x34\x56\x78\x9a\xbc" + struct.pack("<H", 9) + entries + bytes(4))
    assert "more than 8 bits" in refusal(path)
    Image.fromarray(np.zeros((5, 4), np.float32)).save(tmp_path / "float.tif")
    assert "more than 8 bits" in refusal(tmp_path / "float.tif")


def test_transparency_is_refused(tmp_path):
    rgba = np.dstack([RGB, np.full((5, 4), 255, np.uint8)])
    rgba[2, 2, 3] = 254
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert "transparent" in refusal(tmp_path / "a.png")
    palette = Image.fromarray(RGB).convert("P")
    palette.save(tmp_path / "b.png", transparency=palette.getpixel((0, 0)))
    assert "transparent" in refusal(tmp_path / "b.png")
    used = set(np.asarray(palette).ravel().tolist())
    unused = next(k for k in range(256) if k not in used)
    palette.save(tmp_path / "c.png", transparency=unused)
    np.testing.assert_array_equal(read_rgb(tmp_path / "c.png"), np.asarray(palette.convert("RGB")))
    Image.fromarray(RGB).save(tmp_path / "d.png", transparency=tuple(RGB[0, 0].tolist()))
    assert "transparent" in refusal(tmp_path / "d.png")


# -------------------------------------------------------------------- colours


def profile(gamma: float) -> bytes:
    """An ICC profile (v2): white, sRGB's primaries, and a power as tone curve."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    columns = [
        (0.9642, 1.0, 0.8249),
        (0.4361, 0.2225, 0.0139),
        (0.3851, 0.7169, 0.0971),
        (0.1431, 0.0606, 0.7141),
    ]
    xyz = [b"XYZ \0\0\0\0" + b"".join(map(fixed, column)) for column in columns]
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79)
    data = [*xyz, curve, text + b"\0" * (-len(text) % 4)]
    names = [(b"wtpt", 0), (b"rXYZ", 1), (b"gXYZ", 2), (b"bXYZ", 3)]
    names += [(b"rTRC", 4), (b"gTRC", 4), (b"bTRC", 4), (b"desc", 5)]
    starts = np.cumsum([128 + 4 + 12 * len(names), *map(len, data)])
    table = b"".join(n + struct.pack(">II", starts[k], len(data[k])) for n, k in names)
    head = struct.pack(">I4sI4s4s4s", int(starts[-1]), b"", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(names)) + table + b"".join(data)


def test_a_profile_of_another_space_is_followed(tmp_path):
    """A tone curve with the power 1: a value v is a share v / 255 of the light."""
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path, icc_profile=profile(1.0))
    light = RGB / 255.0
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(read_rgb(path) - 255 * srgb).max() < 2
    assert np.abs(read_image(str(path), "RGB") - 255 * srgb).max() > 50
    # Grey, with the profile of the colours that it had.
    Image.fromarray(RGB).convert("L").save(path, icc_profile=profile(1.0))
    np.testing.assert_array_equal(read_rgb(path), GREY)


def test_srgb_keeps_its_bits(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for path in (tmp_path / "a.jpg", tmp_path / "a.png"):
        Image.fromarray(NOISE).save(path, icc_profile=srgb)
        np.testing.assert_array_equal(read_rgb(path), read_image(str(path), "RGB"))


def test_a_broken_profile_is_said(tmp_path, caplog):
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=b"no profile")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), RGB)
        read_rgb(tmp_path / "a.png")
    assert [r.message for r in caplog.records] == [
        f"{tmp_path}/a.png: its colour profile cannot be read; colours are taken for sRGB"
    ]


def test_cmyk(tmp_path, caplog):
    """Without a profile as Detectron2 reads it, and said."""
    path = tmp_path / "a.jpg"
    Image.fromarray(NOISE).convert("CMYK").save(path, quality=95)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_rgb(path), read_image(str(path), "RGB"))
    assert "CMYK without a colour profile" in caplog.text
    # A profile that is not about CMYK changes nothing.
    Image.fromarray(NOISE).convert("CMYK").save(path, quality=95, icc_profile=profile(1.0))
    np.testing.assert_array_equal(read_rgb(path), read_image(str(path), "RGB"))


# -------------------------------------------------------------------- several pictures


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_animations_give_their_first_frame(tmp_path, caplog, ending):
    frames = [Image.fromarray(np.full((9, 8, 3), level, np.uint8)) for level in (200, 20)]
    path = tmp_path / f"a.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_rgb(path), np.asarray(frames[0]))
    assert "animated (2 frames): the first frame is taken" in caplog.text


def test_pages_of_a_tiff(tmp_path, caplog):
    pages = [Image.fromarray(RGB), Image.fromarray(RGB[::-1])]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), RGB)
    assert "2 pages: the first is taken" in caplog.text


# -------------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "tif", "webp", "gif", "ppm"])
def test_cut_files(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    for share in (0.02, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        assert "not a readable picture" in refusal(path)


def test_unreadable_files(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    assert "not a readable picture (unknown format; save it as PNG" in refusal(
        tmp_path / "text.jpg"
    )
    (tmp_path / "empty.png").touch()
    assert "the file is empty" in refusal(tmp_path / "empty.png")
    assert "there is no such file" in refusal(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    assert "it is a folder" in refusal(tmp_path / "folder.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert "no ordinary file" in refusal(tmp_path / "pipe.png")


def test_no_other_program_is_called(tmp_path):
    """Pillow hands EPS to Ghostscript, whatever the file's ending."""
    path = tmp_path / "a.jpg"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n")
    assert Image.open(path).format == "EPS"
    assert "unknown format" in refusal(path)


def test_bombs(tmp_path):
    """A few bytes that say 60,000 x 60,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        code = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", code)

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert "more pixels than" in refusal(tmp_path / "a.png")


def test_a_damaged_png_is_not_black_from_there_on(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    for place in (len(whole) // 3, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        assert "not a readable picture" in refusal(path)


def test_damage_anywhere_is_one_line_or_a_picture(tmp_path):
    rng = np.random.default_rng(1)
    small = Image.fromarray(NOISE[:24, :20])
    for ending in ("jpg", "png", "bmp", "tif", "webp", "gif"):
        buffer = io.BytesIO()
        small.save(buffer, Image.registered_extensions()[f".{ending}"])
        path = tmp_path / f"a.{ending}"
        for _ in range(25):
            data = bytearray(buffer.getvalue())
            for place in rng.integers(0, len(data), 4):
                data[place] = rng.integers(256)
            path.write_bytes(data)
            try:
                assert read_rgb(path).dtype == np.uint8
            except UserError as error:
                assert "\n" not in str(error)
