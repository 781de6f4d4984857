"""Photos from files, as 8-bit RGB, or one line that says why not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data.images import read_rgb
from ..errors import UserError
from ..files import name_key, portable_name, portable_names

PHOTO_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def read_photo(path: str | Path) -> np.ndarray:
    """Read a photo, turned upright as its EXIF data say.

    See ``read_rgb`` of ``data/images.py``, which reads it.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UserError: one line: the file is no readable picture, has more than 8 bits per channel, or
            transparent pixels.
    """
    return read_rgb(path)


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
