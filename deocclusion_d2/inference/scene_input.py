"""Scenes from what users hold: arrays, pictures, RLE, COCO results, or what predictors give, those
of other libraries among them (``adapters``).

What has one meaning is taken; anything else is one line that says how to make masks of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from detectron2.structures import Instances, PolygonMasks
from PIL import Image
from pycocotools import mask as mask_util

from ..adapters import Predictions, from_results
from ..data.datasets import parse_prediction, prediction_mask, to_rle
from ..errors import UserError
from ..structures import DEFAULT_MIN_SCORE, Scene, WindowMask, resolve_overlaps

# A pixel whose probability is at least this is foreground, as where Detectron2 pastes masks.
PROBABILITY_THRESHOLD = 0.5


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
        other_size: what to do where the image is of another size; may be empty.
    """

    height: int
    width: int
    count: int
    mask: Callable[[int], WindowMask]
    scores: np.ndarray | None = None
    category_ids: Sequence[int] | None = None
    classes: Sequence[int] | None = None
    other_size: str = ""


def scene_from_masks(
    masks: Any,
    category_ids: Sequence[int] | None = None,
    image: np.ndarray | Image.Image | None = None,
    *,
    min_score: float = DEFAULT_MIN_SCORE,
    contiguous_ids: Mapping[int, int] | None = None,
    needs_category: bool = False,
    amodal_boxes: np.ndarray | Sequence[Sequence[float]] | None = None,
    masks_are_amodal: bool = False,
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
    image = None if image is None else _as_rgb(image)
    if category_ids is not None:
        category_ids = _as_ids(category_ids)
    given = _given(masks, image, None if category_ids is None else len(category_ids))
    size = (given.height, given.width)
    if image is not None and image.shape[:2] != size:
        raise UserError(
            f"the image is {image.shape[1]} x {image.shape[0]} pixels, "
            f"the masks {given.width} x {given.height}"
            + (f": {given.other_size}" if given.other_size else "")
        )
    if category_ids is None:
        category_ids = _category_ids(given, contiguous_ids, needs_category)
    if len(category_ids) != given.count:
        raise UserError(f"{given.count} masks, {len(category_ids)} category ids: give one per mask")
    rows = list(range(given.count))
    if given.scores is not None:
        if not np.isfinite(given.scores).all():
            raise UserError("the masks' scores are not all finite numbers")
        rows = np.flatnonzero(given.scores >= min_score).tolist()
    windows = [given.mask(row) for row in rows]
    if given.scores is not None and not masks_are_amodal:
        windows = resolve_overlaps(windows, given.scores[rows])
    categories = np.asarray(category_ids, dtype=np.int64)[rows]
    scores = None if given.scores is None else given.scores[rows].tolist()
    scene = Scene(
        *size, windows, categories, image=image, scores=scores, masks_are_amodal=masks_are_amodal
    )
    if amodal_boxes is not None:
        scene.amodal_boxes = _as_boxes(amodal_boxes, given.count)[rows]
    return scene, rows


def _as_boxes(given: Any, count: int) -> np.ndarray:
    """(N, 4) float64 boxes (x0, y0, x1, y1) of N masks, NaN rows where there is none."""
    try:
        boxes = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        boxes = np.zeros(0)
    if boxes.shape != (count, 4):
        raise UserError(
            f"amodal_boxes: give one box (x0, y0, x1, y1) for each of {count} masks, with NaN for "
            "those that have none"
        )
    unknown = np.isnan(boxes).all(axis=1)
    partly = np.flatnonzero(~unknown & ~np.isfinite(boxes).all(axis=1))
    if len(partly):
        raise UserError(
            f"amodal_boxes: row {partly[0]} is {boxes[partly[0]].tolist()}; give four finite "
            "numbers, or NaN for all of them"
        )
    wrong = np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(axis=1))
    if len(wrong):
        raise UserError(
            f"amodal_boxes: row {wrong[0]} is {boxes[wrong[0]].tolist()}, but x1 and y1 must be "
            "above x0 and y0"
        )
    return boxes


