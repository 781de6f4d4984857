"""What is read of data sets, so that it is not written over."""

from __future__ import annotations

from detectron2.data import MetadataCatalog

from ...errors import UserError
from ...outputs import Inputs, files_in_name
from .register import ensure_registered


def dataset_inputs(*names: str | None) -> Inputs:
    """The files of data sets, registered or named by their file, and of other names that are files.

    A name that cannot be used is left for whoever uses it to refuse.
    """
    inputs = Inputs()
    for name in names:
        inputs.add(files_in_name(name))
        try:
            inputs.add([MetadataCatalog.get(ensure_registered(name)).get("annotation_json")])
        except (UserError, KeyError, AttributeError, TypeError):
            continue
    return inputs
