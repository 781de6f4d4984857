"""Pictures from files, as 8-bit RGB, or one line that says why not. Everything here reads so.

Of an 8-bit RGB or grey file without a colour profile the pixels are those that Detectron2's
``read_image`` gives, to the bit.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from ..errors import UserError

logger = logging.getLogger(__name__)

# What is opened. Pillow knows more, but hands some of them (EPS) to other programs.
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
# Modes of Pillow that hold 8 bits per channel, or less, without an alpha channel.
_OPAQUE_MODES = ("RGB", "RGBX", "L", "1", "P", "CMYK", "YCbCr")
_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
# Formats whose further pictures are moments of one.
_ANIMATED = ("AVIF", "GIF", "PNG", "WEBP")
_ORIENTATION = 0x0112
_TIFF_WIDTH, _TIFF_HEIGHT = 0x0100, 0x0101
# EXIF's orientation -> what turns the stored picture upright; from 5 on width and height swap.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A profile's colour space -> the mode of pictures that it can be about.
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
# A profile that moves no colour by more levels of 255 is sRGB: versions of it round differently.
_SRGB_LEVELS = 3


def read_rgb(file_name: str | Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture, turned upright as its EXIF data say, colours in sRGB.

    Grey pictures, palettes, CMYK and opaque RGBA are converted, and so are colours with a profile
    of another space than sRGB. Of an animation or of several pages the first picture is taken; the
    log says so.

    Args:
        file_name: its ending does not matter.
        size: (H, W) that it has to have, such as that of its masks; None for any.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UserError: one line: there is no such file, it is no readable picture, has another size,
            more than 8 bits per channel, or transparent pixels.
    """
    with _opened(file_name) as image:
        _check_depth(file_name, image)
        _check_sums(image)
        _say_what_is_left_out(file_name, image)
        orientation = _orientation_of(image)
        if size is not None:
            check_size(
                file_name, _upright_size(_stored_size(image), orientation), size, orientation
            )
        image.load()
        # Pillow turns TIFF by itself.
        if orientation in _UPRIGHT and image.format != "TIFF":
            image = image.transpose(_UPRIGHT[orientation])
        return np.array(_as_srgb(file_name, _without_alpha(file_name, image)))


def read_layer(file_name: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Read an object's picture with transparency.

    Args:
        file_name: of an 8-bit picture with an alpha channel.
        size: (h, w) that it has to have.

    Returns:
        (h, w, 4) uint8 RGBA.

    Raises:
        UserError: one line: there is no such file, it is no readable picture, has another size, or
            no transparency.
    """
    with _opened(file_name) as image:
        _check_depth(file_name, image)
        if (image.height, image.width) != tuple(size):
            raise UserError(
                f"{file_name}: the object's picture is {image.width} x {image.height} pixels, "
                f"'full_object_box' of its annotation says {size[1]} x {size[0]}"
            )
        if image.mode != "RGBA":
            raise UserError(f"{file_name}: the object's picture has no transparency: save RGBA")
        image.load()
        return np.array(image)


def read_size(file_name: str | Path) -> tuple[int, int]:
    """(H, W) of a picture as ``read_rgb`` reads it, told from the head of its file.

    Raises:
        UserError: one line: there is no such file, or it is no readable picture.
    """
    with _opened(file_name) as image:
        return _upright_size(_stored_size(image), _orientation_of(image))


def check_size(
    file_name: str | Path,
    found: tuple[int, int],
    wanted: tuple[int, int],
    orientation: int | None = None,
    masks: str = "the annotations",
) -> None:
    """Refuse a picture of another size than its masks.

    Args:
        file_name: of the picture.
        found: its (H, W), upright.
        wanted: (H, W) of the masks.
        orientation: EXIF's, of the file; None to look.
        masks: how the message names where they are.

    Raises:
        UserError: one line; it says so where the EXIF orientation explains the difference.
    """
    if tuple(found) == tuple(wanted):
        return
    text = (
        f"{file_name}: the photo is {found[1]} x {found[0]} pixels, its masks in {masks} are "
        f"{wanted[1]} x {wanted[0]}"
    )
    turned = tuple(found) == (wanted[1], wanted[0])
    if turned and orientation is None:
        with _opened(file_name) as image:
            orientation = _orientation_of(image)
    if turned and orientation is not None and orientation >= 5:
        raise UserError(
            f"{text}, as it is stored: its EXIF orientation ({orientation}) turns the photo; turn "
            "the masks too, or remove the orientation if they fit the stored pixels "
            "(exiftool -Orientation= FILE)"
        )
    hint = "turn one of them" if turned else "use the photo that they were made on"
    raise UserError(f"{text}: {hint}")


# -------------------------------------------------------------------- opening


@contextmanager
def _opened(file_name: str | Path) -> Iterator[Image.Image]:
    """An opened picture, not decoded yet; whatever goes wrong with it is one line."""
    path = _local(str(file_name))
    if not os.path.exists(path):
        raise UserError(f"{file_name}: there is no such file")
    if not os.path.isfile(path):  # opening a pipe would wait for ever
        kind = "a folder" if os.path.isdir(path) else "no ordinary file"
        raise UserError(f"{file_name}: it is {kind}, not a picture")
    try:
        # What Pillow warns of is either said here or harmless.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_formats()) as image:
                yield image
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(
            f"{file_name}: it has more pixels than Pillow takes for sane "
            f"({2 * (Image.MAX_IMAGE_PIXELS or 0):,}): scale it down first"
        ) from None
    except MemoryError:
        raise UserError(f"{file_name}: it does not fit in memory: scale it down first") from None
    except PermissionError as error:
        raise UserError(f"{file_name}: {error.strerror}") from None
    except Exception as error:  # damaged data make decoders raise anything
        raise UserError(f"{file_name}: not a readable picture ({_reason(path, error)})") from error


def _reason(path: str, error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        if os.path.getsize(path) == 0:
            return "the file is empty"
        return "unknown format; save it as PNG or JPEG"
    return " ".join(str(error).split()) or type(error).__name__


def _local(file_name: str) -> str:
    """The file itself, where the name is an address that Detectron2 knows."""
    if "://" not in file_name:
        return file_name
    from detectron2.utils.file_io import PathManager

    return PathManager.get_local_path(file_name)


@functools.cache
def _formats() -> list[str]:
    """Those of ``_FORMATS`` that this Pillow has."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where there is none."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data raise anything, and the picture is sound without them
        return 1
    return value if value in _UPRIGHT else 1


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) before it is turned; of TIFF some versions of Pillow tell that after it."""
    if image.format != "TIFF":
        return image.size
    tags = image.tag_v2
    return int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT])


def _upright_size(stored: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(H, W) of a picture from its stored (width, height)."""
    width, height = stored
    return (width, height) if orientation >= 5 else (height, width)


