"""A tiny data set, and which steps of experiments ran."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deocclusion_d2.experiments import demo, experiment, steps
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits


@pytest.fixture(scope="session")
def tiny_kins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kins")
    write_splits(folder, {"train": 3, "val": 2}, SyntheticKinsConfig(96, 320), 1)
    return folder


@pytest.fixture
def commands(monkeypatch) -> list[str]:
    """Titles of the steps that ran."""
    titles: list[str] = []
    real = steps.step

    @contextlib.contextmanager
    def noted(title: str, folder: Path) -> Iterator[None]:
        titles.append(title)
        with real(title, folder):
            yield

    for module in (demo, experiment, steps):
        monkeypatch.setattr(module, "step", noted)
    return titles
