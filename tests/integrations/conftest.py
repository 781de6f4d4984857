"""The real libraries, without weights and without a network connection.

Run by ``make test-integrations``, which installs them; where one is not installed, its tests skip.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from deocclusion_d2.deoccluder import Deoccluder
from tests.helpers import box_mask

# Read when the libraries are imported: nothing is reported, fetched or installed.
for _name, _value in {
    "FIFTYONE_DO_NOT_TRACK": "true",
    "HF_HUB_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_OFFLINE": "true",
}.items():
    os.environ.setdefault(_name, _value)

H, W = 48, 64


@pytest.fixture(scope="session", autouse=True)
def _settings_of_ultralytics(tmp_path_factory) -> None:
    os.environ.setdefault("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("ultralytics")))


@pytest.fixture
def masks() -> np.ndarray:
    """(2, 48, 64) bool: an L, and a box that hides what would make it a rectangle."""
    back, front = box_mask(H, W, 8, 6, 40, 40), box_mask(H, W, 24, 4, 44, 26)
    return np.stack([back & ~front, front])


@pytest.fixture
def deoccluder() -> Deoccluder:
    return Deoccluder.baseline("convex_r")


@pytest.fixture
def expected(masks, deoccluder):
    """What the masks give as an array: 1 before 0."""
    result = deoccluder.predict(masks)
    assert result.graph.edges == [(1, 0)] and result.amodal_masks[0].area > masks[0].sum()
    return result