def _say_what_is_left_out(file_name: str | Path, image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format in _ANIMATED:
        _say(f"{file_name}: animated ({frames} frames): the first frame is taken")
    elif frames > 1 and image.format == "TIFF":
        _say(f"{file_name}: {frames} pages: the first is taken")


@functools.lru_cache(maxsize=1024)
def _say(text: str) -> None:
    """Log a warning, but not at every epoch anew."""
    logger.warning(text)


# -------------------------------------------------------------------- pixels


def _check_depth(file_name: str | Path, image: Image.Image) -> None:
    """Refuse more than 8 bits per channel.

    Pillow reads RGB of 16 bits as 8 without a word; only its decoder's arguments show it.
    """
    arguments = [tile[3] for tile in getattr(image, "tile", ())]
    is_deep = image.mode.startswith(("I", "F")) or any(";16" in str(a) for a in arguments)
    if image.format == "PPM":  # (mode, highest value)
        is_deep |= any(isinstance(v, int) and v > 255 for a in arguments for v in a)
    if image.format == "JPEG2000":
        is_deep |= _bits_of_jpeg2000(image) > 8
    if is_deep:
        raise UserError(
            f"{file_name}: it has more than 8 bits per channel: convert it first "
            "(magick IN -depth 8 OUT)"
        )


def _bits_of_jpeg2000(image: Image.Image) -> int:
    """Bits of the deepest channel, by the codestream's head (SIZ); 0 where there is none."""
    with open(image.filename, "rb") as file:
        head = file.read(1 << 16)
    start = head.find(b"\xff\x4f\xff\x51") + 2
    if start < 2:
        return 0
    channels = int.from_bytes(head[start + 38 : start + 40], "big")
    return max(
        ((depth & 0x7F) + 1 for depth in head[start + 40 : start + 40 + 3 * channels : 3]),
        default=0,
    )


def _check_sums(image: Image.Image) -> None:
    """PNG's checksums: Pillow takes what damaged data decode to, and black for the rest.

    Raises:
        SyntaxError, OSError: one is wrong.
    """
    if image.format == "PNG":
        with Image.open(image.filename, formats=["PNG"]) as again:
            again.verify()


def _without_alpha(file_name: str | Path, image: Image.Image) -> Image.Image:
    """A picture of an opaque mode.

    Raises:
        UserError: it has transparent pixels, or pixels of another kind.
    """
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        if rgba.getextrema()[3][0] < 255:
            raise UserError(
                f"{file_name}: it has transparent pixels, and what lies under them is unknown: "
                "flatten it first (magick IN -background white -flatten OUT)"
            )
        grey = image.mode in ("L", "LA", "La")
        return rgba.convert("RGB").convert("L") if grey else rgba.convert("RGB")
    if image.mode not in _OPAQUE_MODES:
        raise UserError(f"{file_name}: {image.mode} pixels: convert it to 8-bit RGB first")
    return image


def _as_srgb(file_name: str | Path, image: Image.Image) -> Image.Image:
    """An opaque picture as sRGB, through its colour profile where that tells of another space."""
    profile = image.info.get("icc_profile")
    plain = image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")
    if profile:
        try:
            transform = _transform(bytes(profile), plain.mode)
            if transform is not None:
                return ImageCms.applyTransform(plain, transform)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError):
            _say(f"{file_name}: its colour profile cannot be read; colours are taken for sRGB")
    if plain.mode == "CMYK" and not profile:
        _say(f"{file_name}: CMYK without a colour profile: its colours are a rough guess")
    return plain if plain.mode == "RGB" else plain.convert("RGB")


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile's colours to sRGB; None where pictures of a mode need none.

    They need none where the profile is sRGB itself, or is about pictures of another mode (a grey
    one that has kept the profile of its colours).

    Raises:
        ImageCms.PyCMSError, OSError: it cannot be read.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if _PROFILE_MODES.get(source.profile.xcolor_space.strip()) != mode:
        return None
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode != "CMYK":
        probe = _probe(mode)
        after = np.asarray(ImageCms.applyTransform(probe, transform), dtype=int)
        if np.abs(after - np.asarray(probe.convert("RGB"))).max() <= _SRGB_LEVELS:
            return None
    return transform


def _probe(mode: str) -> Image.Image:
    """Colours from all over a space."""
    levels = np.linspace(0, 255, 18).round().astype(np.uint8)
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    return Image.fromarray(grid.reshape(levels.size, -1, 3))
