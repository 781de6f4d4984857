"""Photos from files, as 8-bit RGB, or one line that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data.images import read_rgb
from ..errors import UserError

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
        if not source.exists():
            raise UserError(f"{source}: there is no such file or folder")
        return [source]
    photos = sorted(p for p in source.iterdir() if _is_photo(p))
    if not photos:
        raise UserError(f"{source}: there is no picture in it ({', '.join(PHOTO_ENDINGS)})")
    return photos


def output_names(photos: Sequence[Path]) -> list[str]:
    """A folder name for every photo of a folder: its name without ending, where that is enough."""
    stems = [photo.stem for photo in photos]
    return [p.stem if stems.count(p.stem) == 1 else p.name.replace(".", "_") for p in photos]


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_ENDINGS and not path.name.startswith(".") and path.is_file()
