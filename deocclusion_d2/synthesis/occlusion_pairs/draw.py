"""Which object hides which, where: a pair is a few numbers, drawn from the bank."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ...errors import UserError
from ...structures import WindowMask
from .bank import Bank, CompleteObject
from .placement import PlacementSettings, places

# "fit": an occluder that is far larger or smaller than what it hides is resized; "none": never.
SCALES = ("fit", "none")
# What is enlarged by more is a blur.
_MOST_ENLARGED = 2.0
_TRIES = 20  # of occludees of a class, and of occluders for each of them


@dataclass(frozen=True)
class PairSettings:
    """How pairs are drawn.

    Attributes:
        placement: where the occluder may lie.
        flip: probability of a mirrored occluder.
        scale: of ``SCALES``.
        size_ratio: least and largest sqrt(occluder's area / occludee's area); an occluder beyond is
            resized to the nearer one, or another is drawn where that takes more than twice its
            size.
        seed: pair k depends on the bank, these settings and k alone.
    """

    placement: PlacementSettings = field(default_factory=PlacementSettings)
    flip: float = 0.5
    scale: str = SCALES[0]
    size_ratio: tuple[float, float] = (0.5, 2.0)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise UserError(f"flip must lie in 0 ... 1, got {self.flip}")
        if self.scale not in SCALES:
            raise UserError(f"scale must be one of {', '.join(SCALES)}, got {self.scale!r}")
        if not 0 < self.size_ratio[0] <= self.size_ratio[1]:
            raise UserError(f"size_ratio must be 0 < LOW <= HIGH, got {self.size_ratio}")
        if self.seed < 0:
            raise UserError(f"seed must not be negative, got {self.seed}")


@dataclass(frozen=True)
class Pair:
    """An object, and the one that is pasted over it.

    Attributes:
        occludee, occluder: of different images. The occludee's image is the host.
        corner: (x, y) of the upper left corner of the occluder's window in the host.
        flipped: whether the occluder is mirrored.
        size: (height, width) of its window in the host, in pixels.
        failed: occluders that had no place before this pair was found.
    """

    occludee: CompleteObject
    occluder: CompleteObject
    corner: tuple[int, int]
    flipped: bool
    size: tuple[int, int]
    failed: int = 0

    def occluder_mask(self, bank: Bank) -> WindowMask:
        """The occluder as it lies in the host."""
        array = _resized(bank.mask(self.occluder).array, self.flipped, self.size)
        return WindowMask.from_array(array, *self.corner)


@dataclass(frozen=True)
class PairSource:
    """Draws pairs: classes of occludee and occluder uniform and independent, objects uniform in
    their class (supplement, Sec. 1, "uniform class distribution").

    Whatever has no place is drawn anew within its class, so that classes stay uniform.
    """

    bank: Bank
    settings: PairSettings

    def draw(self, index: int) -> Pair:
        """Pair ``index``.

        Raises:
            UserError: no occluder of the drawn class has a place on an object of the other one.
        """
        rng = np.random.default_rng(np.random.SeedSequence(self.settings.seed, spawn_key=(index,)))
        classes = list(self.bank.by_class.values())
        of_occludee, of_occluder = (classes[i] for i in rng.integers(len(classes), size=2))
        failed = 0
        for _ in range(_TRIES):
            occludee = of_occludee[rng.integers(len(of_occludee))]
            for _ in range(_TRIES):
                occluder = of_occluder[rng.integers(len(of_occluder))]
                pair = self._place(occludee, occluder, failed, rng)
                if pair is not None:
                    return pair
                failed += 1
        low, high = self.settings.placement.overlap
        raise UserError(
            f"pair {index}: {failed} occluders found no place with an overlap of {low:g} to "
            f"{high:g}, at last {self.bank.describe(occluder)} on {self.bank.describe(occludee)}; "
            "use a finer grid, a wider overlap, or a scale that fits"
        )

    def _place(
        self,
        occludee: CompleteObject,
        occluder: CompleteObject,
        failed: int,
        rng: np.random.Generator,
    ) -> Pair | None:
        """A pair of two objects; None where there is none."""
        if occluder.record == occludee.record:
            return None
        front = self.bank.mask(occluder).array
        size = self._size(front.shape, occluder.area / occludee.area)
        flipped = bool(rng.random() < self.settings.flip)
        host = self.bank.records[occludee.record]
        if size is None or size[0] > host["height"] or size[1] > host["width"]:
            return None
        hidden = self.bank.mask(occludee)
        window = WindowMask.from_array(_resized(front, flipped, size))
        if window.is_empty:
            return None
        found = places(
            hidden.array,
            (hidden.x0, hidden.y0),
            window.array,
            (host["height"], host["width"]),
            self.settings.placement,
        )
        if not len(found):
            return None
        x, y = found[rng.integers(len(found))].tolist()
        # A resized mask may end inside of its window.
        return Pair(occludee, occluder, (x - window.x0, y - window.y0), flipped, size, failed)

    def _size(self, shape: tuple[int, int], area_ratio: float) -> tuple[int, int] | None:
        """(height, width) of the occluder's window; None where it would be enlarged too much.

        Args:
            shape: (height, width) that it has.
            area_ratio: occluder's area / occludee's area.
        """
        if self.settings.scale == "none":
            return shape
        ratio = np.sqrt(area_ratio)
        scale = float(np.clip(ratio, *self.settings.size_ratio) / ratio)
        if scale > _MOST_ENLARGED:
            return None
        return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def _resized(array: np.ndarray, flipped: bool, size: tuple[int, int]) -> np.ndarray:
    """A mask's window, mirrored and resized: bool."""
    if flipped:
        array = array[:, ::-1]
    if array.shape == size:
        return array
    levels = np.ascontiguousarray(array).view(np.uint8) * np.uint8(255)
    return cv2.resize(levels, size[::-1], interpolation=resampling(array.shape, size)) > 127


def resampling(before: tuple[int, int], after: tuple[int, int]) -> int:
    """OpenCV's interpolation for masks and colours of a resized occluder."""
    return cv2.INTER_AREA if after[0] < before[0] else cv2.INTER_LINEAR
