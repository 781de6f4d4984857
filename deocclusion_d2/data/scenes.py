"""From a dataset dict to the scene that is de-occluded and what is known about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UserError
from ..structures import (
    Deocclusion,
    MaskSample,
    OcclusionGraph,
    ProbabilityMap,
    Scene,
    SceneTruth,
    WindowMask,
    known_scores,
)
from ..structures.mask_sample import samples_from_json
from .full_objects import Unhidden, full_object_of, knows_hidden_colours
from .images import read_rgb
from .places import place_of


def scene_from_record(record: dict, load_image: bool = False) -> tuple[Scene, SceneTruth]:
    """Build the scene of an image. Crowd regions are left out.

    Args:
        record: dataset dict as ``deocclusion_d2.data.datasets`` makes it.
        load_image: read the image file (RGB).

    Raises:
        UserError: the image is read, and cannot be, or has another size than the masks; a mask is
            damaged.
    """
    rows = [i for i, a in enumerate(record["annotations"]) if not a.get("iscrowd", 0)]
    annotations = [record["annotations"][i] for i in rows]
    modal_masks = [_mask(record, a, "modal_segmentation") for a in annotations]
    # What was not predicted has no score, and needs none.
    scores = [
        a.get("score", 0.0 if mask.is_empty else None)
        for a, mask in zip(annotations, modal_masks, strict=True)
    ]
    scene = Scene(
        height=record["height"],
        width=record["width"],
        modal_masks=modal_masks,
        category_ids=np.array([a["dataset_category_id"] for a in annotations], dtype=np.int64),
        instance_ids=[a["id"] for a in annotations],
        image=_pixels(record) if load_image else None,
        image_id=record["image_id"],
        file_name=record["file_name"],
        scores=known_scores(scores) if any("score" in a for a in annotations) else None,
        amodal_boxes=corner_boxes([a.get("given_amodal_bbox") for a in annotations]),
    )
    truth = _truth(record, annotations, {row: i for i, row in enumerate(rows)})
    if load_image and knows_hidden_colours(record):
        truth.unhidden = Unhidden([full_object_of(record, a) for a in annotations])
    return scene, truth


def deocclusion_from_record(record: dict, scene: Scene, truth: SceneTruth) -> Deocclusion:
    """The result that a converted JSON holds for one image.

    Its masks, ``occluder_ids`` as graph with their confidences, and ``hidden_probability`` and
    ``samples`` where there are any.

    Args:
        record: dataset dict of format "pseudo_amodal".
        scene, truth: what ``scene_from_record`` makes of it.

    Raises:
        UserError: an occluder is not in the image, is the instance itself, or is hidden by it; a
            probability or a sample that cannot be read.
    """
    row_of = {instance: row for row, instance in enumerate(scene.instance_ids)}
    graph = OcclusionGraph(len(scene))
    probabilities: list[ProbabilityMap | None] = [None] * len(scene)
    samples: list[list[MaskSample]] = [[] for _ in scene.modal_masks]
    for annotation in record["annotations"]:
        where = place_of(record, annotation)
        if annotation["id"] not in row_of:
            continue
        occluders = annotation.get("occluder_ids", ())
        for occluder, confidence in zip(occluders, _confidences(annotation, where), strict=True):
            if occluder == annotation["id"]:
                raise UserError(f"{where}: it occludes itself")
            if occluder not in row_of:
                raise UserError(f"{where}: its occluder {occluder} is not in this image")
            try:
                rows = row_of[occluder], row_of[annotation["id"]]
                graph.add_occlusion(*rows, confidence=confidence)
            except ValueError:
                raise UserError(f"{where}: it and {occluder} occlude each other") from None
        if "hidden_probability" in annotation:
            try:
                kept = ProbabilityMap.from_json(annotation["hidden_probability"])
            except (ValueError, TypeError, KeyError) as error:
                raise UserError(f"{where}: 'hidden_probability': {error}") from None
            probabilities[row_of[annotation["id"]]] = kept
        if "samples" in annotation:
            samples[row_of[annotation["id"]]] = _samples(annotation["samples"], scene, where)
    masks = truth.amodal_masks if truth.amodal_masks is not None else scene.modal_masks
    known = any(kept is not None for kept in probabilities)
    return Deocclusion(
        graph,
        masks,
        probabilities=probabilities if known else None,
        samples=samples if any(samples) else None,
    )


def _samples(given: object, scene: Scene, where: str) -> list[MaskSample]:
    """The completions that conversion wrote of an annotation.

    Raises:
        UserError: they are none, or one cannot be read.
    """
    try:
        return samples_from_json(given, scene.height, scene.width)
    except (ValueError, UserError) as error:
        raise UserError(f"{where}: 'samples': {error}") from None


def _confidences(annotation: dict, where: str) -> list[float | None]:
    """Of each occluder; None where conversion wrote none.

    Raises:
        UserError: they are no list of as many numbers from 0 to 1.
    """
    count = len(annotation.get("occluder_ids", ()))
    given = annotation.get("occluder_confidences")
    if given is None:
        return [None] * count
    is_list = isinstance(given, list) and len(given) == count
    if not is_list or not all(
        isinstance(c, (int, float)) and not isinstance(c, bool) and 0 <= c <= 1 for c in given
    ):
        raise UserError(
            f"{where}: 'occluder_confidences' is not one number from 0 to 1 for each occluder"
        )
    return given


class SceneMapper:
    """Dataset mapper for evaluation: adds ``scene`` (Scene) and ``truth`` (SceneTruth)."""

    def __init__(self, load_image: bool = False) -> None:
        self.load_image = load_image

    def __call__(self, dataset_dict: dict) -> dict:
        scene, truth = scene_from_record(dataset_dict, self.load_image)
        kept = ("image_id", "file_name", "height", "width")
        return {**{k: dataset_dict[k] for k in kept}, "scene": scene, "truth": truth}


def corner_boxes(boxes: Sequence[Sequence[float] | None]) -> np.ndarray | None:
    """``Scene.amodal_boxes`` of N boxes [x, y, w, h]; None where there is none."""
    if not any(box is not None for box in boxes):
        return None
    corners = np.full((len(boxes), 4), np.nan)
    for row, box in zip(corners, boxes, strict=True):
        if box is not None:
            x, y, w, h = box
            row[:] = x, y, x + w, y + h
    return corners


def _mask(record: dict, annotation: dict, key: str) -> WindowMask:
    try:
        return WindowMask.from_rle(annotation[key])
    except UserError as error:
        raise UserError(f"{place_of(record, annotation)}: '{key}': {error}") from None


def _pixels(record: dict) -> np.ndarray:
    return read_rgb(record["file_name"], (record["height"], record["width"]))


def _truth(record: dict, annotations: list[dict], row_of: dict[int, int]) -> SceneTruth:
    truth = SceneTruth()
    if annotations and all("true_modal_segmentation" in a for a in annotations):
        truth.modal_masks = [_mask(record, a, "true_modal_segmentation") for a in annotations]
    if annotations and all("amodal_segmentation" in a for a in annotations):
        truth.amodal_masks = [_mask(record, a, "amodal_segmentation") for a in annotations]
        exact = np.array([a.get("amodal_exact", True) is not False for a in annotations])
        truth.amodal_exact = None if exact.all() else exact
    if any("amodal_bbox" in a for a in annotations):
        boxes = np.full((len(annotations), 4), np.nan)
        for box, annotation in zip(boxes, annotations, strict=True):
            # KITTI's box of a truncated object ends where its image does: not its amodal box.
            if "amodal_bbox" in annotation and not annotation.get("truncated", 0) > 0:
                x, y, w, h = annotation["amodal_bbox"]
                box[:] = x, y, x + w, y + h
        truth.amodal_boxes = boxes
    if any("occlusion_level" in a for a in annotations):
        truth.occlusion_levels = np.array([a.get("occlusion_level", -1) for a in annotations])
    if any("depth" in a for a in annotations):
        truth.depths = np.array([a.get("depth", np.nan) for a in annotations], dtype=float)
    if record.get("depth_constraints") is not None:
        truth.depth_constraints = [
            (row_of[i], row_of[j])
            for i, j in record["depth_constraints"]
            if i in row_of and j in row_of
        ]
    return truth
