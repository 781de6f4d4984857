"""The project's commands without the start of a Python for each."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from deocclusion_d2.data.synthetic import SyntheticKinsConfig, write_splits
from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments import demo, experiment, trainings


@pytest.fixture(scope="session")
def tiny_kins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kins")
    write_splits(folder, {"train": 3, "val": 2}, SyntheticKinsConfig(96, 320), 1)
    return folder


@pytest.fixture
def commands(monkeypatch) -> list[str]:
    """Titles of the commands that ran; they run in this process, as ``python FILE ARGUMENTS``."""
    titles: list[str] = []

    def run(title: str, command: list[str], log: Path) -> float:
        titles.append(title)
        monkeypatch.setattr(sys, "argv", list(command))
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise UserError(f"{title}: the command failed") from None
        return 0.0

    for module in (demo, experiment, trainings):
        monkeypatch.setattr(module, "run_command", run)
    return titles
