"""What a tool reads of a data set, so that it is not written over."""

from __future__ import annotations

from collections.abc import Sequence

from detectron2.data import MetadataCatalog

from ..data.datasets import ensure_registered
from ..errors import UserError
from ..outputs import Inputs, files_in_name


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


def weights_in(opts: Sequence[str]) -> str | None:
    """What config overrides say about MODEL.WEIGHTS."""
    return dict(zip(opts[::2], opts[1::2], strict=False)).get("MODEL.WEIGHTS")
