"""What a file holds and what to expect of a conversion: all of it, or a sample at the beginning."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..workers import worker_count
from .annotations import ShardReader
from .document_index import DocumentIndex, read_index
from .input_file import InputFile
from .predicted_input import PredictedInput
from .survey import survey_items
from .survey_report import Report

# What a conversion looks at before it begins: so many images, fewer where they hold more instances.
_MOST_IMAGES, _LEAST_IMAGES = 100, 5
_INSTANCES = 600


def check(
    file: InputFile,
    num_workers: int | None = None,
    with_example: bool = False,
) -> tuple[DocumentIndex | PredictedInput, Report]:
    """Survey all of a file.

    Args:
        num_workers: see ``workers.worker_count``; they change no result.
        with_example: look for an example, for the picture.

    Raises:
        UserError: conversion would refuse the file, for the same reason.
    """
    file.check()
    worker_count(num_workers)
    if file.images_from is None:
        index = file.read_document()
        reader = ShardReader(index, None, file.skip_invalid)
        survey = survey_items(reader, num_workers=num_workers, with_example=with_example)
        survey.tally.add(index.skipped)
        return index, Report.of(index, survey)
    predicted = file.read_predictions()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "modal.json"
        resolved = predicted.write(path)
        index = read_index(path, "coco")
        reader = ShardReader(index, None, file.skip_invalid, file.images_from)
        survey = survey_items(reader, num_workers=num_workers, with_example=with_example)
    survey.tally.add(predicted.tally)
    survey.tally.add(resolved)
    return predicted, Report.of(index, survey, predicted=True)


def bridged_gap(description: Mapping[str, Any]) -> int:
    """Gaps of up to so many pixels do not part neighbours.

    Args:
        description: of a deoccluder, for one request (``Deoccluder.calibrated``).
    """
    gap = description.get("gap")
    closed = gap["closed"] if isinstance(gap, Mapping) else 0
    return max(closed, description.get("dilation", 0) // 2)


def first_look(index: DocumentIndex, predicted: bool, bridged: int) -> Report:
    """Survey a sample of a file that is going to be converted.

    Annotations that cannot be used are left for the conversion to refuse.

    Args:
        predicted: whether the file holds COCO results.
        bridged: gaps of up to so many pixels are bridged by the method.
    """
    reader = ShardReader(index, None, skip_invalid=True)
    is_read = index.image_of_item >= 0
    images = len(np.unique(index.image_of_item[is_read]))
    instances = int(index.instances_of_item[is_read].sum())
    wanted = _INSTANCES * images // max(instances, 1)
    survey = survey_items(
        reader, min(max(wanted, _LEAST_IMAGES), _MOST_IMAGES), num_workers=0, quiet=True
    )
    return Report.of(index, survey, predicted=predicted, bridged=bridged)
