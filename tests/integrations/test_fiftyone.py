from __future__ import annotations

import numpy as np
import pytest

fo = pytest.importorskip("fiftyone")


def test_fields_of_a_sample(masks, deoccluder, expected, tmp_path):
    sample = fo.Sample(filepath=str(tmp_path / "a.jpg"))
    for name, value in expected.to_fiftyone(labels=["van", "car"]).items():
        sample[name] = value
    truth = {
        "modal": masks,
        "amodal": [mask.to_array(48, 64) for mask in expected.amodal_masks],
    }
    for name, arrays in truth.items():
        for detection, array in zip(sample[name].detections, arrays, strict=True):
            whole = detection.to_segmentation(frame_size=(64, 48)).mask
            assert np.array_equal(whole > 0, array)
    back, front = sample["amodal"].detections
    assert (back.label, back.occluded, back.occluder_ids, back.z_order) == ("van", True, [1], 0)
    assert (front.occluded, front.z_order, front.occlusion_cycle) == (False, 1, False)
    hidden = truth["amodal"][0].sum() - masks[0].sum()
    assert back.occlusion_rate == pytest.approx(hidden / truth["amodal"][0].sum(), abs=1e-4)
    # As it is kept in its database.
    assert fo.Detection.from_dict(back.to_dict()).occluder_ids == [1]
