"""Registering data sets in Detectron2's catalogs, also by a name made up on the fly."""

from __future__ import annotations

import logging

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.file_io import PathManager

from ...errors import UserError
from ...structures import DEFAULT_MIN_SCORE
from .formats import View, get_format
from .load import check_view, load_dataset_dicts
from .names import DatasetName
from .predictions import load_predicted_dicts

logger = logging.getLogger(__name__)


def register_amodal_dataset(
    name: str,
    json_file: str,
    image_root: str,
    format: str = "kins",
    view: View = "amodal",
    labels_json: str | None = None,
    evaluator_type: str | None = None,
) -> None:
    """Register a data set; nothing is read before it is used.

    Its metadata holds ``annotation_json``, ``annotation_format``, ``view``, ``image_root`` and
    ``evaluator_type`` from now on; ``thing_classes`` and ``thing_dataset_id_to_contiguous_id`` once
    it has been loaded.

    Args:
        name: name for ``DatasetCatalog`` and configs.
        json_file, image_root: annotation file and folder of the images.
        format: a name of ``ANNOTATION_FORMATS``.
        view: "amodal" or "modal": what Mask R-CNN trains on.
        labels_json: see ``load_dataset_dicts``.
        evaluator_type: in place of the format's own.

    Raises:
        UserError: for an unknown format, or an amodal view of a format without amodal masks.
    """
    annotation_format = get_format(format)
    check_view(annotation_format, view)
    DatasetCatalog.register(
        name,
        lambda: load_dataset_dicts(json_file, image_root, format, view, labels_json, name),
    )
    MetadataCatalog.get(name).set(
        annotation_json=json_file,
        annotation_format=format,
        view=view,
        image_root=image_root,
        evaluator_type=evaluator_type or annotation_format.evaluator_type,
    )


def register_modal_dataset(
    name: str, json_file: str, image_root: str, labels_json: str | None = None
) -> None:
    """Register a modal COCO JSON (COCO, LVIS, KITTI MOTS); see ``register_amodal_dataset``."""
    register_amodal_dataset(name, json_file, image_root, "coco", "modal", labels_json)


def register_predicted_dataset(
    name: str, results_json: str, truth_name: str, min_score: float = DEFAULT_MIN_SCORE
) -> None:
    """Register a data set's images and truth with predicted modal masks in place of the true ones.

    Nothing is read before it is used. How predictions are matched to instances, and what the dicts
    hold, ``load_predicted_dicts`` says. The metadata is the truth's.

    Args:
        name: name for ``DatasetCatalog`` and configs.
        results_json: COCO results, such as Detectron2's ``coco_instances_results.json``.
        truth_name: a data set that is registered, or that ``ensure_registered`` can register.
        min_score: predictions below it are left out, unless they name their instance by id.

    Raises:
        UserError: the truth is not registered.
    """
    ensure_registered(truth_name)
    truth = MetadataCatalog.get(truth_name)

    def load() -> list[dict]:
        records = load_predicted_dicts(results_json, truth_name, min_score)
        MetadataCatalog.get(name).set(
            thing_classes=truth.thing_classes,
            thing_dataset_id_to_contiguous_id=truth.thing_dataset_id_to_contiguous_id,
        )
        return records

    DatasetCatalog.register(name, load)
    kept = ("annotation_json", "annotation_format", "view", "image_root", "evaluator_type")
    MetadataCatalog.get(name).set(
        predictions_json=results_json,
        **{key: truth.get(key) for key in kept if truth.get(key) is not None},
    )


def ensure_registered(name: str) -> str:
    """Register a data set named on the fly; a name that is registered is left alone.

    The data sets that are there by name (``builtin.py``) are registered too.

    Args:
        name: ``FORMAT[.modal]:JSON[@IMAGE_ROOT]``, such as
            ``kins.modal:/d/instances_train.json@/d/training/image_2`` or ``coco:my.json``. The
            default image root is the JSON's folder. ``coco`` has only a modal view, with or without
            ``.modal``. Or ``predicted:RESULTS_JSON@DATASET``, see ``register_predicted_dataset``:
            DATASET is any name that this function takes. Paths may hold an ``@``, see
            ``DatasetName``.

    Returns:
        The name.

    Raises:
        UserError: for an unknown name or format.
        UserError: when there is no such JSON. An image root that is not there is a warning, for
            what looks at masks alone needs none.
    """
    from .builtin import register_builtin_datasets

    register_builtin_datasets()
    if name in DatasetCatalog:
        return name
    parts = DatasetName.parse(name)
    annotation_format = None if parts.is_predicted else get_format(parts.format)
    if not parts.json_file or not PathManager.isfile(parts.json_file):
        raise UserError(f"data set {name!r}: there is no file {parts.json_file!r}")
    if parts.image_root and not PathManager.isdir(parts.image_root):
        logger.warning("data set %r: there is no folder %r", name, parts.image_root)
    if annotation_format is None:
        register_predicted_dataset(name, parts.json_file, parts.truth)
        return name
    view = "amodal" if annotation_format.knows_amodal and not parts.modal else "modal"
    register_amodal_dataset(name, parts.json_file, parts.image_folder, parts.format, view)
    return name


def view_of(name: str) -> View:
    """Which masks a data set gives to a detector; nothing is read, and it need not be there.

    "modal" for a name that only somebody else's program registers.
    """
    from .builtin import register_builtin_datasets

    register_builtin_datasets()
    if name in DatasetCatalog or ":" not in name:
        return MetadataCatalog.get(name).get("view") or "modal"
    parts = DatasetName.parse(name)
    if parts.is_predicted or parts.modal or not get_format(parts.format).knows_amodal:
        return "modal"
    return "amodal"


def is_ours(name: str) -> bool:
    """Whether a registered data set is read by this package, and not by Detectron2."""
    return MetadataCatalog.get(name).get("annotation_format") is not None
