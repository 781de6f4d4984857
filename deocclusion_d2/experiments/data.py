"""The data sets of an experiment, by the short names that people use, and what identifies them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from ..data.datasets import DatasetName, ensure_registered, get_format
from ..data.full_objects import knows_hidden_colours
from ..errors import UserError
from ..files import file_sha256
from .stages import hash_of


@dataclass(frozen=True)
class ExperimentData:
    """What is trained on and what is tested on.

    Attributes:
        name: as the user gave it.
        train: training data as registered: with amodal labels where the data set has them.
        train_modal: the modal view of it, all that the self-supervised networks see.
        test: data with truth of some kind.
        supervised: data with amodal labels for the supervised networks; None where there is none.
        family: whose configs suit it: "kins" (categories), "cocoa" (none) or "kitti_mots".
    """

    name: str
    train: str
    train_modal: str
    test: str
    supervised: str | None
    family: str


# Short name -> (train, test, family).
_KNOWN = {
    "kins": ("kins_train", "kins_val", "kins"),
    "kins2020": ("kins2020_train", "kins2020_val", "kins"),
    "synthetic_kins": ("synthetic_kins_train", "synthetic_kins_val", "kins"),
    "cocoa": ("cocoa_train", "cocoa_val", "cocoa"),
    "cocoa_cls": ("cocoa_cls_train", "cocoa_cls_val", "kins"),
    "d2sa": ("d2sa_train", "d2sa_val", "kins"),
    "kitti_mots": ("kitti_mots_train", "kitti_mots_dev", "kitti_mots"),
}
KNOWN_NAMES = tuple(_KNOWN)


def resolve_data(
    name: str, test: str | None = None, supervised: str | None = None
) -> ExperimentData:
    """Find the data sets of an experiment.

    Args:
        name: one of ``KNOWN_NAMES``, or the training data set: a registered name or
            ``FORMAT:JSON[@IMAGE_ROOT]``; then ``test`` must be given.
        test: in place of the known test set.
        supervised: data set with amodal labels on which the supervised networks are trained;
            default: the training set, where it has such labels.

    Raises:
        UserError: an unknown name, a missing annotation file, or no test set.
    """
    train, known_test, family = _KNOWN.get(name, (name, None, None))
    test = test or known_test
    if test is None:
        raise UserError(
            f"--dataset {name} is no known name ({', '.join(KNOWN_NAMES)}), so it is the training "
            "set: name the test set with --test"
        )
    for dataset in {train, test, supervised} - {None}:
        _require(dataset)
    metadata = MetadataCatalog.get(train)
    if family is None:
        family = "kins" if get_format(metadata.annotation_format).has_categories else "cocoa"
    if supervised is None and metadata.view == "amodal":
        supervised = train
    if supervised is not None and MetadataCatalog.get(supervised).view != "amodal":
        raise UserError(f"--supervised-train {supervised}: it has no amodal labels")
    return ExperimentData(name, train, modal_view(train), test, supervised, family)


def short_name(name: str) -> str:
    """A data set's name for titles: without the folders of one that was named on the fly."""
    if ":" not in name:
        return name
    try:
        return DatasetName.parse(name).short
    except UserError:  # registered under a name with a colon
        return name


def folder_name(name: str) -> str:
    """A data set's name as part of a folder's: different names, different folders."""
    if ":" not in name:
        return name
    readable = "".join(c if c.isalnum() or c in "._-" else "_" for c in short_name(name))
    return f"{readable}-{hash_of(name)[:6]}"


def modal_view(name: str) -> str:
    """The modal view of a registered data set."""
    metadata = MetadataCatalog.get(ensure_registered(name))
    if metadata.view == "modal":
        return name
    if f"{name}_modal" in DatasetCatalog:
        return f"{name}_modal"
    modal = DatasetName(
        metadata.annotation_format,
        str(metadata.annotation_json),
        str(metadata.image_root),
        modal=True,
    )
    return ensure_registered(str(modal))


def fingerprint(name: str) -> dict[str, str]:
    """What identifies a data set's annotations: their content, not where they are.

    Images are not read: they belong to the annotations that name them.
    """
    metadata = MetadataCatalog.get(ensure_registered(name))
    files = [metadata.annotation_json, metadata.get("labels_json")]
    return {
        "format": metadata.annotation_format,
        "view": metadata.view,
        "annotations": "+".join(_content(str(Path(f).resolve())) for f in files if f),
    }


@cache
def num_classes(name: str) -> int:
    """Number of categories of a registered data set."""
    DatasetCatalog.get(name)  # reading the file is what sets the metadata
    return len(MetadataCatalog.get(name).thing_classes)


@cache
def knows_colours(name: str) -> bool:
    """Whether somebody knows the colours of what is hidden in a data set."""
    return any(knows_hidden_colours(record) for record in DatasetCatalog.get(name))


@cache
def _content(path: str) -> str:
    return file_sha256(Path(path))


def _require(name: str) -> None:
    path = MetadataCatalog.get(ensure_registered(name)).annotation_json
    if not Path(path).is_file():
        hint = (
            "make it with datasets/prepare_synthetic_kins.py"
            if name.startswith("synthetic_kins")
            else "datasets/README.md says where each data set goes"
        )
        raise UserError(f"data set {name}: there is no file {path}; {hint}")
