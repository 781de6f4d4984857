"""COCO results: the masks that an instance-segmentation network has predicted.

A results JSON is a list of ``{image_id, category_id, segmentation, score}`` with optional ``bbox``,
``id`` and ``annotation_id``, as Detectron2's COCOEvaluator writes ``coco_instances_results.json``.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as mask_util

from ...json_files import is_number
from ...structures import DEFAULT_MIN_SCORE, resolve_rle_overlaps
from ...structures.run_lengths import empty_rle
from .assumptions import Assumptions
from .formats import read_id
from .segmentation import InvalidAnnotation, shown, to_rle

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """An entry of a results JSON.

    Attributes:
        number: its place in the list, from 1.
        image_id, category_id: of the data set, as in the file.
        score: of the detector; higher is surer.
        annotation_id: the ground-truth instance it belongs to; None where the file does not say.
        segmentation: the mask as the file writes it, unchecked; see ``prediction_mask``.
    """

    number: int
    image_id: int | str
    category_id: int
    score: float
    annotation_id: int | str | None
    segmentation: object


def parse_prediction(
    raw: object,
    number: int,
    image_ids: Collection[int | str] | None = None,
    category_ids: Collection[int] | None = None,
) -> Prediction:
    """Check one entry, but for its mask.

    Args:
        raw: the entry.
        number: its place in the list, from 1.
        image_ids, category_ids: those of the data set; None to take any.

    Raises:
        InvalidAnnotation: naming the entry (the caller adds the file).
    """
    where = f"entry {number}"
    if not isinstance(raw, Mapping):
        raise InvalidAnnotation(f"{where}: a {type(raw).__name__}, not an object")
    for key in ("image_id", "category_id", "score", "segmentation"):
        if key not in raw:
            raise InvalidAnnotation(f"{where}: it has no key '{key}'")
    score = raw["score"]
    image_id = _known_id(raw["image_id"], image_ids)
    if image_id is None:
        raise InvalidAnnotation(
            f"{where}: image id {shown(raw['image_id'])} is not among the images"
        )
    category_id = _known_id(raw["category_id"], category_ids)
    if not _is_integer(category_id):
        raise InvalidAnnotation(
            f"{where}: category id {shown(raw['category_id'])} is not among the categories"
        )
    if not is_number(score):
        raise InvalidAnnotation(f"{where}: 'score' is {shown(score)}, not a number")
    for key in ("id", "annotation_id"):
        if key in raw and not _is_id(_known_id(raw[key])):
            raise InvalidAnnotation(
                f"{where}: '{key}' is {shown(raw[key])}, not an integer of 64 bits or a text"
            )
    annotation_id = _known_id(raw["annotation_id"]) if "annotation_id" in raw else None
    return Prediction(
        number, image_id, category_id, float(score), annotation_id, raw["segmentation"]
    )


def prediction_mask(
    prediction: Prediction, height: int, width: int, assumed: list[str] | None = None
) -> dict:
    """The checked mask: compressed RLE of the image's size, ``counts`` as str.

    Args:
        prediction: with the mask.
        height, width: of the image in pixels.
        assumed: see ``to_rle``.

    Raises:
        InvalidAnnotation: naming the entry.
    """
    try:
        return to_rle(prediction.segmentation, height, width, assumed)
    except InvalidAnnotation as error:
        raise InvalidAnnotation(f"entry {prediction.number}: 'segmentation': {error}") from None


def match_by_iou(
    predicted: Sequence[dict],
    scores: Sequence[float],
    predicted_categories: Sequence[int],
    true: Sequence[dict],
    true_categories: Sequence[int],
    threshold: float = 0.5,
) -> list[int]:
    """Match the predictions of an image to its true instances, as COCO's evaluation does.

    In the order of their scores, each prediction takes the instance of its category with which it
    has the highest IoU, among those that are not taken; none where that is below the threshold.

    Args:
        predicted, true: P and T compressed RLEs of modal masks.
        scores: P numbers. Of equal ones the earlier prediction chooses first.
        predicted_categories, true_categories: P and T category ids.
        threshold: least IoU of a match.

    Returns:
        T numbers: the prediction of each true instance, -1 for none.
    """
    matches = [-1] * len(true)
    if not len(predicted) or not len(true):
        return matches
    ious = np.array(mask_util.iou(list(predicted), list(true), [0] * len(true)))
    ious[np.not_equal.outer(predicted_categories, true_categories)] = -1.0
    for row in np.argsort(-np.asarray(scores, dtype=float), kind="stable").tolist():
        best = int(ious[row].argmax())
        if ious[row, best] >= threshold:
            matches[best] = row
            ious[:, best] = -1.0
    return matches


def load_predicted_dicts(
    results_json: str, truth_name: str, min_score: float = DEFAULT_MIN_SCORE
) -> list[dict]:
    """A data set whose modal masks are predicted ones (Sec. 4.1 and Table 3 of the paper).

    Every true instance gets the mask of the prediction that belongs to it. Where the entries of the
    results have an ``annotation_id``, that says which (in the paper the network was given the box
    of each instance), and scores leave none out; else ``match_by_iou`` on the modal masks, after
    predictions below ``min_score`` are left out. Then a pixel that several of these hold goes to
    the one of the highest score. Predictions that belong to no instance are dropped.

    Args:
        results_json: a results JSON.
        truth_name: a registered data set of this package.
        min_score: see above.

    Returns:
        The dicts of the truth (see ``load_dataset_dicts``), in which of every annotation that is no
        crowd region ``modal_segmentation`` is the predicted mask, ``true_modal_segmentation`` the
        true one, and ``score`` the prediction's. An instance without a prediction has an empty
        ``modal_segmentation`` and no ``score``. All else, above all what Mask R-CNN would be
        trained on, is the truth's.

    Raises:
        InvalidAnnotation: one line naming file and entry.
    """
    # The rest of this module needs no Detectron2.
    from detectron2.data import DatasetCatalog, MetadataCatalog

    from .load import read_json

    raw_entries = read_json(results_json)
    if not isinstance(raw_entries, list):
        raise InvalidAnnotation(f"{results_json}: the file holds no list of predictions")
    records = DatasetCatalog.get(truth_name)
    categories = MetadataCatalog.get(truth_name).thing_dataset_id_to_contiguous_id
    image_ids = {record["image_id"] for record in records}
    by_image: dict[int | str, list[Prediction]] = defaultdict(list)
    assumed = Assumptions()
    try:
        entries = [
            parse_prediction(raw, number, image_ids, categories)
            for number, raw in enumerate(raw_entries, 1)
        ]
        by_id = _all_have_annotation_ids(entries)
        for entry in entries:
            if by_id or entry.score >= min_score:
                by_image[entry.image_id].append(entry)
        result = [
            _with_predictions(record, by_image[record["image_id"]], by_id, truth_name, assumed)
            for record in records
        ]
    except InvalidAnnotation as error:
        raise InvalidAnnotation(f"{results_json}: {error}") from None
    for row in assumed.rows():
        logger.warning("%s: %s", results_json, " ".join(row))
    instances = [a for r in result for a in r["annotations"] if not a.get("iscrowd", 0)]
    matched = sum("score" in a for a in instances)
    how = "their annotation_id" if by_id else f"IoU, those with a score of {min_score:g} or more"
    logger.info(
        "%s: %d predictions, matched by %s: %d of the %d instances of %s have one, %d have none",
        results_json,
        len(entries),
        how,
        matched,
        len(instances),
        truth_name,
        len(instances) - matched,
    )
    return result


def _all_have_annotation_ids(entries: Sequence[Prediction]) -> bool:
    """Whether the entries say which instance they belong to: all, or none of them."""
    have = [entry.annotation_id is not None for entry in entries]
    if any(have) and not all(have):
        raise InvalidAnnotation(
            f"entry {have.index(False) + 1}: it has no key 'annotation_id', which others have"
        )
    return any(have)


def _with_predictions(
    record: dict,
    predictions: Sequence[Prediction],
    by_id: bool,
    truth_name: str,
    assumed: Assumptions,
) -> dict:
    height, width = record["height"], record["width"]
    annotations = [dict(a) for a in record["annotations"]]
    instances = [a for a in annotations if not a.get("iscrowd", 0)]
    masks = []
    for prediction in predictions:
        of_mask: list[str] = []
        masks.append(prediction_mask(prediction, height, width, of_mask))
        assumed.note(of_mask, f"entry {prediction.number}")
    if by_id:
        matches = _match_by_id(predictions, instances, record, truth_name)
    else:
        matches = match_by_iou(
            masks,
            [p.score for p in predictions],
            [p.category_id for p in predictions],
            [a["modal_segmentation"] for a in instances],
            [a["dataset_category_id"] for a in instances],
        )
    rows = [row for row in matches if row >= 0]
    resolved, _ = resolve_rle_overlaps(
        [masks[r] for r in rows], [predictions[r].score for r in rows]
    )
    mask_of_row = dict(zip(rows, resolved, strict=True))
    for annotation, row in zip(instances, matches, strict=True):
        annotation["true_modal_segmentation"] = annotation["modal_segmentation"]
        if row < 0:
            annotation["modal_segmentation"] = empty_rle(height, width)
            annotation.pop("score", None)
        else:
            annotation["modal_segmentation"] = mask_of_row[row]
            annotation["score"] = predictions[row].score
    return {**record, "annotations": annotations}


def _match_by_id(
    predictions: Sequence[Prediction], instances: Sequence[dict], record: dict, truth_name: str
) -> list[int]:
    place_of = {annotation["id"]: place for place, annotation in enumerate(instances)}
    matches = [-1] * len(instances)
    for row, prediction in enumerate(predictions):
        where = f"entry {prediction.number}: annotation_id {prediction.annotation_id!r}"
        if prediction.annotation_id not in place_of:
            raise InvalidAnnotation(
                f"{where} is no instance of image {record['image_id']!r} "
                f"({record['file_name']}) of {truth_name}"
            )
        place = place_of[prediction.annotation_id]
        if matches[place] >= 0:
            raise InvalidAnnotation(f"{where} occurs twice")
        matches[place] = row
    return matches


def _known_id(value: object, known: Collection[int | str] | None = None) -> int | str | None:
    """The id that a value means; None where it means none, or none of those known."""
    try:
        meant = read_id(value, "")
    except InvalidAnnotation:
        return None
    return meant if known is None or meant in known else None


def _is_id(value: object) -> bool:
    return isinstance(value, str) or _is_integer(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