def binary_mask(values: object, where: str) -> np.ndarray:
    """A mask from an array that can only mean one.

    Booleans; the numbers 0 and 1, or 0 and 255; or probabilities in [0, 1], of which those of
    ``PROBABILITY_THRESHOLD`` and above are foreground.

    Args:
        values: (H, W) array, tensor, or picture of Pillow of one channel.
        where: how messages name it.

    Returns:
        (H, W) bool.

    Raises:
        UserError: logits, labels, values that are not finite, or another shape.
    """
    array = _as_array(values, where)
    if array.ndim != 2:
        raise UserError(f"{where} has shape {array.shape}: give (H, W)")
    if array.dtype == bool:
        return array
    if array.dtype.kind not in "uif":
        raise UserError(f"{where} holds {array.dtype} values: give booleans")
    if not array.size:
        return array.astype(bool)
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(f"{where} holds values that are not finite: give booleans")
    one = 255 if high == 255 else 1
    binary = array == one
    if low >= 0 and (binary | (array == 0)).all():
        return binary
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return array >= PROBABILITY_THRESHOLD
    found = f"{where} holds values from {low:g} to {high:g}"
    if array.dtype.kind == "f":
        raise UserError(f"{found}, no mask: of logits give logits > 0, else booleans")
    raise UserError(
        f"{found}, no mask: of labels give one mask a label (labels == 1, labels == 2, ...)"
    )


def _as_array(values: object, where: str) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16.
        return (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    if isinstance(values, Image.Image):
        if values.mode not in ("1", "L"):
            raise UserError(
                f"{where} is a picture of {values.mode} pixels: give one of mode 1 or L "
                "(picture.convert('L'))"
            )
        return np.asarray(values)
    try:
        return np.asarray(values)
    except ValueError:  # lists of different lengths
        raise UserError(f"{where} is no (H, W) array") from None


def _as_rgb(image: object) -> np.ndarray:
    """The image of a scene.

    Raises:
        UserError: it is no (H, W, 3) uint8.
    """
    if isinstance(image, Image.Image):
        if image.mode != "RGB":
            raise UserError(f"the image is a picture of {image.mode} pixels: convert it to RGB")
        image = np.array(image)
    elif isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise UserError(f"the image is a {type(image).__name__}: give (H, W, 3) uint8 RGB")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UserError(
            f"the image has shape {image.shape} and {image.dtype} values: give (H, W, 3) uint8 RGB"
        )
    return image


def _as_ids(category_ids: object) -> list[int]:
    """Category ids as integers.

    Raises:
        UserError: names, or numbers that are no integers.
    """
    if isinstance(category_ids, torch.Tensor | np.ndarray):
        category_ids = category_ids.tolist()
    if isinstance(category_ids, str) or not isinstance(category_ids, Iterable):
        raise UserError(f"category_ids is {category_ids!r}: give one id per mask")
    ids = []
    for row, value in enumerate(category_ids):
        whole = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
        if not whole or not np.isfinite(value) or value != int(value):
            hint = "" if not isinstance(value, str) else ", not names"
            raise UserError(
                f"category_ids[{row}] is {value!r}: give the integer ids of the data set that the "
                f"network was trained on{hint}"
            )
        ids.append(int(value))
    return ids


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
            "these masks have class numbers, the model wants category ids of its data set: "
            "pass category_ids, or contiguous_ids "
            "(MetadataCatalog.get(NAME).thing_dataset_id_to_contiguous_id)"
        )
    id_of_class = {number: category for category, number in contiguous_ids.items()}
    unknown = sorted(set(given.classes) - set(id_of_class))
    if unknown:
        raise UserError(f"class {unknown[0]} of these masks is not among contiguous_ids")
    return [id_of_class[number] for number in given.classes]


# -------------------------------------------------------------------- the forms


