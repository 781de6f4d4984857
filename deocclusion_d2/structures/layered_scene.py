"""A photo taken apart: complete objects, the background behind them, and who hides whom."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .mask_sample import MaskSample
from .occlusion_graph import OcclusionGraph
from .window_mask import WindowMask


@dataclass
class ObjectLayer:
    """One complete object, as it lies in its image.

    Attributes:
        name: unique in its scene, such as "car-3"; edits name the object by it.
        x0, y0: image position in pixels of ``rgba``'s top left pixel.
        rgba: (h, w, 4) uint8, the window of the amodal mask. RGB is the photo where the object is
            visible, and completed content where it is hidden; alpha is above 0 inside the amodal
            mask and 0 outside, where RGB is 0 too. In a scene with ``photo``, alpha falls off
            towards the border, and RGB near it is the object's own colour, not the mixture with its
            surroundings that the photo shows; else alpha is 255 all over the mask.
        modal_mask, amodal_mask: in image coordinates.
        category_id: the data set's, 1 where there are no categories.
        category: its name, "object" where there is none.
        instance_id: the annotation's id, or the row number.
        samples: completions that were drawn, amodal masks in image coordinates whose weights add up
            to 1; none where no method has drawn any, or nothing may be hidden.
    """

    name: str
    x0: int
    y0: int
    rgba: np.ndarray
    modal_mask: WindowMask
    amodal_mask: WindowMask
    category_id: int = 1
    category: str = "object"
    instance_id: int | str = 0
    samples: list[MaskSample] = field(default_factory=list)

    @property
    def occlusion_rate(self) -> float:
        """Hidden share of the amodal area, 0 to 1."""
        area = self.amodal_mask.area
        return 1.0 - self.modal_mask.area / area if area else 0.0


@dataclass
class LayeredScene:
    """N complete objects before a complete background.

    Without ``photo``, drawn over the background, those in front last, the layers give it again.

    Attributes:
        background: (H, W, 3) uint8 RGB, the photo where no object is, completed content elsewhere.
        layers: N objects; the graph's nodes are their rows.
        graph: who hides whom.
        file_name: the photo's, for messages.
        description: what made it (method, thresholds, weights), for JSON.
        photo: (H, W, 3) uint8 RGB, what is to be seen while nothing is edited; None where the
            layers have hard edges and say it themselves.
    """

    background: np.ndarray
    layers: list[ObjectLayer]
    graph: OcclusionGraph
    file_name: str = ""
    description: dict = field(default_factory=dict)
    photo: np.ndarray | None = None

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            raise ValueError(f"objects of one scene need different names: {', '.join(names)}")
        if len(self.graph) != len(names):
            raise ValueError(f"a graph of {len(self.graph)} nodes for {len(names)} objects")
        if self.photo is not None and self.photo.shape != self.background.shape:
            raise ValueError(f"photo {self.photo.shape}, background {self.background.shape}")

    @property
    def height(self) -> int:
        return self.background.shape[0]

    @property
    def width(self) -> int:
        return self.background.shape[1]
