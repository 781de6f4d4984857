"""Images of data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import UserError


def read_rgb(file_name: str | Path) -> np.ndarray:
    """Read an image as Detectron2 does, turned upright as its EXIF data say.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UserError: one line: there is no such file, or it is no readable image.
    """
    from detectron2.data import detection_utils

    try:
        return detection_utils.read_image(str(file_name), format="RGB")
    except OSError as error:
        raise UserError(f"{file_name}: {error.strerror or error}") from error
