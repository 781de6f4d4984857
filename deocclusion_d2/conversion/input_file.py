"""The file of modal masks that a conversion reads, or a check: which one, and how."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ..data.datasets import ANNOTATION_FORMATS
from ..errors import UserError
from ..structures import DEFAULT_MIN_SCORE
from .document_index import DocumentIndex, read_index
from .predicted_input import PredictedInput


@dataclass(frozen=True)
class InputFile:
    """What is read, and how.

    Attributes:
        path: COCO-like JSON with modal masks; or, with ``images_from``, COCO results.
        format: a name of ``ANNOTATION_FORMATS``; None to tell it from the annotations.
        image_root: folder of the images, for COCOA files without image sizes; the folder of the
            file when None.
        images_from: the JSON whose images and categories COCO results were predicted for.
        min_score: predictions below it are left out; None for ``DEFAULT_MIN_SCORE``.
        skip_invalid: leave annotations that cannot be used, and count them, instead of stopping.
    """

    path: Path
    format: str | None = None
    image_root: Path | None = None
    images_from: Path | None = None
    min_score: float | None = None
    skip_invalid: bool = False

    def check(self) -> None:
        """Find what can be found without reading.

        Raises:
            UserError: saying what to do.
        """
        if self.format is not None and self.format not in ANNOTATION_FORMATS:
            known = ", ".join(sorted(ANNOTATION_FORMATS))
            raise UserError(f"unknown format {self.format!r}: use {known}")
        for path in (self.path, self.images_from):
            if path is not None and path.is_dir():
                raise UserError(f"{path}: a folder: name the JSON file in it")
            if path is not None and not path.is_file():
                raise UserError(f"{path}: there is no such file")
        if self.image_root is not None and not self.image_root.is_dir():
            raise UserError(f"--image-root {self.image_root}: there is no such folder")
        if self.images_from is None and self.min_score is not None:
            raise UserError("--min-score is for COCO results: pass --images-from too")
        if self.images_from is not None and self.format is not None:
            raise UserError(
                "--images-from is for COCO results, which have no --format: leave it out"
            )

    @property
    def photo_folder(self) -> Path:
        """Where the images lie."""
        return self.image_root or (self.images_from or self.path).parent

    def read_document(self) -> DocumentIndex:
        """Read an annotation file.

        Raises:
            UserError: see ``read_index``.
        """
        return read_index(self.path, self.format, self.image_root, self.skip_invalid)

    def read_predictions(self) -> PredictedInput:
        """Read COCO results.

        Raises:
            UserError: see ``PredictedInput.read``.
        """
        return PredictedInput.read(self.path, self.images_from, self.score, self.skip_invalid)

    @property
    def score(self) -> float:
        """The least score of a prediction that is used."""
        return DEFAULT_MIN_SCORE if self.min_score is None else self.min_score

    def headline(self, source: DocumentIndex | PredictedInput) -> str:
        """What was read, in a line."""
        if isinstance(source, DocumentIndex):
            how = "" if self.format else " (told from its keys)"
            items, name = len(source.item_places), source.format.name
            return f"{self.path}: {items:,} items, format {name}{how}"
        return (
            f"{self.path}: {source.entries:,} predictions, {len(source.numbers):,} used "
            f"(score {self.score:g} or more); images of {self.images_from}"
        )

    def warn(self, line: str) -> None:
        """Say on stderr what is odd about the file."""
        print(f"warning: {self.path}: {line}", file=sys.stderr)
