"""PCNet-C's samples: where holes lie, what is visible, and which pixels come from the image."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.data.instance_table import InstanceTable
from deocclusion_d2.data.samplers import ErasingSettings, draw_sample
from deocclusion_d2.structures import SquareCrop, WindowMask
from deocclusion_d2.systems.pcnet_c.mapper import ContentMapper
from deocclusion_d2.systems.pcnet_c.sampler import draw_background_sample, draw_object_sample
from tests.helpers import box_mask

SETTINGS = ErasingSettings(patch_size=64)
HEIGHT, WIDTH = 90, 120


def ellipse(height: int, width: int) -> WindowMask:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return WindowMask.from_array(x**2 + y**2 <= 1, x0=30, y0=20)


def test_the_hole_is_the_overlap():
    """The same draws as PCNet-M's case 1, cut to the target."""
    a, b = ellipse(40, 60), ellipse(50, 30)
    case_1 = ErasingSettings(patch_size=64, gamma=1.0)
    for seed in range(20):
        sample = draw_object_sample(a, b, SETTINGS, np.random.default_rng(seed))
        whole = draw_sample(a, b, case_1, np.random.default_rng(seed))
        np.testing.assert_array_equal(sample.hole, whole.modal_mask & whole.eraser)
        np.testing.assert_array_equal(sample.modal_mask | sample.hole, whole.modal_mask)
        assert not (sample.modal_mask & sample.hole).any() and sample.hole.any()


def test_background_holes_lie_in_no_object():
    objects = [ellipse(40, 60), WindowMask.filled((80, 0, 120, 30))]
    b = ellipse(50, 30)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sample = draw_background_sample(objects[0].box, objects, (HEIGHT, WIDTH), b, SETTINGS, rng)
        known = np.ones((HEIGHT, WIDTH), bool)
        for mask in objects:
            known &= ~mask.to_array(HEIGHT, WIDTH)
        expected = sample.crop.sample(WindowMask.from_array(known), 64, sample.flip)
        np.testing.assert_array_equal(sample.modal_mask | sample.hole, expected)
        assert sample.hole.any() and not (sample.modal_mask & sample.hole).any()


def test_outside_by_hand():
    # A square of 8 px that leaves an image of 10 x 6 px by 3 columns at its left and 5 rows below.
    outside = SquareCrop(-3, 3, 8).sample_outside((6, 10), 8)
    np.testing.assert_array_equal(outside, ~box_mask(8, 8, 3, 0, 8, 3))
    flipped = SquareCrop(-3, 3, 8).sample_outside((6, 10), 8, flip=True)
    np.testing.assert_array_equal(flipped, outside[:, ::-1])


@pytest.fixture
def instances(tmp_path) -> InstanceTable:
    """Two images; colours tell image, row and column."""
    records = []
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for k in range(2):
        image = np.stack([x * 2, y * 2, np.full_like(x, 50 + 100 * k)], -1).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / f"{k}.png")
        masks = [ellipse(40, 60 - 20 * k), WindowMask.filled((90, 50, 110, 80))]
        annotations = [
            {"modal_segmentation": m.to_rle(HEIGHT, WIDTH), "dataset_category_id": 4 + k}
            for m in masks
        ]
        records.append(
            {
                "file_name": str(tmp_path / f"{k}.png"),
                "height": HEIGHT,
                "width": WIDTH,
                "annotations": annotations,
            }
        )
    return InstanceTable(records)


def test_instances_of_the_same_image(instances):
    assert [list(instances.beside(i)) for i in range(4)] == [[0, 1], [0, 1], [2, 3], [2, 3]]


def test_colours_belong_to_the_patch(instances):
    mapper = ContentMapper(instances=instances, settings=SETTINGS, seed=3)
    for item in range(4):
        sample = mapper({"item": item, "draw": item})
        again = mapper({"item": item, "draw": item})
        assert all(np.array_equal(v, again[k]) for k, v in sample.items())
        assert sample["category_id"] == (4 if item < 2 else 5)
        image, inside = sample["image"], sample["outside"] == 0
        target = (sample["modal_mask"] | sample["hole"]) > 0
        assert target.any() and not (target & ~inside).any()
        # Where the target lies, so do the colours of its columns and rows.
        mask = instances.modal_mask(item)
        x0, y0, x1, y1 = mask.box
        columns, rows = image[target][:, 0] / 2, image[target][:, 1] / 2
        assert x0 - 2 <= columns.min() and columns.max() <= x1 + 2
        assert y0 - 2 <= rows.min() and rows.max() <= y1 + 2
        assert columns.max() - columns.min() > 0.7 * (x1 - x0)
        assert (image[target][:, 2] == (50 if item < 2 else 150)).all()
    other = mapper({"item": 0, "draw": 7})
    assert not np.array_equal(other["hole"], mapper({"item": 0, "draw": 0})["hole"])


def test_background_share(instances):
    mapper = ContentMapper(instances=instances, settings=SETTINGS, seed=0, background_share=0.3)
    drawn = [mapper({"item": 2, "draw": k}) for k in range(200)]
    share = np.mean([sample["category_id"] == 1 for sample in drawn])
    assert share == pytest.approx(0.3, abs=0.1)
    for sample in drawn[:50]:
        if sample["category_id"] == 1:
            assert not (sample["hole"] & sample["outside"]).any()
