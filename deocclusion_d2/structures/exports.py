"""Results of de-occlusion as objects of other libraries, each imported when it is asked for.

N: the instances that took part.
"""

from __future__ import annotations

import importlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .window_mask import WindowMask, intersect_boxes

if TYPE_CHECKING:
    import fiftyone
    import supervision

    from .scene import Deocclusion, Scene


@dataclass(frozen=True)
class InstanceFacts:
    """What is known about an instance beside its masks; ``occluder_ids`` and so on are those that
    conversion writes.

    Attributes:
        id: the row among the masks given to ``predict``; of scenes, the annotation's id.
        occluder_ids: ids of the instances directly in front.
        occluded: whether there are any.
        occlusion_rate: hidden share of the amodal area, 0 to 1.
        z_order: from 0 at the rear, see ``OcclusionGraph.z_order``.
        occlusion_cycle: whether it is in a circle of instances that hide each other.
    """

    id: Hashable
    occluder_ids: list[Hashable]
    occluded: bool
    occlusion_rate: float
    z_order: int
    occlusion_cycle: bool


def instance_facts(result: Deocclusion) -> list[InstanceFacts]:
    """N entries, one for each instance of a result."""
    ids = _ids(result)
    in_cycle = {row for cycle in result.graph.cycles() for row in cycle}
    facts = []
    for row, rank in enumerate(result.graph.z_order()):
        occluders = result.graph.occluders(row)
        amodal, modal = result.amodal_masks[row], _scene_of(result).modal_masks[row]
        rate = (amodal - modal).area / amodal.area if amodal.area else 0.0
        facts.append(
            InstanceFacts(
                ids[row],
                [ids[k] for k in occluders],
                bool(occluders),
                round(rate, 4),
                rank,
                row in in_cycle,
            )
        )
    return facts


def to_supervision(
    result: Deocclusion, class_ids: Sequence[int] | None = None
) -> supervision.Detections:
    """See ``Deocclusion.to_supervision``."""
    supervision = _library("supervision")
    scene, facts = _scene_of(result), instance_facts(result)
    size = (scene.height, scene.width)
    if class_ids is None:
        class_ids = scene.category_ids
    else:
        class_ids = np.asarray(_of_rows(result, class_ids, "class_ids"), np.int64)
    return supervision.Detections(
        xyxy=np.array([mask.box for mask in result.amodal_masks], np.float32).reshape(-1, 4),
        mask=_stack(result.amodal_masks, *size),
        confidence=None if scene.scores is None else np.asarray(scene.scores, np.float32),
        class_id=class_ids,
        data={
            "modal_mask": _stack(scene.modal_masks, *size),
            "annotation_id": [f.id for f in facts],
            "occluder_ids": [f.occluder_ids for f in facts],
            "occluded": np.array([f.occluded for f in facts], bool),
            "occlusion_rate": np.array([f.occlusion_rate for f in facts], np.float64),
            "z_order": np.array([f.z_order for f in facts], np.int64),
            "occlusion_cycle": np.array([f.occlusion_cycle for f in facts], bool),
        },
    )


def to_fiftyone(
    result: Deocclusion, labels: Sequence[str] | None = None
) -> dict[str, fiftyone.Detections]:
    """See ``Deocclusion.to_fiftyone``."""
    fiftyone = _library("fiftyone")
    scene, facts = _scene_of(result), instance_facts(result)
    if labels is None:
        names = [str(category) for category in scene.category_ids]
    else:
        names = [str(label) for label in _of_rows(result, labels, "labels")]

    def detection(row: int, mask: WindowMask) -> fiftyone.Detection | None:
        box = intersect_boxes(mask.box, (0, 0, scene.width, scene.height))
        if box is None:
            return None
        (x0, y0, x1, y1), about = box, facts[row]
        score = {} if scene.scores is None else {"confidence": float(scene.scores[row])}
        return fiftyone.Detection(
            label=names[row],
            bounding_box=[
                x0 / scene.width,
                y0 / scene.height,
                (x1 - x0) / scene.width,
                (y1 - y0) / scene.height,
            ],
            mask=mask.crop(box),
            annotation_id=about.id,
            occluder_ids=about.occluder_ids,
            occluded=about.occluded,
            occlusion_rate=about.occlusion_rate,
            z_order=about.z_order,
            occlusion_cycle=about.occlusion_cycle,
            **score,
        )

    found = {}
    for kind, masks in (("amodal", result.amodal_masks), ("modal", scene.modal_masks)):
        detections = [detection(row, mask) for row, mask in enumerate(masks)]
        found[kind] = fiftyone.Detections(detections=[d for d in detections if d is not None])
    return found


def _library(name: str) -> Any:
    """A module that this package does not require."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise UserError(f"{name} is not installed: pip install {name}") from None


def _scene_of(result: Deocclusion) -> Scene:
    if result.scene is None:
        raise UserError("this result does not know its scene: set result.scene")
    return result.scene


def _ids(result: Deocclusion) -> list[Hashable]:
    return _scene_of(result).instance_ids if result.rows is None else result.rows


def _of_rows(result: Deocclusion, values: Sequence[Any], name: str) -> list[Any]:
    """Of values for the masks that were given, those of the instances that took part."""
    rows = range(len(result.amodal_masks)) if result.rows is None else result.rows
    if len(values) <= max(rows, default=-1):
        raise UserError(f"{len(values)} {name}: give one for each of the masks that were given")
    return [values[row] for row in rows]


def _stack(masks: Sequence[WindowMask], height: int, width: int) -> np.ndarray:
    """(N, H, W) bool."""
    stacked = np.zeros((len(masks), height, width), bool)
    for row, mask in enumerate(masks):
        stacked[row] = mask.to_array(height, width)
    return stacked
