"""Hidden objects as several detectors see them."""

from __future__ import annotations

import numpy as np

from deocclusion_d2.structures import WindowMask
from deocclusion_d2.visualization import FoundObject, draw_found_objects
from tests.helpers import box_mask

H, W = 60, 200


def found_object(*found) -> FoundObject:
    image = np.full((H, W, 3), 120, np.uint8)
    masks = [box_mask(H, W, 80, 20, right, 40) for right in (95, 120)]
    modal, amodal = (WindowMask.from_array(mask) for mask in masks)
    return FoundObject(image, modal, amodal, found)


def test_a_row_per_object_and_a_cell_per_detector():
    item = found_object(None, WindowMask.from_array(box_mask(H, W, 80, 20, 120, 40)))
    page = draw_found_objects([item, item], ["Raw", "GT"])
    # A strip of titles and two rows of three cells; 6 pixels around and between.
    assert page.shape == (30 + 2 * 180 + 3 * 6, 3 * 240 + 4 * 6, 3)
    # What is found fills the middle of its cell, what is not leaves the grey image there.
    middle = 36 + 90 - 25
    missed, found = (page[middle, 6 + k * 246 + 150].astype(int) for k in (1, 2))
    assert np.ptp(missed) < 12 and np.ptp(found) > 30


def test_objects_at_the_border_and_large_ones():
    image = np.zeros((H, W, 3), np.uint8)
    for box in ((0, 0, 5, 5), (195, 50, 200, 60), (0, 0, W, H)):
        mask = WindowMask.from_array(box_mask(H, W, *box))
        page = draw_found_objects([FoundObject(image, mask, mask, [mask])], ["GT"])
        assert page.shape == (30 + 180 + 12, 2 * 240 + 18, 3)
