"""A JSON of any annotation format -> Detectron2's dataset dicts, with this package's masks."""

from __future__ import annotations

import json
import logging
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from numbers import Real

from detectron2.data import MetadataCatalog
from detectron2.structures import BoxMode
from detectron2.utils.file_io import PathManager

from ...errors import UserError
from .formats import (
    VIEWS,
    AnnotationFormat,
    ImageInfo,
    InvalidAnnotation,
    ParsedAnnotation,
    View,
    get_format,
    locate,
    read_box,
)

logger = logging.getLogger(__name__)

# What COCOeval reads of every annotation.
_COCO_EVAL_KEYS = ("id", "image_id", "category_id", "segmentation", "bbox", "area", "iscrowd")


def load_dataset_dicts(
    json_file: str,
    image_root: str,
    format: str,
    view: View = "amodal",
    labels_json: str | None = None,
    dataset_name: str | None = None,
) -> list[dict]:
    """Load a data set.

    Args:
        json_file: the annotation file.
        image_root: folder that the file names start from; images need not exist.
        format: a name of ``ANNOTATION_FORMATS``.
        view: whether ``bbox`` and ``segmentation``, on which Mask R-CNN trains, are "amodal" or
            "modal". The modal view leaves out instances without a visible pixel.
        labels_json: further facts by annotation id, in the manner of KITTI: a list of
            ``{annotation_id, amodal_bbox [x, y, w, h], occluded 0-3, truncated 0-1, depth (m)}``.
        dataset_name: when given, ``thing_classes``, ``thing_dataset_id_to_contiguous_id`` and,
            where the file itself is COCO ground truth of this view, ``json_file`` are set in
            its metadata (without ``json_file`` Detectron2's COCOEvaluator converts the dicts).

    Returns:
        One dict per image, in the file's order: ``file_name``, ``image_id``, ``height``, ``width``,
        ``annotations`` and, for COCOA, ``depth_constraints`` [(i, j), ...], 0-based rows of
        ``annotations``, i in front of j. An annotation has ``id``, ``category_id`` (contiguous,
        from 0), ``dataset_category_id`` (the file's), ``iscrowd`` (0 or 1), ``bbox`` [x, y, w, h]
        in pixels, ``bbox_mode``, ``segmentation``, ``modal_segmentation``, ``amodal_segmentation``
        (only where the format knows it), the format's extras, and from the labels ``amodal_bbox``
        [x, y, w, h], ``occlusion_level``, ``truncated`` and ``depth`` (m). Masks are compressed
        RLE of the image's size with ``counts`` as str.

    Raises:
        InvalidAnnotation: one line naming file, image and annotation.
        UserError: when the file does not exist.
        UserError: for an unknown format, or an amodal view of a format without amodal masks.
    """
    annotation_format = get_format(format)
    check_view(annotation_format, view)
    document = read_json(json_file)
    labels = _read_labels(labels_json) if labels_json is not None else {}
    try:
        categories = annotation_format.categories(document)
        images, items = annotation_format.open_document(document, image_root, json_file)
        by_id = _index_images(images)
        parsed, constraints = _parse_all(annotation_format, items, by_id, json_file)
        contiguous = {category["id"]: row for row, category in enumerate(categories)}
        _check_categories(parsed, by_id, contiguous)
    except InvalidAnnotation as error:
        raise InvalidAnnotation(f"{json_file}: {error}") from None
    if labels and not any(p.id in labels for group in parsed.values() for p in group):
        raise InvalidAnnotation(f"{labels_json}: none of its annotation_ids is in {json_file}")
    if dataset_name is not None:
        _set_metadata(dataset_name, json_file, annotation_format, view, categories, items)

    dicts = [
        _record(
            image, parsed[image.id], constraints.get(image.id), image_root, view, contiguous, labels
        )
        for image in images
    ]
    _log_summary(json_file, dicts, sum(map(len, parsed.values())))
    return dicts


