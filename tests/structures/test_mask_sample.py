"""Completions that were drawn: equal masks as one, and weights that add up to 1."""

from __future__ import annotations

import pytest

from deocclusion_d2.structures import MaskSample, WindowMask
from deocclusion_d2.structures.mask_sample import (
    drawn_samples,
    merged_samples,
    samples_from_json,
)

WIDE, TALL, MOVED = (WindowMask.filled(box) for box in ((1, 1, 5, 3), (1, 1, 3, 5), (2, 1, 6, 3)))


def test_equal_masks_are_one():
    """The same pixels in another shape of window, or elsewhere, are another mask."""
    again = WindowMask.filled((1, 1, 5, 3))
    drawn = drawn_samples([TALL, WIDE, MOVED, again])
    assert [(s.mask, s.weight) for s in drawn] == [(WIDE, 0.5), (TALL, 0.25), (MOVED, 0.25)]
    assert merged_samples([]) == []
    nothing = drawn_samples([WindowMask.empty(), WindowMask.empty()])
    assert len(nothing) == 1 and nothing[0].mask.is_empty and nothing[0].weight == 1


def test_weights_in_json_add_up_to_1():
    """Each is rounded to six decimals."""
    thirds = [MaskSample(mask, 1 / 3).to_json(8, 9) for mask in (WIDE, TALL, MOVED)]
    assert [s.mask for s in samples_from_json(thirds, 8, 9)] == [WIDE, TALL, MOVED]
    assert samples_from_json([], 8, 9) == []
    for given in (thirds[:2], thirds * 2):
        with pytest.raises(ValueError, match="the weights add up to .*, not to 1"):
            samples_from_json(given, 8, 9)
