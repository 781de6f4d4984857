"""The box around an instance that SeGAN looks into, as a square patch, and the way back.

Unlike ``SquareCrop`` the box has the object's own shape, and lies inside the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...structures import SquareCrop, WindowMask
from ...structures.window_mask import Box

# The painter's target outside of the object, where nobody says what is there.
NEUTRAL = 128

Expansion = tuple[float, float, float, float]


@dataclass(frozen=True)
class BoxCrop:
    """A box of an image, in whole pixels, inside of it.

    Attributes:
        box: (x0, y0, x1, y1).
    """

    box: Box

    @classmethod
    def around(cls, box: Box, expand: Expansion, image_size: tuple[int, int]) -> BoxCrop:
        """The box around the visible part, expanded (Sec. 5.1).

        Args:
            box: of the visible part, not empty.
            expand: left, top, right and bottom, as shares of the box's width and height.
            image_size: (H, W), where the box ends.
        """
        x0, y0, x1, y1 = box
        w, h = x1 - x0, y1 - y0
        left, top, right, bottom = expand
        height, width = image_size
        return cls(
            (
                max(round(x0 - left * w), 0),
                max(round(y0 - top * h), 0),
                min(round(x1 + right * w), width),
                min(round(y1 + bottom * h), height),
            )
        )

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0

    def held_by(self, square: SquareCrop) -> SquareCrop:
        """A square, grown around its centre until it holds the box."""
        x0, y0, x1, y1 = square.box
        a0, b0, a1, b1 = self.box
        lacks = max(x0 - a0, y0 - b0, a1 - x1, b1 - y1, 0)
        return SquareCrop(x0 - lacks, y0 - lacks, square.side + 2 * lacks)

    def window(self, image: np.ndarray) -> np.ndarray:
        """The box of an image (H, W, 3)."""
        x0, y0, x1, y1 = self.box
        return image[y0:y1, x0:x1]

    def on_neutral(self, window: np.ndarray, whole: WindowMask) -> np.ndarray:
        """Colours of the box, (h, w, 3) uint8, on neutral grey outside of an object."""
        return np.where(whole.crop(self.box)[..., None], window, np.uint8(NEUTRAL))

    def sample(self, mask: WindowMask, size: int, flip: bool = False) -> np.ndarray:
        """A mask inside the box, resized by the share of each pixel that it covers.

        Returns:
            (size, size) bool: where it is a half or more.
        """
        inside = mask.crop(self.box).astype(np.float32)
        patch = _resized(inside, size) >= 0.5
        return np.ascontiguousarray(patch[:, ::-1]) if flip else patch

    def sample_colours(self, image: np.ndarray, size: int, flip: bool = False) -> np.ndarray:
        """Colours of the box of an image.

        Args:
            image: (H, W, 3) uint8.

        Returns:
            (size, size, 3) uint8.
        """
        return self.resize_colours(self.window(image), size, flip)

    def resize_colours(self, window: np.ndarray, size: int, flip: bool = False) -> np.ndarray:
        """The same for a window of the box's size."""
        patch = _resized(window, size)
        return np.ascontiguousarray(patch[:, ::-1]) if flip else patch

    def paste(self, probability: np.ndarray, threshold: float) -> WindowMask:
        """The pixels of the image whose probability is above a threshold.

        Args:
            probability: (M, M) float32, of the box.
        """
        return WindowMask.from_array(self.paste_values(probability) > threshold, *self.box[:2])

    def paste_values(self, patch: np.ndarray) -> np.ndarray:
        """A patch at the pixels of the box, bilinearly: (h, w) or (h, w, C) float32."""
        h, w = self.size
        return cv2.resize(patch.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)


def _resized(array: np.ndarray, size: int) -> np.ndarray:
    """(h, w[, C]) -> (size, size[, C]): means of areas to shrink, bilinear to enlarge."""
    shrinks = size * size < array.shape[0] * array.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(array, (size, size), interpolation=how)
