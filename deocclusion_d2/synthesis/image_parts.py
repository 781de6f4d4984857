"""Images that are made one by one, by any number of processes, in a run that may be interrupted.

What is known about a finished image lies in a file of its own, until all of them are done; only
then do they become one JSON.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import UserError
from ..unfinished import clean_leftovers, unfinished_file

IMAGE_FORMATS = ("jpg", "png")


@dataclass(frozen=True)
class ImageParts:
    """A folder that holds one JSON per finished image, and the settings they were made with.

    Attributes:
        folder: it is made by ``open`` and goes with ``remove``.
    """

    folder: Path

    def open(self, settings: dict[str, Any], overwrite: bool, images: Path | None) -> None:
        """Go on with what an interrupted run has left, or start.

        Args:
            settings: all that decides what is made, for JSON.
            overwrite: whether what was made with other settings is thrown away.
            images: folder of the pictures; None where there are none.

        Raises:
            UserError: the folder holds parts made with other settings, and may not be overwritten.
        """
        note = self.folder / "settings.json"
        settings = json.loads(json.dumps(settings))
        if self.folder.exists() and (not note.exists() or json.loads(note.read_text()) != settings):
            if not overwrite:
                raise UserError(
                    f"{self.folder} holds an unfinished run with other settings; --overwrite "
                    "discards it"
                )
            shutil.rmtree(self.folder)
        for folder in (self.folder, *([] if images is None else [images])):
            folder.mkdir(parents=True, exist_ok=True)
            clean_leftovers(folder)
        _write(note, json.dumps(settings).encode())

    def has(self, index: int) -> bool:
        """Whether an image is done."""
        return self._path(index).exists()

    def write(self, index: int, known: Any) -> None:
        """Note what is known about a finished image, for JSON. Its picture comes first."""
        _write(self._path(index), json.dumps(known).encode())

    def read(self, index: int) -> Any:
        """What is known about a finished image."""
        return json.loads(self._path(index).read_text())

    def remove(self) -> None:
        """Throw the folder away."""
        shutil.rmtree(self.folder)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.json"


def check_image_format(image_format: str, jpeg_quality: int) -> None:
    """Refuse what ``write_image`` cannot write. Raises UserError."""
    if image_format not in IMAGE_FORMATS:
        raise UserError(f"image_format must be jpg or png, got {image_format!r}")
    if not 1 <= jpeg_quality <= 100:
        raise UserError(f"jpeg_quality must lie in 1 ... 100, got {jpeg_quality}")


def write_image(path: Path, bgr: np.ndarray, jpeg_quality: int) -> None:
    """Write a picture, whole or not at all.

    Args:
        path: its ending says the format.
        bgr: (H, W, 3) uint8, blue first, as OpenCV has it.
        jpeg_quality: 1 to 100, for JPEG.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if path.suffix == ".jpg" else []
    done, data = cv2.imencode(path.suffix, bgr, options)
    if not done:
        raise UserError(f"{path}: the picture cannot be encoded")
    _write(path, data.tobytes())


def _write(path: Path, data: bytes) -> None:
    """Unlike ``files.whole_file``, it does not wait for the disk: the next run makes it again."""
    with unfinished_file(path.parent, path.name) as unfinished:
        unfinished.write_bytes(data)
        os.replace(unfinished, path)
