"""What the tools say where something is wrong: one line and status 1."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from deocclusion_d2.errors import UserError, one_line_errors


class Broken(Dataset):
    """Its only sample cannot be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> torch.Tensor:
        raise UserError(f"{index}.png: it is no image")


def said(capsys) -> str:
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "error, line",
    [
        (UserError("--scale 0: give more"), "--scale 0: give more"),
        (NotADirectoryError(20, "Not a directory", "a/b.json"), "a/b.json: Not a directory"),
        # Detectron2 and fvcore raise it with a sentence of their own.
        (FileNotFoundError("no weights here"), "no weights here"),
    ],
)
def test_the_message_alone(capsys, error, line):
    with pytest.raises(SystemExit) as stopped, one_line_errors():
        raise error
    assert stopped.value.code == 1
    assert said(capsys) == f"error: {line}\n"


def test_what_a_worker_of_a_loader_raises(capsys):
    with pytest.raises(SystemExit), one_line_errors():
        list(DataLoader(Broken(), num_workers=1))
    assert said(capsys) == "error: 0.png: it is no image\n"


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("the disk is gone")])
def test_what_nobody_foresaw_keeps_its_traceback(error):
    with pytest.raises(type(error)), one_line_errors():
        raise error
