"""The format of a file, told from the keys of an annotation."""

import pytest

from deocclusion_d2.data.datasets import detect_format


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ("segmentation inmodal_seg bbox", "kins"),
        ("a_segm i_segm oco_id ico_id", "kins2020"),
        ("regions image_id", "cocoa"),
        ("segmentation visible_mask", "cocoa_cls"),
        ("segmentation occlude_rate", "cocoa_cls"),
        ("segmentation inmodal_seg visible_mask", "kins"),
        ("i_segm occlude_rate", "kins2020"),
        ("regions inmodal_seg", "cocoa"),
        ("regions modal_segmentation", "pseudo_amodal"),
        ("segmentation bbox", "coco"),
        ("segmentation modal_segmentation occluder_ids inmodal_seg", "pseudo_amodal"),
    ],
)
def test_detect_format(keys, name):
    assert detect_format(dict.fromkeys(keys.split())).name == name


def test_keys_that_tell_nothing():
    assert detect_format({"id": 1, "bbox": [0, 0, 1, 1]}) is None
