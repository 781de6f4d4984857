"""What a KINS file contains: how many objects, and how much of them is hidden."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..structures.run_lengths import area_of

OCCLUDED_FROM = 0.01
"""An object counts as occluded if at least this share of its amodal mask is hidden."""


@dataclass(frozen=True)
class SplitStatistics:
    """Figures of one split.

    Attributes:
        images: number of images.
        instances: number of annotations.
        occluded_share: share of the instances that are occluded (0 to 1).
        occlusion_ratio: mean hidden share of the amodal area of the occluded instances (0 to 1).
        modal_iou: mean over all instances of IoU(modal mask, amodal mask) (0 to 1).
        categories: category name to number of instances.
    """

    images: int
    instances: int
    occluded_share: float
    occlusion_ratio: float
    modal_iou: float
    categories: dict[str, int]

    def __str__(self) -> str:
        """Two lines for a terminal."""
        per_image = self.instances / max(self.images, 1)
        parts = ", ".join(f"{name} {number}" for name, number in self.categories.items())
        return (
            f"{self.images} images, {self.instances} instances ({per_image:.1f} per image), "
            f"{self.occluded_share:.1%} occluded (mean hidden share {self.occlusion_ratio:.1%}), "
            f"mean IoU(modal, amodal) {self.modal_iou:.3f}\n  {parts}"
        )


def split_statistics(path: Path) -> SplitStatistics:
    """Reads a KINS JSON file (first release) and counts."""
    data = json.loads(path.read_text())
    names = {category["id"]: category["name"] for category in data["categories"]}
    amodal = np.array([entry["area"] for entry in data["annotations"]], dtype=np.float64)
    modal = np.array([area_of(a["inmodal_seg"]) for a in data["annotations"]], dtype=np.float64)
    hidden = 1 - modal / np.maximum(amodal, 1)
    occluded = hidden >= OCCLUDED_FROM
    counts = Counter(names[entry["category_id"]] for entry in data["annotations"])
    return SplitStatistics(
        images=len(data["images"]),
        instances=len(amodal),
        occluded_share=float(occluded.mean()) if len(amodal) else 0.0,
        occlusion_ratio=float(hidden[occluded].mean()) if occluded.any() else 0.0,
        modal_iou=float(1 - hidden.mean()) if len(amodal) else 0.0,
        categories=dict(counts.most_common()),
    )