def read_json(json_file: str) -> object:
    """Parse a JSON file.

    Raises:
        UserError: one line naming the file; InvalidAnnotation where it is no JSON.
    """
    local = PathManager.get_local_path(json_file)
    if not os.path.isfile(local):
        raise UserError(f"{json_file}: there is no such annotation file")
    try:
        with open(local, encoding="utf-8") as file:
            return json.load(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidAnnotation(f"{json_file}: not a JSON file: {error}") from None


def check_view(annotation_format: AnnotationFormat, view: View) -> None:
    """Raise ValueError unless the format has this view."""
    if view not in VIEWS:
        raise UserError(f"unknown view {view!r}; it is 'amodal' or 'modal'")
    if view == "amodal" and not annotation_format.knows_amodal:
        raise UserError(
            f"format {annotation_format.name!r} has no amodal masks: take its modal view"
        )


# -------------------------------------------------------------------- reading


def _index_images(images: list[ImageInfo]) -> dict[int | str, ImageInfo]:
    by_id: dict[int | str, ImageInfo] = {}
    for image in images:
        if image.id in by_id:
            raise InvalidAnnotation(f"image id {image.id!r} occurs twice ({image.file_name})")
        by_id[image.id] = image
    return by_id


def _parse_all(
    annotation_format: AnnotationFormat,
    items: list,
    images: Mapping[int | str, ImageInfo],
    json_file: str,
) -> tuple[dict[int | str, list[ParsedAnnotation]], dict[int | str, list[tuple[int, int]]]]:
    """Annotations and depth constraints by image id."""
    parsed: dict[int | str, list[ParsedAnnotation]] = defaultdict(list)
    constraints: dict[int | str, list[tuple[int, int]]] = {}
    seen: set[int | str] = set()
    further = 0
    for item in items:
        image_id = annotation_format.image_id_of(item)
        if image_id not in images:
            raise InvalidAnnotation(
                f"annotation {item.get('id')!r}: image id {image_id!r} is not in 'images'"
            )
        if annotation_format.one_item_per_image and image_id in parsed:
            further += 1
            continue
        instances = annotation_format.parse(item, images[image_id])
        for instance in instances:
            if instance.id in seen:
                raise InvalidAnnotation(
                    f"image {image_id!r} ({images[image_id].file_name}): "
                    f"annotation id {instance.id!r} occurs twice"
                )
            seen.add(instance.id)
        parsed[image_id].extend(instances)
        pairs = annotation_format.depth_constraints(item, images[image_id])
        if pairs is not None:
            constraints[image_id] = pairs
    if further:
        logger.warning(
            "%s: %d entries are further annotators' of an image; only the first one's are used",
            json_file,
            further,
        )
    return parsed, constraints


def _check_categories(
    parsed: Mapping[int | str, list[ParsedAnnotation]],
    images: Mapping[int | str, ImageInfo],
    contiguous: Mapping[int, int],
) -> None:
    for image_id, group in parsed.items():
        for annotation in group:
            if annotation.category_id not in contiguous:
                raise InvalidAnnotation(
                    f"{locate(images[image_id], annotation.id)}: category id "
                    f"{annotation.category_id} is not in 'categories'"
                )


def _read_labels(labels_json: str) -> dict[int | str, dict]:
    """Labels by annotation id, under the names of the dataset dicts."""
    rows = read_json(labels_json)
    if not isinstance(rows, list):
        raise InvalidAnnotation(f"{labels_json}: the file holds no list of labels")
    labels: dict[int | str, dict] = {}
    for row in rows:
        if not isinstance(row, Mapping) or "annotation_id" not in row:
            raise InvalidAnnotation(f"{labels_json}: a label has no key 'annotation_id'")
        annotation_id = row["annotation_id"]
        where = f"{labels_json}: annotation {annotation_id!r}"
        if annotation_id in labels:
            raise InvalidAnnotation(f"{where} occurs twice")
        label: dict = {}
        box = read_box(row, "amodal_bbox", where)
        if box is not None:
            label["amodal_bbox"] = box
        for key, name in (
            ("occluded", "occlusion_level"),
            ("truncated", "truncated"),
            ("depth", "depth"),
        ):
            if row.get(key) is None:
                continue
            if not isinstance(row[key], Real) or not math.isfinite(row[key]):
                raise InvalidAnnotation(f"{where}: '{key}' is {row[key]!r}, not a number")
            label[name] = int(row[key]) if key == "occluded" else float(row[key])
        labels[annotation_id] = label
    return labels


# -------------------------------------------------------------------- writing


def _record(
    image: ImageInfo,
    parsed: list[ParsedAnnotation],
    constraints: list[tuple[int, int]] | None,
    image_root: str,
    view: View,
    contiguous: Mapping[int, int],
    labels: Mapping[int | str, dict],
) -> dict:
    rows: dict[int, int] = {}
    annotations = []
    for position, annotation in enumerate(parsed):
        if view == "modal" and annotation.is_hidden:
            continue
        rows[position] = len(annotations)
        annotations.append(_annotation(annotation, view, contiguous, labels))
    record = {
        "file_name": os.path.join(image_root, image.file_name),
        "image_id": image.id,
        "height": image.height,
        "width": image.width,
        "annotations": annotations,
    }
    if constraints is not None:
        record["depth_constraints"] = [
            (rows[i], rows[j]) for i, j in constraints if i in rows and j in rows
        ]
    return record


def _annotation(
    annotation: ParsedAnnotation,
    view: View,
    contiguous: Mapping[int, int],
    labels: Mapping[int | str, dict],
) -> dict:
    result = dict(annotation.extras)
    result.update(
        id=annotation.id,
        category_id=contiguous[annotation.category_id],
        dataset_category_id=annotation.category_id,
        iscrowd=int(annotation.iscrowd),
        bbox=annotation.bbox(view),
        bbox_mode=BoxMode.XYWH_ABS,
        segmentation=annotation.segmentation(view),
        modal_segmentation=annotation.segmentation("modal"),
    )
    if annotation.amodal is not None:
        result["amodal_segmentation"] = annotation.amodal
    if "score" in annotation.raw:
        result["score"] = annotation.raw["score"]
    result.update(labels.get(annotation.id, {}))
    return result


def _set_metadata(
    dataset_name: str,
    json_file: str,
    annotation_format: AnnotationFormat,
    view: View,
    categories: list[dict],
    items: list,
) -> None:
    metadata = MetadataCatalog.get(dataset_name)
    metadata.set(
        thing_classes=[category["name"] for category in categories],
        thing_dataset_id_to_contiguous_id={c["id"]: row for row, c in enumerate(categories)},
    )
    # COCOEvaluator may have put its own converted file there before it asked for the dicts.
    if (
        view in annotation_format.coco_views
        and not hasattr(metadata, "json_file")
        and all(key in item for item in items for key in _COCO_EVAL_KEYS)
    ):
        metadata.json_file = json_file


def _log_summary(json_file: str, dicts: list[dict], parsed: int) -> None:
    kept = sum(len(record["annotations"]) for record in dicts)
    hidden = f" ({parsed - kept} without a visible pixel left out)" if kept < parsed else ""
    logger.info("%s: %d images, %d instances%s", json_file, len(dicts), kept, hidden)