def _given(masks: Any, image: np.ndarray | None, count: int | None) -> _Masks:
    """The masks, by their form.

    Args:
        image: of the scene, or None.
        count: how many category ids there are; None where none are given.
    """
    predictions = from_results(masks)
    if predictions is not None:
        return _from_predictions(predictions, image)
    if isinstance(masks, Mapping) and isinstance(masks.get("instances"), Instances):
        masks = masks["instances"]
    if isinstance(masks, Instances):
        return _from_instances(masks)
    if isinstance(masks, np.ndarray | torch.Tensor):
        return _from_array(masks, image, count)
    if isinstance(masks, Mapping):
        raise UserError(
            f"masks is a dict of {', '.join(map(repr, masks)) or 'nothing'}: give a list of RLEs "
            "or results, an (N, H, W) array, or Instances"
        )
    if isinstance(masks, str | bytes | Image.Image) or not isinstance(masks, Iterable):
        raise UserError(f"masks is a {type(masks).__name__}: give a list of masks, or an array")
    masks = list(masks)
    if not masks:
        return _no_masks(image)
    if isinstance(masks[0], Mapping):
        if len(masks) == 1 and isinstance(masks[0].get("instances"), Instances):
            return _from_instances(masks[0]["instances"])
        return _from_dicts(masks, image)
    return _from_list(masks)


def _no_masks(image: np.ndarray | None) -> _Masks:
    if image is None:
        raise UserError("no masks and no image: the size of the scene is unknown")
    return _Masks(image.shape[0], image.shape[1], 0, lambda row: WindowMask.empty())


def _from_predictions(given: Predictions, image: np.ndarray | None) -> _Masks:
    if given.masks.ndim != 3:
        raise UserError(f"the predicted masks have shape {given.masks.shape}, not (N, H, W)")
    for name, values in (("scores", given.scores), ("class numbers", given.classes)):
        if values is not None and len(values) != len(given.masks):
            raise UserError(f"{len(given.masks)} masks, {len(values)} {name}: give one per mask")
    if 0 in given.masks.shape[1:]:
        return _no_masks(image)
    return _Masks(
        *given.masks.shape[1:],
        len(given.masks),
        lambda row: WindowMask.from_array(given.masks[row]),
        given.scores,
        classes=given.classes,
        other_size=given.other_size,
    )


def _from_array(
    masks: np.ndarray | torch.Tensor, image: np.ndarray | None, count: int | None
) -> _Masks:
    if masks.ndim != 3:
        hint = {2: "; of one mask, mask[None]", 4: "; of (N, 1, H, W), masks[:, 0]"}
        raise UserError(
            f"masks have shape {tuple(masks.shape)}: give (N, H, W){hint.get(masks.ndim, '')}"
        )
    shape = tuple(masks.shape)
    if image is not None and shape[1:] != image.shape[:2] and shape[:2] == image.shape[:2]:
        masks = np.moveaxis(_as_array(masks, "masks"), -1, 0)
    elif image is None and _may_come_last(shape, count):
        raise UserError(
            f"masks have shape {shape}, which looks like (H, W, N): give (N, H, W), such as "
            "masks.transpose(2, 0, 1) (permute, of a tensor), or the image too, which tells"
        )
    return _Masks(
        masks.shape[1],
        masks.shape[2],
        len(masks),
        lambda row: WindowMask.from_array(binary_mask(masks[row], f"mask {row}")),
    )


def _may_come_last(shape: tuple[int, ...], count: int | None) -> bool:
    """Whether what should be (N, H, W) is as likely (H, W, N), as far as the number of ids tells.

    Images are seldom narrower than high and than they have objects.
    """
    if count is not None:
        return shape[0] != count and shape[2] == count
    return 0 < shape[2] < min(shape[:2])


def _from_list(masks: Sequence[Any]) -> _Masks:
    """Arrays, tensors or pictures, one a mask."""
    arrays = [_as_array(mask, f"mask {row}") for row, mask in enumerate(masks)]
    for row, array in enumerate(arrays):
        if array.ndim != 2 or not array.size:
            raise UserError(f"mask {row} has shape {array.shape}: give (H, W)")
        if array.shape != arrays[0].shape:
            raise UserError(
                f"mask {row} has shape {array.shape}, mask 0 {arrays[0].shape}: give masks of one "
                "size, that of the image"
            )
    return _Masks(
        *arrays[0].shape,
        len(arrays),
        lambda row: WindowMask.from_array(binary_mask(arrays[row], f"mask {row}")),
    )


