"""Scenes from what users hold: arrays, RLE, COCO results, or Detectron2's Instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from detectron2.structures import BitMasks, Instances, PolygonMasks, polygons_to_bitmask

from ..data.datasets import parse_prediction, prediction_mask, to_rle
from ..errors import UserError
from ..structures import DEFAULT_MIN_SCORE, Scene, WindowMask, resolve_overlaps


@dataclass
class _Masks:
    """N masks of an image, whatever their form.

    Attributes:
        height, width: image size in pixels.
        count: N.
        mask: gives the mask of a row.
        scores: (N,) float64; None where the form has none.
        category_ids: N ids of the data set; None where the form has none.
        classes: N contiguous class numbers; None where the form has none.
    """

    height: int
    width: int
    count: int
    mask: Callable[[int], WindowMask]
    scores: np.ndarray | None = None
    category_ids: Sequence[int] | None = None
    classes: Sequence[int] | None = None


def scene_from_masks(
    masks: np.ndarray | torch.Tensor | Sequence[dict] | Instances,
    category_ids: Sequence[int] | None = None,
    image: np.ndarray | None = None,
    *,
    min_score: float = DEFAULT_MIN_SCORE,
    contiguous_ids: Mapping[int, int] | None = None,
    needs_category: bool = False,
) -> tuple[Scene, list[int]]:
    """Build a scene; see ``Deoccluder.predict`` for the other arguments.

    Args:
        min_score: masks whose score is below it are left out.
        needs_category: refuse class numbers that nothing turns into category ids.

    Returns:
        The scene, and of each of its instances the row among the masks given.

    Raises:
        UserError: masks that are not one of the accepted forms, or of several sizes.
    """
    if isinstance(masks, Instances):
        given = _from_instances(masks)
    elif isinstance(masks, np.ndarray | torch.Tensor):
        given = _from_array(masks)
    else:
        given = _from_dicts(masks, image)
    size = (given.height, given.width)
    if image is not None and image.shape[:2] != size:
        raise UserError(
            f"the image is {image.shape[1]} x {image.shape[0]} pixels, "
            f"the masks {given.width} x {given.height}"
        )
    if category_ids is None:
        category_ids = _category_ids(given, contiguous_ids, needs_category)
    if len(category_ids) != given.count:
        raise UserError(f"{given.count} masks, {len(category_ids)} category ids: give one per mask")
    rows = list(range(given.count))
    if given.scores is not None:
        rows = np.flatnonzero(given.scores >= min_score).tolist()
    windows = [given.mask(row) for row in rows]
    if given.scores is not None:
        windows = resolve_overlaps(windows, given.scores[rows])
    categories = np.asarray(category_ids, dtype=np.int64)[rows]
    return Scene(*size, windows, categories, image=image), rows


def _category_ids(
    given: _Masks, contiguous_ids: Mapping[int, int] | None, needed: bool
) -> Sequence[int]:
    """Ids of the data set, as far as they are known; 1 where they are not."""
    if given.category_ids is not None:
        return given.category_ids
    if given.classes is None or (contiguous_ids is None and not needed):
        return np.ones(given.count, dtype=np.int64)
    if contiguous_ids is None:
        raise UserError(
            "these Instances have class numbers, the model wants category ids of its data set: "
            "pass category_ids, or contiguous_ids "
            "(MetadataCatalog.get(NAME).thing_dataset_id_to_contiguous_id)"
        )
    id_of_class = {number: category for category, number in contiguous_ids.items()}
    unknown = sorted(set(given.classes) - set(id_of_class))
    if unknown:
        raise UserError(f"class {unknown[0]} of these Instances is not among contiguous_ids")
    return [id_of_class[number] for number in given.classes]


# -------------------------------------------------------------------- the forms


def _from_array(masks: np.ndarray | torch.Tensor) -> _Masks:
    array = masks.detach().cpu().numpy() if isinstance(masks, torch.Tensor) else masks
    if array.ndim != 3:
        raise UserError(f"masks have shape {array.shape}: give (N, H, W)")
    return _Masks(
        array.shape[1], array.shape[2], len(array), lambda row: WindowMask.from_array(array[row])
    )


def _from_dicts(masks: Sequence[dict], image: np.ndarray | None) -> _Masks:
    if not len(masks):
        if image is None:
            raise UserError("no masks and no image: the size of the scene is unknown")
        return _Masks(image.shape[0], image.shape[1], 0, lambda row: WindowMask.empty())
    if "segmentation" in masks[0]:
        return _from_results(masks, image)
    height, width = masks[0]["size"]
    return _Masks(
        height,
        width,
        len(masks),
        lambda row: WindowMask.from_rle(to_rle(masks[row], height, width)),
    )


def _from_results(entries: Sequence[dict], image: np.ndarray | None) -> _Masks:
    predictions = [parse_prediction(raw, number) for number, raw in enumerate(entries, 1)]
    for prediction in predictions:
        if prediction.image_id != predictions[0].image_id:
            raise UserError(
                f"entry {prediction.number} is of image {prediction.image_id!r}, the first of "
                f"{predictions[0].image_id!r}: give the entries of one image"
            )
    first = predictions[0].segmentation
    if isinstance(first, Mapping) and "size" in first:
        height, width = first["size"]
    elif image is not None:
        height, width = image.shape[:2]
    else:
        raise UserError("entry 1: 'segmentation' is no RLE, and without image its size is unknown")
    return _Masks(
        height,
        width,
        len(predictions),
        lambda row: WindowMask.from_rle(prediction_mask(predictions[row], height, width)),
        np.array([p.score for p in predictions]),
        [p.category_id for p in predictions],
    )


def _from_instances(instances: Instances) -> _Masks:
    for kind in ("pred", "gt"):
        if instances.has(f"{kind}_masks"):
            masks = instances.get(f"{kind}_masks")
            break
    else:
        raise UserError("these Instances have neither pred_masks nor gt_masks")
    height, width = instances.image_size
    if isinstance(masks, PolygonMasks):

        def mask(row: int) -> WindowMask:
            return WindowMask.from_array(polygons_to_bitmask(masks.polygons[row], height, width))

    else:
        tensor = masks.tensor if isinstance(masks, BitMasks) else masks
        if tensor.ndim != 3 or tuple(tensor.shape[1:]) != (height, width):
            raise UserError(
                f"the Instances' masks have shape {tuple(tensor.shape)}: paste them into the image "
                f"of {height} x {width} pixels (detectron2.modeling.postprocessing)"
            )

        def mask(row: int) -> WindowMask:
            return WindowMask.from_array(tensor[row].cpu().numpy())

    scores, classes = None, None
    if instances.has("scores"):
        scores = instances.scores.detach().double().cpu().numpy()
    if instances.has(f"{kind}_classes"):
        classes = instances.get(f"{kind}_classes").tolist()
    return _Masks(height, width, len(instances), mask, scores, classes=classes)
