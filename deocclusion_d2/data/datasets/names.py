"""Names that say which JSON a data set is, so that it needs no registering beforehand."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import UserError

PATTERN = "FORMAT[.modal]:JSON[@IMAGE_ROOT] or predicted:RESULTS_JSON@DATASET"
_PREDICTED = "predicted"


def split_at(text: str, first: bool = False) -> tuple[str, str]:
    """Tell ``JSON[@REST]`` apart where paths may hold an ``@`` too; see ``DatasetName``.

    Args:
        text: what is named.
        first: whether REST may hold an ``@`` of its own, as the name of a data set does, instead of
            being a folder.

    Returns:
        The JSON and the rest, "" for none.
    """
    places = [place for place, character in enumerate(text) if character == "@"]
    if not places:
        return text, ""
    splits = [(text[:place], text[place + 1 :]) for place in (places if first else places[::-1])]
    there = [(file, rest) for file, rest in splits if os.path.isfile(file)]
    with_folder = [(file, rest) for file, rest in there if first or not rest or os.path.isdir(rest)]
    if not with_folder and os.path.isfile(text):
        return text, ""
    named_so = [(file, rest) for file, rest in splits if file.lower().endswith(".json")]
    return (with_folder or there or named_so or splits)[0]


@dataclass(frozen=True)
class DatasetName:
    """``FORMAT[.modal]:JSON[@IMAGE_ROOT]``, or ``predicted:RESULTS_JSON@DATASET``.

    ``str`` writes it, ``parse`` reads what ``str`` wrote. A format need not exist, nor a file.

    An ``@`` may also stand in a path. Which one separates is told by what exists: the JSON before
    it is a file, and if there are several such, the image root behind it a folder. Where that does
    not tell, it is the last one (of predictions the first) behind a name that ends in ".json", or
    else the last (first) one. A name without image root that is not yet a file can be written
    with an ``@`` at its end.

    Attributes:
        format: name of an annotation format; "predicted" for predicted masks.
        json_file: the annotations, or the COCO results with the predicted masks.
        image_root: folder of the images; "" for the JSON's own folder.
        modal: whether the modal view is meant where the format has an amodal one too.
        truth: name of the data set that was predicted for; "" but for predicted masks.

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

    @classmethod
    def predicted(cls, results_json: str, truth: str) -> DatasetName:
        """The name of a data set with predicted modal masks in place of the true ones."""
        return cls(_PREDICTED, results_json, truth=truth)

    @classmethod
    def parse(cls, text: str) -> DatasetName:
        """Read a name; see the class for an ``@`` in a path.

        Raises:
            UserError: it is no such name.
        """
        kind, colon, rest = text.partition(":")
        if not colon or not rest:
            raise UserError(
                f"data set {text!r} is not registered; register it, or name a JSON as {PATTERN}"
            )
        if kind == _PREDICTED:
            results_json, truth = split_at(rest, first=True)
            if not truth:
                raise UserError(
                    f"data set {text!r}: name the data set with the truth, "
                    "predicted:RESULTS_JSON@DATASET"
                )
            return cls.predicted(results_json, truth)
        json_file, image_root = split_at(rest)
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
