"""Files of authors' released networks become Detectron2 checkpoints, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..outputs import Inputs, check_output_file
from .category_ids import TrainedOn
from .released import (
    Content,
    NetworkShape,
    ReleasedLayout,
    find_layout,
    find_layout_of_ours,
)
from .tensor_files import SAFETENSORS, read_tensor_file, write_safetensors, write_torch_file


@dataclass(frozen=True)
class Transfer:
    """What was written.

    Attributes:
        layout: of the network that the file holds.
        shape: input channels and width of the network.
        num_tensors: tensors in the written file.
        step: the training iteration that the file says, 0 if none.
    """

    layout: ReleasedLayout
    shape: NetworkShape
    num_tensors: int
    step: int


def import_released(
    source: Path,
    target: Path,
    layouts: Sequence[ReleasedLayout],
    overwrite: bool = False,
    category_ids: Sequence[int] | None = None,
) -> Transfer:
    """Write a released network as a Detectron2 checkpoint.

    Args:
        source: a released file.
        target: a name that ends in .pth, for ``{"model": state dict of our model, "iteration":
            step}``, or in .safetensors.
        layouts: of the networks that it may be.
        overwrite: replace an existing target.
        category_ids: those that it was trained with, to be noted in the checkpoint; None where
            they are not known, which the file itself does not say.

    Raises:
        UserError: it is not such a file, or incomplete, or the target is there or cannot be
            written. One line that names the file; nothing is written.
    """
    if target.suffix not in (".pth", SAFETENSORS):
        # Detectron2 reads .pkl and .pyth as the formats of other projects.
        raise UserError(f"{target}: name a checkpoint with .safetensors or .pth at the end")

    def transfer(content: Content) -> tuple[dict[str, Any], Transfer]:
        if isinstance(content.get("model"), Mapping):
            raise UserError("this is a Detectron2 checkpoint already; --export is the other way")
        layout = find_layout(content, layouts)
        model = layout.from_official(content)
        step = _as_step(content.get("step"))
        written = Transfer(layout, layout.read_shape(content), len(model), step)
        result = {"model": model, "iteration": step}
        if category_ids is not None and layout.takes_category_ids:
            result[TrainedOn.KEY] = TrainedOn(category_ids).state_dict()
        return result, written

    return _transfer(source, target, overwrite, transfer)


def export_released(
    source: Path, target: Path, layouts: Sequence[ReleasedLayout], overwrite: bool = False
) -> Transfer:
    """Write a Detectron2 checkpoint of ours as the authors' code reads it.

    Args:
        source: a checkpoint that training or ``import_released`` wrote.
        target: ``{"step": iteration, "state_dict": named tensors}``; without optimizer.
        layouts: of the networks that it may be.
        overwrite: replace an existing target.

    Raises:
        UserError: as for ``import_released``.
    """
    if target.suffix == SAFETENSORS:
        raise UserError(f"{target}: the authors' code reads files of torch: name it .pth.tar")

    def transfer(content: Content) -> tuple[dict[str, Any], Transfer]:
        if not isinstance(content.get("model"), Mapping):
            raise UserError("this is not a Detectron2 checkpoint, it has no 'model'")
        layout = find_layout_of_ours(content["model"], layouts)
        state = layout.to_official(content["model"])
        step = _as_step(content.get("iteration"))
        written = Transfer(layout, layout.read_shape(state), len(state), step)
        return {"step": step, "state_dict": state}, written

    return _transfer(source, target, overwrite, transfer)


def _transfer(
    source: Path,
    target: Path,
    overwrite: bool,
    transfer: Callable[[Content], tuple[dict[str, Any], Transfer]],
) -> Transfer:
    """Read, turn with ``transfer``, write."""
    check_output_file(target, Inputs([source]), overwrite, "OUTPUT", kind="checkpoint")
    if not source.is_file():
        raise UserError(f"{source} does not exist")
    content = read_tensor_file(source)
    try:
        result, written = transfer(content)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    if target.suffix == SAFETENSORS:
        write_safetensors(target, result["model"], result["iteration"], result.get(TrainedOn.KEY))
    else:
        write_torch_file(target, result)
    return written


def _as_step(value: Any) -> int:
    return value if isinstance(value, int) else 0
