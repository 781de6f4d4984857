"""Names that say which JSON a data set is, so that it needs no registering beforehand."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import UserError

PATTERN = "FORMAT[.modal]:JSON[@IMAGE_ROOT] or predicted:RESULTS_JSON@DATASET"
_PREDICTED = "predicted"


@dataclass(frozen=True)
class DatasetName:
    """``FORMAT[.modal]:JSON[@IMAGE_ROOT]``, or ``predicted:RESULTS_JSON@DATASET``.

    ``str`` writes it, ``parse`` reads what ``str`` wrote. Nothing is asked of the disk, and a
    format need not exist.

    Attributes:
        format: name of an annotation format; "predicted" for predicted masks.
        json_file: the annotations, or the COCO results with the predicted masks.
        image_root: folder of the images; "" for the JSON's own folder.
        modal: whether the modal view is meant where the format has an amodal one too.
        truth: name of the data set that was predicted for; "" but for predicted masks.

    Raises:
        UserError: a part holds the "@" by which the next one is told from it.

    Example:
        >>> name = DatasetName.parse("kins.modal:d/train.json@d/images")
        >>> name.format, name.json_file, name.image_root, name.modal
        ('kins', 'd/train.json', 'd/images', True)
        >>> str(DatasetName("coco", "val.json"))
        'coco:val.json'
        >>> str(DatasetName.predicted("results.json", "kins_val"))
        'predicted:results.json@kins_val'
    """

    format: str
    json_file: str
    image_root: str = ""
    modal: bool = False
    truth: str = ""

    def __post_init__(self) -> None:
        if self.is_predicted and "@" in self.json_file:
            raise UserError(
                f"{self.json_file}: a data set of predicted masks cannot be named by a path with "
                "'@'; move the file"
            )
        if "@" in self.image_root:
            raise UserError(
                f"{self.image_root}: a data set cannot be named by an image root with '@'; "
                "register it under a name of its own"
            )

    @classmethod
    def predicted(cls, results_json: str, truth: str) -> DatasetName:
        """The name of a data set with predicted modal masks in place of the true ones."""
        return cls(_PREDICTED, results_json, truth=truth)

    @classmethod
    def parse(cls, text: str) -> DatasetName:
        """Read a name. Of an annotation file the last ``@`` separates, of predictions the first.

        Raises:
            UserError: it is no such name.
        """
        kind, colon, rest = text.partition(":")
        if not colon or not rest:
            raise UserError(
                f"data set {text!r} is not registered; register it, or name a JSON as {PATTERN}"
            )
        if kind == _PREDICTED:
            results_json, _, truth = rest.partition("@")
            if not truth:
                raise UserError(
                    f"data set {text!r}: name the data set with the truth, "
                    "predicted:RESULTS_JSON@DATASET"
                )
            return cls.predicted(results_json, truth)
        json_file, _, image_root = rest.rpartition("@") if "@" in rest else (rest, "", "")
        format_name, dot, suffix = kind.partition(".")
        if dot and suffix != "modal":
            raise UserError(f"data set {text!r}: after the format only '.modal' may stand")
        return cls(format_name, json_file, image_root, modal=bool(dot))

    @property
    def is_predicted(self) -> bool:
        return self.format == _PREDICTED

    @property
    def kind(self) -> str:
        """What stands before the colon."""
        return f"{self.format}.modal" if self.modal else self.format

    @property
    def image_folder(self) -> str:
        """The folder of the images: ``image_root``, or else the JSON's."""
        return self.image_root or os.path.dirname(self.json_file) or "."

    @property
    def short(self) -> str:
        """For titles: without folders."""
        return f"{self.kind}:{Path(self.json_file).name}"

    def __str__(self) -> str:
        if self.is_predicted:
            return f"{self.kind}:{self.json_file}@{self.truth}"
        text = f"{self.kind}:{self.json_file}"
        # A path with "@" would be cut there if none followed.
        return f"{text}@{self.image_root}" if self.image_root or "@" in text else text
