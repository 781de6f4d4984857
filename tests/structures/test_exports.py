"""Results for supervision and FiftyOne, by stand-ins of their classes; see tests/integrations."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, WindowMask

H, W = 10, 20


@pytest.fixture
def result() -> Deocclusion:
    """0 before 1, which goes on under it for 4 of 16 px; 2, with no pixel, is alone."""
    front, back = WindowMask.filled((4, 2, 8, 6)), WindowMask.filled((8, 2, 11, 6))
    whole = WindowMask.filled((7, 2, 11, 6))
    scene = Scene(
        H, W, [front, back, WindowMask.empty()], np.array([5, 6, 7]), scores=[0.9, 0.8, 0.7]
    )
    graph = OcclusionGraph(3)
    graph.add_occlusion(0, 1)
    return Deocclusion(graph, [front, whole, WindowMask.empty()], rows=[3, 1, 0], scene=scene)


@pytest.fixture
def libraries(monkeypatch):
    stand_in = SimpleNamespace(Detections=SimpleNamespace, Detection=SimpleNamespace)
    for name in ("supervision", "fiftyone"):
        monkeypatch.setitem(sys.modules, name, stand_in)


def test_supervision(result, libraries):
    found = result.to_supervision()
    assert found.xyxy.tolist() == [[4, 2, 8, 6], [7, 2, 11, 6], [0, 0, 0, 0]]
    assert found.mask.shape == (3, H, W) and found.mask.sum((1, 2)).tolist() == [16, 16, 0]
    assert found.data["modal_mask"].sum((1, 2)).tolist() == [16, 12, 0]
    assert found.class_id.tolist() == [5, 6, 7]
    assert found.confidence == pytest.approx([0.9, 0.8, 0.7])
    assert found.data["annotation_id"] == [3, 1, 0]
    assert found.data["occluder_ids"] == [[], [3], []]
    assert found.data["occlusion_rate"].tolist() == [0, 0.25, 0]
    assert found.data["z_order"].tolist() == [1, 0, 0]
    assert found.data["occluded"].tolist() == [False, True, False]
    assert not found.data["occlusion_cycle"].any()


def test_class_numbers_of_all_that_was_given(result, libraries):
    assert result.to_supervision(class_ids=[10, 11, 12, 13]).class_id.tolist() == [13, 11, 10]
    with pytest.raises(UserError, match="^3 class_ids: give one for each of the masks"):
        result.to_supervision(class_ids=[10, 11, 12])


def test_fiftyone(result, libraries):
    found = result.to_fiftyone(labels=["a", "b", "c", "d"])
    amodal, modal = found["amodal"].detections, found["modal"].detections
    # What has no pixel has no box.
    assert [d.label for d in amodal] == [d.label for d in modal] == ["d", "b"]
    assert amodal[1].bounding_box == [7 / 20, 2 / 10, 4 / 20, 4 / 10]
    assert modal[1].bounding_box == [8 / 20, 2 / 10, 3 / 20, 4 / 10]
    assert amodal[1].mask.shape == (4, 4) and amodal[1].mask.all()
    assert (amodal[1].annotation_id, amodal[1].occluder_ids, amodal[1].occluded) == (1, [3], True)
    assert (amodal[1].occlusion_rate, amodal[1].z_order, amodal[0].z_order) == (0.25, 0, 1)
    assert amodal[0].confidence == 0.9
    assert result.to_fiftyone()["modal"].detections[0].label == "5"


def test_ids_of_a_scene_are_its_annotations(result, libraries):
    result.rows, result.scene.instance_ids = None, ["x", "y", "z"]
    assert result.to_supervision().data["occluder_ids"] == [[], ["x"], []]


def test_what_is_missing_is_said(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(UserError, match="^supervision is not installed: pip install supervision$"):
        result.to_supervision()
    result.scene = None
    monkeypatch.setitem(sys.modules, "fiftyone", SimpleNamespace())
    with pytest.raises(UserError, match="does not know its scene"):
        result.to_fiftyone()
