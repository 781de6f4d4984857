"""What all tests share."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch
from detectron2.utils.logger import setup_logger

from deocclusion_d2.engine import shared_cores
from deocclusion_d2.evaluation.coco_api import coco_classes
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits

if TYPE_CHECKING:
    from tests.systems.tiny import TinyTrainings

_BESIDE_THE_PROJECT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data (KITTI MOTS, COCOA scenes, COCO); the test skips where there is none.

    It is $DEOCCLUSION_TEST_DATA, or ``shared/data`` beside the project.
    """
    folder = Path(os.environ.get("DEOCCLUSION_TEST_DATA", _BESIDE_THE_PROJECT))
    if not (folder / "kitti_mots").is_dir():
        pytest.skip(f"no real data in {folder}; set DEOCCLUSION_TEST_DATA")
    return folder


@pytest.fixture(params=["hotcoco", "pycocotools"])
def coco_library(request, monkeypatch) -> Iterator[str]:
    """COCO's evaluation is by the one and by the other; skips where there is no hotcoco."""
    if request.param == "hotcoco":
        pytest.importorskip("hotcoco")
    else:
        monkeypatch.setitem(sys.modules, "hotcoco", None)  # importing it fails
    coco_classes.cache_clear()
    yield request.param
    coco_classes.cache_clear()


@pytest.fixture(scope="session")
def tiny_kins(tmp_path_factory) -> Path:
    """Folder of a synthetic KINS of 3 + 2 images; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("kins")
    write_splits(folder, {"train": 3, "val": 2}, SyntheticKinsConfig(96, 320), 1)
    return folder


@pytest.fixture(scope="session")
def trained(tiny_kins, tmp_path_factory) -> TinyTrainings:
    """Tiny trainings on ``tiny_kins`` by the name of their config, each done once."""
    from tests.systems.tiny import TinyTrainings

    return TinyTrainings(tiny_kins, tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def released_layout() -> dict[str, dict[str, list[int]]]:
    """Names and shapes of the authors' released files, in order, by network: pcnet_m, pcnet_c,
    discriminator. They lie in ``reference`` beside the real data; the test skips without.
    """
    folder = Path(os.environ.get("DEOCCLUSION_TEST_DATA", _BESIDE_THE_PROJECT))
    path = folder.parent / "reference" / "official_checkpoint_layout.json"
    if not path.is_file():
        pytest.skip(f"no layout of the released files in {path.parent}")
    layout = json.loads(path.read_text("utf-8"))
    # The keys go on with a description.
    return {
        name: next(tensors for key, tensors in layout.items() if key.startswith(start))
        for name, start in (
            ("pcnet_m", "pcnet_m ("),
            ("pcnet_c", "pcnet_c ("),
            ("discriminator", "pcnet_c discriminator"),
        )
    }


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _nobody_else_is_busy(monkeypatch) -> None:
    """Else trainings of busy machines would have fewer threads, and other last bits."""
    monkeypatch.setattr(shared_cores, "BusyCores", lambda: SimpleNamespace(of_others=lambda: 0.0))
    monkeypatch.setattr(shared_cores, "_FIRST_LOOK", 0)


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """Training sets up Detectron2's loggers, whose streams are those of one test."""
    loggers = [logging.getLogger(name) for name in ("detectron2", "fvcore", "deocclusion_d2")]
    before = [(logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate, logger.level = handlers, propagate, level
    setup_logger.cache_clear()
