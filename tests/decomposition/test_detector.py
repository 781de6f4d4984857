"""A detector beside a data set that it was not trained for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from detectron2.data import MetadataCatalog

from deocclusion_d2.decomposition.detector import Detector
from deocclusion_d2.errors import UserError
from tests.decomposition.test_mask_sources import FakeNetwork, detector_config


def test_more_classes_than_the_data_set_has():
    MetadataCatalog.get("one_class_of_a_detector").set(
        thing_classes=["person"], thing_dataset_id_to_contiguous_id={1: 0}
    )
    detect = Detector(detector_config("one_class_of_a_detector"), 0.5, False, FakeNetwork())
    with pytest.raises(UserError, match="found class 1, but .* DATASETS.TEST has 1 categories"):
        detect(Path("a.jpg"), np.zeros((20, 30, 3), np.uint8))
