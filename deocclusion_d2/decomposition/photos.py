"""Photos from files, as 8-bit RGB, or one line that says why not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..errors import UserError
from ..files import name_key, portable_name, portable_names

PHOTO_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# Modes of Pillow that hold 8 bits per channel, or less, without an alpha channel.
_OPAQUE_MODES = ("RGB", "L", "1", "P", "CMYK", "YCbCr")
_ALPHA_MODES = ("RGBA", "LA", "PA")


def read_photo(path: str | Path) -> np.ndarray:
    """Read a photo, turned upright as its EXIF data say.

    Grey pictures, palettes and opaque RGBA are converted.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UserError: one line: the file is no readable picture, has more than 8 bits per channel, or
            transparent pixels.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            _check_depth(path, image)
            image = ImageOps.exif_transpose(image)
            if image.mode in _ALPHA_MODES or "transparency" in image.info:
                image = image.convert("RGBA")
                if image.getextrema()[3][0] < 255:
                    raise UserError(
                        f"{path}: it has transparent pixels, and what lies under them is unknown: "
                        "flatten it first (magick IN -background white -flatten OUT)"
                    )
            elif image.mode not in _OPAQUE_MODES:
                raise UserError(f"{path}: {image.mode} pixels: convert it to 8-bit RGB first")
            return np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, UserError):
            raise
        reason = " ".join(str(error).split()) if "identify" not in str(error) else "unknown format"
        raise UserError(f"{path}: not a readable picture ({reason})") from error


def list_photos(source: str | Path) -> list[Path]:
    """A photo, or the photos that lie directly in a folder, sorted by name.

    Raises:
        UserError: there is no such file or folder, or no photo in it.
    """
    source = Path(source)
    if not source.is_dir():
        if not os.path.exists(source):
            raise UserError(f"{source}: there is no such file or folder")
        return [source]
    try:
        photos = sorted(p for p in source.iterdir() if _is_photo(p))
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}") from None
    if not photos:
        raise UserError(f"{source}: there is no picture in it ({', '.join(PHOTO_ENDINGS)})")
    return photos


def output_names(photos: Sequence[Path]) -> list[str]:
    """A folder name for every photo of a folder: its name without ending, where that is enough.

    All are different, where capitals and small letters are the same too.
    """
    stems = [name_key(portable_name(photo.stem)) for photo in photos]
    alone = [stems.count(stem) == 1 for stem in stems]
    names = {}
    taken: set[str] = set()
    # Those whose own name is enough have it, whatever others are called.
    for wanted in (True, False):
        chosen = [p for p, is_alone in zip(photos, alone, strict=True) if is_alone == wanted]
        texts = [p.stem if wanted else p.name.replace(".", "_") for p in chosen]
        names.update(zip(chosen, portable_names(texts, taken), strict=True))
    return [names[photo] for photo in photos]


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_ENDINGS and not path.name.startswith(".") and path.is_file()


def _check_depth(path: Path, image: Image.Image) -> None:
    """Refuse more than 8 bits per channel.

    Pillow reads RGB of 16 bits as 8 without a word; only its decoder's mode shows it.
    """
    raw_modes = [str(tile[3]) for tile in getattr(image, "tile", ())]
    if image.mode.startswith(("I", "F")) or any(";16" in mode for mode in raw_modes):
        raise UserError(
            f"{path}: it has more than 8 bits per channel: convert it first "
            "(magick IN -depth 8 OUT)"
        )
