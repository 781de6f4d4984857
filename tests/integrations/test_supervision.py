from __future__ import annotations

import numpy as np
import pytest

sv = pytest.importorskip("supervision")


@pytest.fixture
def detections(masks):
    return sv.Detections(
        xyxy=sv.mask_to_xyxy(masks).astype(np.float32),
        mask=masks,
        confidence=np.array([0.8, 0.9], np.float32),
        class_id=np.array([4, 2]),
    )


def test_detections_are_taken(detections, deoccluder, expected):
    result = deoccluder.predict(detections)
    assert result.amodal_masks == expected.amodal_masks and result.graph.edges == [(1, 0)]
    assert result.scene.scores == pytest.approx([0.8, 0.9])
    known = deoccluder.predict(detections, contiguous_ids={40: 4, 20: 2})
    assert known.scene.category_ids.tolist() == [40, 20]


def test_compact_masks_are_taken(detections, masks, deoccluder, expected):
    compact = pytest.importorskip("supervision.detection.compact_mask").CompactMask
    detections.mask = compact.from_dense(masks, detections.xyxy, masks.shape[1:])
    assert deoccluder.predict(detections).amodal_masks == expected.amodal_masks


def test_none_are_taken(deoccluder):
    image = np.zeros((48, 64, 3), np.uint8)
    assert deoccluder.predict(sv.Detections.empty(), image=image).amodal_masks == []


def test_the_result_is_drawn_filtered_and_taken_again(detections, masks, deoccluder, expected):
    found = deoccluder.predict(detections).to_supervision(class_ids=detections.class_id)
    assert found.class_id.tolist() == [4, 2] and found.area.tolist() == [
        mask.area for mask in expected.amodal_masks
    ]
    back = found[found.data["occluded"]]
    assert len(back) == 1 and back.data["occluder_ids"] == [[1]]
    assert back.data["z_order"].tolist() == [0]
    assert np.array_equal(back.data["modal_mask"][0], masks[0])
    image = np.zeros((48, 64, 3), np.uint8)
    drawn = sv.MaskAnnotator(opacity=1.0).annotate(image.copy(), back)
    hidden = expected.amodal_masks[0].to_array(48, 64) & ~masks[0]
    assert hidden.any() and drawn[hidden].any(axis=-1).all()
    assert deoccluder.predict(found).scene.modal_masks[1] == expected.amodal_masks[1]


def test_an_empty_result(deoccluder):
    image = np.zeros((48, 64, 3), np.uint8)
    found = deoccluder.predict(sv.Detections.empty(), image=image).to_supervision()
    assert len(found) == 0
