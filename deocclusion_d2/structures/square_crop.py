"""The square around an instance that networks look at, and the way back into the image.

Every patch, in training and in inference, is a square around the modal box of an
instance, resized to S x S pixels. This module is the only place that knows its geometry.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .probability_map import ProbabilityMap
from .window_mask import Box, WindowMask


@dataclass(frozen=True)
class SquareCrop:
    """A square of an image, in whole pixels. It may leave the image; there it is zero padded.

    Attributes:
        x0, y0: top left pixel.
        side: side in pixels, at least 1.
    """

    x0: int
    y0: int
    side: int

    @classmethod
    def around(
        cls,
        box: Box,
        enlarge: float = 3.0,
        shift: tuple[float, float] = (0.0, 0.0),
        scale: float = 1.0,
    ) -> SquareCrop:
        """The square of a modal box.

        Its side is max(sqrt(enlarge * w * h), 1.1 w, 1.1 h), and it shares the box's centre
        (supplement A: "an adaptive square"; the numbers are those of the released runs). Position
        and side are cut to whole pixels towards zero, as in the released runs.

        Args:
            box: modal box (x0, y0, x1, y1) in pixels.
            enlarge: share of the square's area to the box's area.
            shift: displacement of the centre in x and y, in sides (before ``scale``).
            scale: factor by which the object grows in the patch: the side is divided by it.
        """
        centre_x = (box[0] + box[2]) / 2.0
        centre_y = (box[1] + box[3]) / 2.0
        side = adaptive_side(box, enlarge)
        centre_x += shift[0] * side
        centre_y += shift[1] * side
        side /= scale
        return cls(int(centre_x - side / 2.0), int(centre_y - side / 2.0), max(int(side), 1))

    @property
    def box(self) -> Box:
        return (self.x0, self.y0, self.x0 + self.side, self.y0 + self.side)

    def sample(self, mask: WindowMask, size: int, flip: bool = False) -> np.ndarray:
        """Crop and resize a mask by nearest neighbour, in one gather.

        Equal to cropping the square and calling ``cv2.resize(..., INTER_NEAREST)``, but its cost
        does not depend on the square's side.

        Args:
            mask: any mask of the image.
            size: side S of the patch in pixels.
            flip: mirror left and right.

        Returns:
            (S, S) bool.
        """
        out = np.zeros((size, size), dtype=bool)
        if mask.is_empty:
            return out
        index = nearest_source_index(self.side, size)
        h, w = mask.array.shape
        y, x = mask.y0 - self.y0, mask.x0 - self.x0
        r0, r1 = index.searchsorted((y, y + h))
        c0, c1 = index.searchsorted((x, x + w))
        target = out[:, ::-1] if flip else out
        target[r0:r1, c0:c1] = take_grid(mask.array, index[r0:r1] - y, index[c0:c1] - x)
        return out

    def sample_outside(
        self, image_size: tuple[int, int], size: int, flip: bool = False
    ) -> np.ndarray:
        """What lies beyond the border of an image of (height, width) pixels: (S, S) bool."""
        height, width = image_size
        index = nearest_source_index(self.side, size)
        rows, columns = index + self.y0, (index[::-1] if flip else index) + self.x0
        inside = (rows >= 0) & (rows < height)
        return ~(inside[:, None] & (columns >= 0) & (columns < width))

    def resize_bilinear(self, mask: WindowMask, size: int) -> np.ndarray:
        """Crop a mask and resize it bilinearly, cut at 0.5. Returns (S, S) bool."""
        return _resize_cut(mask.crop(self.box), size)

    def crop_image(self, image: np.ndarray) -> np.ndarray:
        """Crop an image, zero padded outside.

        Args:
            image: (H, W, C).

        Returns:
            (side, side, C) of the same dtype, a new array.
        """
        height, width = image.shape[:2]
        patch = np.zeros((self.side, self.side, image.shape[2]), dtype=image.dtype)
        x0, y0, x1, y1 = self.box
        left, right = max(x0, 0), min(x1, width)
        top, bottom = max(y0, 0), min(y1, height)
        if left < right and top < bottom:
            patch[top - y0 : bottom - y0, left - x0 : right - x0] = image[top:bottom, left:right]
        return patch

    def resize_image(
        self,
        image: np.ndarray,
        size: int,
        flip: bool = False,
        interpolation: int = cv2.INTER_CUBIC,
    ) -> np.ndarray:
        """Crop and resize an image, zero padded outside.

        Args:
            image: (H, W, C) uint8.
            interpolation: OpenCV's, bicubic as in the released runs.

        Returns:
            (S, S, C) uint8.
        """
        patch = self.crop_image(image)
        patch = cv2.resize(patch, (size, size), interpolation=interpolation)
        return np.ascontiguousarray(patch[:, ::-1]) if flip else patch

    def paste(self, patch: np.ndarray, height: int, width: int) -> WindowMask:
        """Put a binary patch back into the image: bilinear to the square's side, cut at 0.5.

        Args:
            patch: (S, S) bool.
            height, width: image size; pixels outside it are dropped.
        """
        square = _resize_cut(patch, self.side)
        x0, y0, x1, y1 = self._inside(height, width)
        if x0 >= x1 or y0 >= y1:
            return WindowMask.empty()
        return WindowMask.from_array(
            square[y0 - self.y0 : y1 - self.y0, x0 - self.x0 : x1 - self.x0], x0, y0
        )

    def paste_whole(self, patch: np.ndarray) -> WindowMask:
        """As ``paste``, with the pixels outside the image."""
        return WindowMask.from_array(_resize_cut(patch, self.side), self.x0, self.y0)

    def paste_values(self, patch: np.ndarray) -> np.ndarray:
        """A patch at the pixels of its square, also of those outside the image, bilinearly.

        Args:
            patch: (S, S) float32.

        Returns:
            (side, side) float32; at the top left is pixel (x0, y0) of the image.
        """
        if patch.shape == (self.side, self.side):
            return patch
        return cv2.resize(patch, (self.side, self.side), interpolation=cv2.INTER_LINEAR)

    def paste_probability(
        self, patch: np.ndarray, height: int, width: int, where: WindowMask
    ) -> ProbabilityMap:
        """Put a patch of probabilities back into the image, bilinearly.

        Args:
            patch: (S, S) float32 in [0, 1].
            height, width: image size; pixels outside it are dropped.
            where: pixels that count; others get 0.
        """
        x0, y0, x1, y1 = self._inside(height, width)
        if x0 >= x1 or y0 >= y1:
            return ProbabilityMap.from_array(np.zeros((0, 0), np.float32))
        square = self.paste_values(patch)
        window = square[y0 - self.y0 : y1 - self.y0, x0 - self.x0 : x1 - self.x0]
        return ProbabilityMap.from_array(window * where.crop((x0, y0, x1, y1)), x0, y0)

    def _inside(self, height: int, width: int) -> Box:
        """The part of the square that lies in the image; it may be empty."""
        x0, y0, x1, y1 = self.box
        return max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)


def adaptive_side(box: Box, enlarge: float = 3.0) -> float:
    """Side of the square of a box before rounding, in pixels."""
    w, h = box[2] - box[0], box[3] - box[1]
    return max((enlarge * w * h) ** 0.5, 1.1 * w, 1.1 * h)


def nearest_source_index(source: int, target: int) -> np.ndarray:
    """Source pixel of each target pixel under OpenCV's INTER_NEAREST: (target,) int64."""
    # The reciprocal of the ratio, not the ratio: OpenCV rounds this way, and floor() shows it.
    step = 1.0 / (target / source)
    return np.minimum(np.floor(np.arange(target) * step).astype(np.int64), source - 1)


def take_grid(array: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What an array holds where rows and columns cross.

    Args:
        array: (h, w).
        rows, columns: (R,) and (C,) int64.

    Returns:
        (R, C) of the same dtype, a new array.
    """
    # One axis after the other, much faster than both at once. Columns cost more than rows, so they
    # are taken where there are fewer rows.
    if len(array) < len(rows):
        return array.take(columns, 1)[rows]
    return array[rows].take(columns, 1)


def _resize_cut(mask: np.ndarray, size: int) -> np.ndarray:
    if mask.shape == (size, size):
        return mask.astype(bool)
    resized = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    return resized > 0.5
