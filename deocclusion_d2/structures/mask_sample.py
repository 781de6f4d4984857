"""Several completions of one object, as a model of distributions draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from .window_mask import Box, WindowMask, box_around, union

# Of a weight in JSON, which has six decimals.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class MaskSample:
    """One of the completions that were drawn for an object.

    Attributes:
        mask: amodal.
        weight: share of the draws that gave this very mask, above 0 to 1.
    """

    mask: WindowMask
    weight: float

    def to_json(self, height: int, width: int) -> dict[str, Any]:
        """``segmentation``, compressed RLE of an image's size, and ``weight``."""
        return {"segmentation": self.mask.to_rle(height, width), "weight": round(self.weight, 6)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> MaskSample:
        """Read what ``to_json`` has made.

        Raises:
            ValueError: a weight that is no number above 0 to 1.
            UserError: a mask that is damaged.
        """
        weight = entry["weight"]
        if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 < weight <= 1:
            raise ValueError(f"'weight' is {weight!r}, not a number above 0 to 1")
        return cls(WindowMask.from_rle(entry["segmentation"]), float(weight))


def samples_from_json(given: object, height: int, width: int) -> list[MaskSample]:
    """Read a list of what ``MaskSample.to_json`` has made, of an image's size.

    Raises:
        ValueError: it is no such list, a mask of another size is in it, or the weights do not add
            up to 1.
        UserError: a mask that is damaged.
    """
    if not isinstance(given, list):
        raise ValueError("it is not a list of masks with weights")
    for entry in given:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("segmentation"), Mapping):
            raise ValueError(f"{entry!r:.60} is not a mask with a weight")
        size = entry["segmentation"].get("size")
        if size != [height, width]:
            raise ValueError(f"a mask of size {size!r:.40} in an image of {[height, width]}")
    try:
        samples = [MaskSample.from_json(entry) for entry in given]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{error} is missing or of a wrong type") from None
    total = sum(sample.weight for sample in samples)
    if samples and abs(total - 1) > _ROUNDING * len(samples):
        raise ValueError(f"the weights add up to {total:g}, not to 1")
    return samples


def merged_samples(samples: Iterable[MaskSample]) -> list[MaskSample]:
    """Equal masks as one, the heaviest first; of equal weights the one that was drawn first."""
    # By what a mask holds: thousands of different ones are not compared in pairs.
    merged: dict[tuple[Box, bytes], MaskSample] = {}
    for sample in samples:
        key = (sample.mask.box, np.packbits(sample.mask.array).tobytes())
        known = merged.get(key)
        weight = sample.weight if known is None else known.weight + sample.weight
        merged[key] = MaskSample(sample.mask, weight)
    return sorted(merged.values(), key=lambda s: -s.weight)


def drawn_samples(masks: Sequence[WindowMask]) -> list[MaskSample]:
    """K masks that were drawn, each as probable as the others; see ``merged_samples``."""
    return merged_samples(MaskSample(mask, 1 / len(masks)) for mask in masks)


def with_pixels(samples: Sequence[MaskSample], mask: WindowMask) -> list[MaskSample]:
    """Samples that all hold a mask's pixels as well."""
    if mask.is_empty:
        return list(samples)
    return merged_samples(MaskSample(union([s.mask, mask]), s.weight) for s in samples)


def disagreement(samples: Sequence[MaskSample]) -> float:
    """How far samples lie apart: the mean number of pixels in which two of them differ, halved.

    That is the sum over pixels of p (1 - p), p being the weight of the samples that hold it; 0 for
    no samples, and for one.
    """
    box = box_around(sample.mask.box for sample in samples)
    share = np.zeros((box[3] - box[1], box[2] - box[0]), np.float64)
    for sample in samples:
        share += sample.weight * sample.mask.crop(box)
    return float(np.clip(share * (1 - share), 0, None).sum())
