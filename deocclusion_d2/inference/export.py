"""A trained network as an ONNX file, for programs that have no PyTorch."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import UserError
from ..files import whole_file
from ..modeling.instance_network import InstanceNetwork
from ..modeling.precision import plain_copy
from .network_runner import fold_batch_norms

# The first with an exporter of whole programs.
_TORCH = (2, 6)
# Key of what an exported file says about itself.
METADATA = "deocclusion_d2"


def export_onnx(
    model: InstanceNetwork, path: str | Path, size: int, about: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Write a network to an ONNX file: float32, batch norms folded, batches of any size.

    Inputs and outputs are those of the network's batch, by their names, shapes and dtypes; see the
    class of the network.

    Args:
        model: trained. It is not changed.
        path: the file. It appears complete or not at all.
        size: side S of the patches in pixels.
        about: JSON-able; it stands in the file's metadata under ``METADATA``.

    Returns:
        Names of the inputs, and of the outputs.

    Raises:
        UserError: the libraries are missing, the network cannot be exported, or the file cannot be
            written.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"ONNX files need {' and '.join(missing)}: pip install 'deocclusion_d2[onnx]'"
        )
    if tuple(int(v) for v in torch.__version__.split(".")[:2]) < _TORCH:
        raise UserError(f"ONNX files need torch {_TORCH[0]}.{_TORCH[1]} or newer")
    model = plain_copy(model).to("cpu", torch.float32)
    sample = model.sample_of_inference(size)
    if not sample:
        raise UserError(f"{type(model).__name__} has no ONNX form: its parts run one by one")
    for part in model.inference_parts():
        fold_batch_norms(part)
    named = _ByPosition(model, list(sample)).eval()
    # Of one sample, the exporter would take the size of the batch for a constant.
    examples = tuple(values.expand(2, *values.shape[1:]).contiguous() for values in sample.values())
    with torch.no_grad():
        outputs = list(model(dict(zip(sample, examples, strict=True))))
        batch = torch.export.Dim("batch")
        exported = torch.export.export(
            named, examples, dynamic_shapes=(({0: batch},) * len(sample),)
        )
    with _quiet():
        program = torch.onnx.export(
            exported, input_names=list(sample), output_names=outputs, verbose=False
        )
    program.model.metadata_props[METADATA] = json.dumps(about, sort_keys=True)
    with whole_file(path) as unfinished:
        program.save(str(unfinished))
    return list(sample), outputs


class _ByPosition(nn.Module):
    """A network whose batch comes as a list of tensors, and goes as one."""

    def __init__(self, model: InstanceNetwork, keys: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.keys = list(keys)

    def forward(self, *values: torch.Tensor) -> list[torch.Tensor]:
        return list(self.model(dict(zip(self.keys, values, strict=True))).values())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of its own ways."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
