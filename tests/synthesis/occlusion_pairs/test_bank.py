"""Which objects count as complete; every rule at its limit, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.synthesis.occlusion_pairs import Bank, BankSettings
from deocclusion_d2.synthesis.occlusion_pairs.bank import complete_objects

H, W = 260, 320
SETTINGS = BankSettings()


def filled(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    return WindowMask.filled((x0, y0, x1, y1)).to_array(H, W)


def record_of(*masks: np.ndarray, crowds: tuple[int, ...] = (), amodal: dict | None = None) -> dict:
    """A dataset dict of an image with these modal masks; ``amodal`` by row."""
    annotations = []
    for row, mask in enumerate(masks):
        annotation = {
            "id": 10 + row,
            "dataset_category_id": 1,
            "iscrowd": int(row in crowds),
            "modal_segmentation": WindowMask.from_array(mask).to_rle(H, W),
        }
        if amodal and row in amodal:
            whole = WindowMask.from_array(amodal[row])
            annotation["amodal_segmentation"] = whole.to_rle(H, W)
        annotations.append(annotation)
    return {"height": H, "width": W, "file_name": "a.jpg", "annotations": annotations}


def reason(record: dict, row: int = 0, **options) -> str:
    """Why an annotation is left out."""
    return list(complete_objects(record, BankSettings(**options)))[row][1]


def ring(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = filled(x0, y0, x1, y1)
    return mask & ~filled(x0 + 1, y0 + 1, x1 - 1, y1 - 1)


def test_area():
    assert reason(record_of(filled(10, 10, 42, 42))) == ""  # 32 x 32
    assert reason(record_of(filled(10, 10, 43, 41))) == "too small"  # 33 x 31 = 1023


def test_boxes_may_meet_a_little():
    """500 of 10,000 px of the box are 5 %; masks that stay apart do not matter."""
    target = filled(10, 10, 110, 110)
    target[60:110, 60:110] = False  # the box stays, and its corner is free
    assert reason(record_of(target, filled(85, 90, 150, 150))) == ""  # 25 x 20 = 500
    wider = filled(85, 90, 150, 150)
    wider[89, 149] = True  # its box begins a row higher: 25 x 21
    assert reason(record_of(target, wider)) == "box meets another's"
    # The share is of the object's own box: of a larger one the same overlap is less.
    large = filled(90, 90, 310, 250)
    large[:120, :120] = False
    assert reason(record_of(target, large)) == ""
    assert reason(record_of(target, large), row=1) == ""


def test_the_border_of_the_image():
    assert reason(record_of(filled(2, 2, 60, 60))) == ""
    assert reason(record_of(filled(W - 60, H - 60, W - 2, H - 2))) == ""
    for box in ((1, 2, 60, 60), (2, 1, 60, 60), (W - 60, 9, W - 1, 60), (9, H - 60, 60, H - 1)):
        assert reason(record_of(filled(*box))) == "at the image's border"


def test_one_part():
    """95 of 100 rows are in one piece, or 94."""
    whole = filled(10, 10, 60, 110)
    whole[60, :] = False
    for rows, expected in ((range(106, 111), ""), (range(105, 111), "several parts")):
        mask = filled(10, 10, 60, 111)
        mask[rows.start - 1, :] = False
        share = mask[: rows.start - 1].sum() / mask.sum()
        assert (share >= 0.95) == (expected == "")
        assert reason(record_of(mask)) == expected


def test_fill_of_the_box():
    """A frame 10 px wide of 400 x 100 fills 24 % of its box, one of 1 px next to nothing."""
    assert reason(record_of(ring(10, 10, 310, 250))) == "fills too little of its box"
    assert reason(record_of(ring(10, 10, 310, 250)), fill=0.0) == ""


def test_other_masks_are_apart():
    """Pixels of another mask within 2 px; boxes do not overlap."""
    target = filled(50, 50, 100, 100)
    assert reason(record_of(target, filled(102, 50, 150, 100))) == ""
    assert reason(record_of(target, filled(101, 50, 150, 100))) == "near another mask"
    assert reason(record_of(target, filled(100, 50, 150, 100)), apart=0) == ""
    # A corner is as near as an edge.
    assert reason(record_of(target, filled(101, 101, 150, 150))) == "near another mask"


def test_crowds():
    """A crowd is no object; its box may lie anywhere, its pixels not."""
    target, around = filled(50, 50, 100, 100), ring(20, 20, 140, 140)
    assert reason(record_of(target, around, crowds=(1,))) == ""
    assert reason(record_of(target, around)) == "box meets another's"
    assert reason(record_of(target, around, crowds=(1,)), row=1) == "crowd region"
    assert reason(record_of(target, filled(99, 50, 150, 60), crowds=(1,))) == "near another mask"


def test_labels_that_know_the_whole():
    target = filled(50, 50, 100, 100)
    whole = filled(50, 50, 101, 100)
    assert reason(record_of(target, amodal={0: target})) == ""
    assert reason(record_of(target, amodal={0: whole})) == "hidden by its labels"


def test_the_bank():
    """Objects by class in the order of the data set; small classes are left out and counted."""
    records = [record_of(filled(10 + n, 10, 80, 80), filled(200, 200, 210, 210)) for n in range(6)]
    for record in records[4:]:
        record["annotations"][0]["dataset_category_id"] = 3
    settings = BankSettings(min_objects=3)
    bank = Bank.build(records, settings)
    assert {key: [o.record for o in of] for key, of in bank.by_class.items()} == {1: [0, 1, 2, 3]}
    assert bank.left_out == {"too small": 6, "class too small": 2}
    assert len(bank) == 4
    assert [o.area for o in bank.by_class[1]] == [70 * (70 - n) for n in range(4)]
    assert Bank.build(records, settings, num_workers=2) == bank
    for record in records:
        record["annotations"][0]["id"] = 100
    assert next(complete_objects(records[0], settings, {100}))[1] == "rejected by id"


def test_classes_of_one_photo():
    """Its objects could hide none of their own class: they are in the host."""
    one = record_of(filled(10, 10, 80, 80), filled(150, 10, 220, 80))
    other = record_of(filled(10, 10, 80, 80))
    settings = BankSettings(min_objects=1)
    for annotation in one["annotations"]:
        annotation["dataset_category_id"] = 7
    with pytest.raises(UserError, match="left out: 3 class too small"):
        Bank.build([one, other], settings)
    bank = Bank.build([one, other, other], settings)
    assert list(bank.by_class) == [1] and bank.left_out == {"class too small": 2}


def test_refusals():
    records = [record_of(filled(10, 10, 80, 80))]
    with pytest.raises(
        UserError, match="no class has 5 complete objects in two photos .left out: 1"
    ):
        Bank.build(records, SETTINGS)
    with pytest.raises(UserError, match="left out: nothing, for there is no annotation"):
        Bank.build([record_of()], SETTINGS)
    with pytest.raises(UserError, match="2 of 3 ids to reject are none .* such as 11"):
        Bank.build(records, SETTINGS, reject=[10, 11, "x"])
    for options in ({"box_overlap": 1.5}, {"fill": -0.1}, {"min_area": 0}, {"min_objects": 0}):
        with pytest.raises(UserError, match=next(iter(options))):
            BankSettings(**options)
