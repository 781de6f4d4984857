"""A JSON of any annotation format -> Detectron2's dataset dicts, with this package's masks."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Mapping

from detectron2.data import MetadataCatalog
from detectron2.structures import BoxMode
from detectron2.utils.file_io import PathManager

from ...errors import UserError
from ...json_files import is_number, read_json_file
from ...structures.run_lengths import area_of
from .assumptions import Assumptions, about_shares
from .formats import (
    NO_CATEGORIES,
    NO_CATEGORY,
    NONE_GIVEN,
    VIEWS,
    AnnotationFormat,
    ImageInfo,
    InvalidAnnotation,
    ParsedAnnotation,
    View,
    get_format,
    locate,
    read_box,
    read_id,
    with_only_object,
)
from .formats.full_object import FULL_OBJECT_KEY
from .image_files import ImageFinder
from .missing_sizes import with_sizes
from .segmentation import looks_normalised
from .told_format import check_kind, doubt_of

logger = logging.getLogger(__name__)


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
        dataset_name: when given, ``thing_classes`` and ``thing_dataset_id_to_contiguous_id`` are
            set in its metadata. ``json_file`` never is: without it Detectron2's COCOEvaluator takes
            the dicts as truth, and not a file that may need repair.

    Returns:
        One dict per image, in the file's order: ``file_name``, ``image_id``, ``height``, ``width``,
        ``annotations`` and, for COCOA, ``depth_constraints`` [(i, j), ...], 0-based rows of
        ``annotations``, i in front of j; ``without_visible_pixel``, how many annotations the modal
        view leaves out, if any. An annotation has ``id``, ``category_id`` (contiguous,
        from 0), ``dataset_category_id`` (the file's), ``iscrowd`` (0 or 1), ``bbox`` [x, y, w, h]
        in pixels, ``bbox_mode``, ``segmentation``, ``modal_segmentation``, ``amodal_segmentation``
        (only where the format knows it), the format's extras, ``given_amodal_bbox`` [x, y, w, h]
        where the file says an ``amodal_bbox``, and from the labels ``amodal_bbox`` [x, y, w, h],
        ``occlusion_level``, ``truncated`` and ``depth`` (m). Masks are compressed
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
    assumed = Assumptions()
    try:
        check_kind(document)
        doubt = doubt_of(document, annotation_format)
        of_categories: list[str] = []
        categories = annotation_format.categories(document, of_categories)
        assumed.note(of_categories, "'categories'")
        document = with_sizes(document, annotation_format, assumed)
        images, items = annotation_format.open_document(document, image_root, json_file)
        by_id = _index_images(images, assumed)
        parsed, constraints = _parse_all(annotation_format, items, by_id, json_file, assumed)
        if NO_CATEGORY in assumed.counts:
            categories = with_only_object(categories)
        contiguous = {category["id"]: row for row, category in enumerate(categories)}
        of_none = NONE_GIVEN if NO_CATEGORIES in of_categories else ""
        _check_categories(parsed, by_id, contiguous, of_none)
    except InvalidAnnotation as error:
        raise InvalidAnnotation(f"{json_file}: {error}") from None
    if labels and not any(p.id in labels for group in parsed.values() for p in group):
        raise InvalidAnnotation(f"{labels_json}: none of its annotation_ids is in {json_file}")
    if dataset_name is not None:
        MetadataCatalog.get(dataset_name).set(
            thing_classes=[category["name"] for category in categories],
            thing_dataset_id_to_contiguous_id=contiguous,
        )

    finder = ImageFinder(image_root, lambda: (image.file_name for image in images))
    paths = finder.find_all([image.file_name for image in images])
    dicts = []
    for image, (path, of_name) in zip(images, paths, strict=True):
        assumed.note(of_name, f"image {image.id!r} ({image.file_name})")
        pairs = constraints.get(image.id)
        record = _record(image, path, parsed[image.id], pairs, view, contiguous, labels)
        if image.source_image:
            record["source_image"] = _below(image_root, image.source_image)
        for annotation in record["annotations"]:
            if FULL_OBJECT_KEY in annotation:
                annotation[FULL_OBJECT_KEY] = _below(image_root, annotation[FULL_OBJECT_KEY])
        dicts.append(record)
    _log_summary(json_file, dicts, parsed, annotation_format)
    for line in ([doubt] if doubt else []) + [" ".join(row) for row in assumed.rows()]:
        logger.warning("%s: %s", json_file, line)
    return dicts


def read_json(json_file: str) -> object:
    """``read_json_file`` of a file that may also lie where Detectron2's PathManager finds it.

    Raises:
        UserError: one line naming the file; InvalidAnnotation where it is no JSON.
    """
    local = PathManager.get_local_path(json_file)
    if not os.path.exists(local):
        raise UserError(f"{json_file}: there is no such annotation file")
    try:
        return read_json_file(local)
    except UserError as error:
        raise InvalidAnnotation(str(error)) from None


def check_view(annotation_format: AnnotationFormat, view: View) -> None:
    """Raise ValueError unless the format has this view."""
    if view not in VIEWS:
        raise UserError(f"unknown view {view!r}; it is 'amodal' or 'modal'")
    if view == "amodal" and not annotation_format.knows_amodal:
        raise UserError(
            f"format {annotation_format.name!r} has no amodal masks: take its modal view"
        )


def _below(root: str, path: str) -> str:
    return path if "://" in path else os.path.normpath(os.path.join(root, path))


# -------------------------------------------------------------------- reading


def _index_images(images: list[ImageInfo], assumed: Assumptions) -> dict[int | str, ImageInfo]:
    by_id: dict[int | str, ImageInfo] = {}
    for image in images:
        if image.id in by_id:
            raise InvalidAnnotation(f"image id {image.id!r} occurs twice ({image.file_name})")
        by_id[image.id] = image
        assumed.note(image.assumed, f"image {image.id!r} ({image.file_name})")
    return by_id


def _parse_all(
    annotation_format: AnnotationFormat,
    items: list,
    images: Mapping[int | str, ImageInfo],
    json_file: str,
    assumed: Assumptions,
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
            if instance.assumed:
                assumed.note(instance.assumed, locate(images[image_id], instance.id))
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
    hint: str,
) -> None:
    for image_id, group in parsed.items():
        for annotation in group:
            if annotation.category_id not in contiguous:
                raise InvalidAnnotation(
                    f"{locate(images[image_id], annotation.id)}: category id "
                    f"{annotation.category_id} is not in 'categories'{hint}"
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
        annotation_id = read_id(row["annotation_id"], labels_json)
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
            if not is_number(row[key]):
                raise InvalidAnnotation(f"{where}: '{key}' is {row[key]!r}, not a number")
            label[name] = int(row[key]) if key == "occluded" else float(row[key])
        labels[annotation_id] = label
    return labels


# -------------------------------------------------------------------- writing


def _record(
    image: ImageInfo,
    path: str,
    parsed: list[ParsedAnnotation],
    constraints: list[tuple[int, int]] | None,
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
        "file_name": path,
        "image_id": image.id,
        "height": image.height,
        "width": image.width,
        "annotations": annotations,
    }
    if len(annotations) < len(parsed):
        record["without_visible_pixel"] = len(parsed) - len(annotations)
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
    if annotation.given_amodal_bbox is not None:
        result["given_amodal_bbox"] = annotation.given_amodal_bbox
    if "score" in annotation.raw:
        result["score"] = annotation.raw["score"]
    result.update(labels.get(annotation.id, {}))
    return result


def _log_summary(
    json_file: str,
    dicts: list[dict],
    parsed: Mapping[int | str, list[ParsedAnnotation]],
    annotation_format: AnnotationFormat,
) -> None:
    instances = [annotation for group in parsed.values() for annotation in group]
    kept = sum(len(record["annotations"]) for record in dicts)
    left_out = len(instances) - kept
    hidden = f" ({left_out} without a visible pixel left out)" if left_out else ""
    logger.info("%s: %d images, %d instances%s", json_file, len(dicts), kept, hidden)
    single = [annotation for annotation in instances if not annotation.iscrowd]
    areas = [area_of(annotation.segmentation("modal")) for annotation in single]
    empty = areas.count(0)
    # Coordinates below 1 fill at most the first pixel.
    shares = sum(
        area <= 1 and looks_normalised(annotation_format.modal_as_given(annotation))
        for annotation, area in zip(single, areas, strict=True)
    )
    if instances and not single:
        logger.warning(
            "%s: all %d annotations are crowd regions, which no network trains on: set 'iscrowd' "
            "to 0 where one is a single object",
            json_file,
            len(instances),
        )
    elif single and empty == len(single):
        logger.warning(
            "%s: the masks of all %d instances are empty: are there only boxes in it?",
            json_file,
            empty,
        )
    elif (line := about_shares(shares, len(single))) is not None:
        logger.warning("%s: %s", json_file, line)