def _from_dicts(masks: Sequence[dict], image: np.ndarray | None) -> _Masks:
    for row, mask in enumerate(masks):
        if not isinstance(mask, Mapping):
            raise UserError(f"mask {row} is a {type(mask).__name__}, mask 0 a dict")
    if "segmentation" in masks[0]:
        # What Segment Anything's generator gives has neither image nor category.
        if not any(key in mask for mask in masks for key in ("image_id", "category_id", "score")):
            return _from_regions(masks, image)
        return _from_results(masks, image)
    if "counts" not in masks[0]:
        raise UserError(
            f"mask 0 is a dict of {', '.join(map(repr, masks[0])) or 'nothing'}: give RLEs (size "
            "and counts), or entries of COCO results"
        )
    height, width = _size_of(masks[0], "mask 0", image)

    def mask(row: int) -> WindowMask:
        return _from_rle(masks[row], height, width, f"mask {row}")

    return _Masks(height, width, len(masks), mask)


def _from_regions(masks: Sequence[dict], image: np.ndarray | None) -> _Masks:
    """Dicts that hold a mask each, as array or RLE, without scores: overlaps stay."""
    regions = []
    for row, entry in enumerate(masks):
        if "segmentation" not in entry:
            raise UserError(f"mask {row} has no key 'segmentation', which others have")
        regions.append(entry["segmentation"])
    if not isinstance(regions[0], Mapping):
        if any(isinstance(region, Mapping | list) for region in regions):
            raise UserError(
                "the masks' 'segmentation' are not all arrays, or all RLEs: give arrays"
            )
        return _from_list(regions)
    return _from_dicts(regions, image)


def _from_results(entries: Sequence[dict], image: np.ndarray | None) -> _Masks:
    predictions = [parse_prediction(raw, number) for number, raw in enumerate(entries, 1)]
    for prediction in predictions:
        if prediction.image_id != predictions[0].image_id:
            raise UserError(
                f"entry {prediction.number} is of image {prediction.image_id!r}, the first of "
                f"{predictions[0].image_id!r}: give the entries of one image"
            )
    height, width = _size_of(predictions[0].segmentation, "entry 1: 'segmentation'", image)
    return _Masks(
        height,
        width,
        len(predictions),
        lambda row: WindowMask.from_rle(prediction_mask(predictions[row], height, width)),
        np.array([p.score for p in predictions]),
        [p.category_id for p in predictions],
    )


def rle_size(segmentation: object) -> tuple[int, int] | None:
    """(H, W) that an RLE says; None for other masks, and for a size that is none."""
    size = segmentation.get("size") if isinstance(segmentation, Mapping) else None
    if not isinstance(size, list | tuple) or len(size) != 2:
        return None
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) and n > 0 for n in size)
    return (int(size[0]), int(size[1])) if whole else None


def _size_of(segmentation: object, where: str, image: np.ndarray | None) -> tuple[int, int]:
    """(H, W) of an RLE, or of the image where the segmentation does not tell.

    Raises:
        UserError: neither tells.
    """
    if isinstance(segmentation, Mapping):
        size = rle_size(segmentation)
        if size is None:
            raise UserError(
                f"{where}: the RLE's size is {segmentation.get('size')!r}, not [height, width]"
            )
        return size
    if image is None:
        raise UserError(f"{where} is no RLE, and without image its size is unknown")
    return image.shape[:2]


def _from_rle(rle: object, height: int, width: int, where: str) -> WindowMask:
    try:
        return WindowMask.from_rle(to_rle(rle, height, width))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


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
            rings = masks.polygons[row]
            if not rings:
                return WindowMask.empty()
            # As Detectron2 fills them.
            rles = mask_util.frPyObjects(rings, height, width)
            return WindowMask.from_rle(mask_util.merge(rles))

    else:
        # BitMasks and the like hold a tensor.
        arrays = getattr(masks, "tensor", masks)
        shape = tuple(arrays.shape)
        if len(shape) != 3 or shape[1:] != (height, width):
            raise UserError(
                f"the Instances' masks have shape {shape}: paste them into the image "
                f"of {height} x {width} pixels (detectron2.modeling.postprocessing)"
            )

        def mask(row: int) -> WindowMask:
            return WindowMask.from_array(binary_mask(arrays[row], f"{kind}_masks[{row}]"))

    scores, classes = None, None
    if instances.has("scores"):
        scores = instances.scores.detach().double().cpu().numpy()
    if instances.has(f"{kind}_classes"):
        classes = instances.get(f"{kind}_classes").tolist()
    return _Masks(height, width, len(instances), mask, scores, classes=classes)
