"""Samples of the supervised networks: labels follow flips and swaps, draws are reproducible."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deocclusion_d2.data.instance_table import InstanceTable
from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.errors import UserError
from deocclusion_d2.systems.amodal_unet.mapper import AmodalUNetMapper
from deocclusion_d2.systems.modal_unet.mapper import ModalUNetMapper
from deocclusion_d2.systems.order_net.mapper import OrderNetMapper
from deocclusion_d2.systems.order_net.pair_table import PairTable
from tests.data.test_loaders import H, W, annotation, record
from tests.helpers import box_mask

SETTINGS = ErasingSettings(patch_size=32)
# Two boxes side by side; the left one continues behind the right one, up to its right edge.
LEFT, RIGHT = box_mask(H, W, 10, 10, 20, 30), box_mask(H, W, 20, 12, 32, 28)
LEFT_AMODAL = LEFT | RIGHT
FAR = box_mask(H, W, 45, 5, 55, 15)


def amodal_record(**more) -> dict:
    modal, amodal = [LEFT, RIGHT, FAR], [LEFT_AMODAL, RIGHT, FAR]
    return record(
        [
            annotation(k, m, amodal_segmentation=annotation(k, a)["modal_segmentation"])
            for k, (m, a) in enumerate(zip(modal, amodal, strict=True))
        ],
        **more,
    )


def same(first: dict, second: dict) -> bool:
    return all(np.array_equal(first[k], second[k]) for k in first)


def test_amodal_samples():
    mapper = AmodalUNetMapper(
        instances=InstanceTable([amodal_record()], columns=["amodal"]), settings=SETTINGS, seed=3
    )
    sides = set()
    for draw in range(40):
        sample = mapper({"item": 0, "draw": draw})
        modal, amodal = (sample[k].astype(bool) for k in ("modal_mask", "amodal_mask"))
        assert modal.any() and not (modal & ~amodal).any()
        # The hidden part lies right of the modal mask, or left of it in a mirrored patch.
        hidden = (amodal & ~modal).any(axis=0).nonzero()[0]
        visible = modal.any(axis=0).nonzero()[0]
        if hidden.size:  # a shifted crop may leave it out
            sides.add("right" if hidden.min() > visible.max() else "left")
            assert hidden.min() > visible.max() or hidden.max() < visible.min()
        assert sample["category_id"] == 1
        assert same(sample, mapper({"item": 0, "draw": draw}))
    assert sides == {"left", "right"}
    far = mapper({"item": 2, "draw": 0})
    assert np.array_equal(far["modal_mask"], far["amodal_mask"])


def test_amodal_masks_that_are_not_there():
    with pytest.raises(UserError, match=r"image 7 \(none.png\), annotation 0: no amodal mask"):
        InstanceTable([record([annotation(0, LEFT)])], columns=["amodal"])
    with pytest.raises(ValueError, match="holds no amodal masks"):
        InstanceTable([amodal_record()]).amodal_mask(0)


@pytest.mark.parametrize("key", ["modal_segmentation", "amodal_segmentation"])
def test_damaged_masks_of_a_data_set_are_named(key):
    """Dicts that others register are not checked before."""
    damaged = amodal_record()
    damaged["annotations"][1][key] = {"size": [H, W], "counts": "0"}
    message = rf"image 7 \(none.png\), annotation 1: '{key}': the RLE's counts add up to 0 pixels"
    with pytest.raises(UserError, match=message):
        InstanceTable([damaged], columns=["amodal"])
    with pytest.raises(UserError, match=message):
        scene_from_record(damaged)


def test_pairs_are_the_ordered_neighbours():
    table = PairTable([record([]), amodal_record()])
    assert len(table) == 1  # FAR touches nothing
    front, back = table.masks(0)
    assert np.array_equal(front.to_array(H, W), RIGHT)
    assert np.array_equal(back.to_array(H, W), LEFT)
    assert table.image_index.tolist() == [1]
    # The annotator's order comes first, of neighbours only.
    table = PairTable([amodal_record(depth_constraints=[(0, 1), (2, 0)])])
    assert len(table) == 1 and np.array_equal(table.masks(0)[0].to_array(H, W), LEFT)
    assert len(PairTable([amodal_record(depth_constraints=[])])) == 0
    table = PairTable([amodal_record()], min_square=200.0)
    assert len(table) == 0 and table.skipped == 1
    with pytest.raises(UserError, match="neither amodal masks of all instances nor depth"):
        PairTable([record([annotation(0, LEFT)])])


def test_order_samples(tmp_path):
    """The image holds the front one in red and the other in green: label and crop must agree."""
    image = np.zeros((H, W, 3), np.uint8)
    image[RIGHT], image[LEFT] = (255, 0, 0), (0, 255, 0)
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, image[:, :, ::-1])
    table = PairTable([{**amodal_record(), "file_name": path}])
    mapper = OrderNetMapper(pairs=table, settings=SETTINGS, seed=3, load_image=True)
    labels = []
    for draw in range(40):
        sample = mapper({"item": 0, "draw": draw})
        masks = [sample[k].astype(bool) for k in ("first_mask", "second_mask")]
        assert masks[0].any() and masks[1].any() and not (masks[0] & masks[1]).any()
        front, back = masks if sample["first_in_front"] else masks[::-1]
        assert sample["image"][front].mean(axis=0).argmax() == 0
        assert sample["image"][back].mean(axis=0).argmax() == 1
        labels.append(int(sample["first_in_front"]))
        assert same(sample, mapper({"item": 0, "draw": draw}))
    assert 10 <= sum(labels) <= 30
    no_image = OrderNetMapper(pairs=table, settings=SETTINGS, seed=3)({"item": 0, "draw": 5})
    assert set(no_image) == {"first_mask", "second_mask", "first_in_front"}


def test_modal_samples(tmp_path):
    """A box without a corner: the box is the one around it, and the image shows it."""
    mask = np.zeros((H, W), np.uint8)
    cv2.fillPoly(mask, [np.array([[15, 8], [24, 8], [44, 20], [44, 30], [15, 30]])], 1)
    image = np.repeat(mask[:, :, None] * 255, 3, axis=2)
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, image)
    table = InstanceTable([{**record([annotation(0, mask)]), "file_name": path}])
    mapper = ModalUNetMapper(instances=table, settings=SETTINGS, seed=3)
    for draw in range(20):
        sample = mapper({"item": 0, "draw": draw})
        modal, box = (sample[k].astype(bool) for k in ("modal_mask", "box"))
        assert not (modal & ~box).any()
        for axis in (0, 1):
            assert np.array_equal(modal.any(axis=axis), box.any(axis=axis))
        rows, columns = box.any(axis=1), box.any(axis=0)
        assert np.array_equal(box, rows[:, None] & columns[None])
        bright = sample["image"][..., 0] > 127
        # Masks are resized to the nearest pixel, images smoothly: they differ along the outline.
        assert (bright & modal).sum() / (bright | modal).sum() > 0.7
        assert same(sample, mapper({"item": 0, "draw": draw}))
