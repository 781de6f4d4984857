"""Which steps of experiments ran."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deocclusion_d2.experiments import demo, experiment, steps


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
