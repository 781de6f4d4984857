"""Erased regions: where the hole lies, what it depends on, and who has none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.evaluation.content.erased_regions import draw_erased_regions, draw_hole
from deocclusion_d2.structures import SquareCrop, WindowMask
from tests.helpers import box_mask, scene_of

H, W = 120, 160
# B exactly over A, as it is.
IN_PLACE = ErasingSettings(scale=(1.0, 1.0), flip_prob=0.0, overlap=(1.0, 1.0))


def make_scene(ids):
    scene = scene_of(
        [
            box_mask(H, W, 5, 10, 45, 60),
            box_mask(H, W, 60, 20, 80, 110),
            box_mask(H, W, 90, 0, 160, 30) | box_mask(H, W, 90, 0, 110, 80),
            box_mask(H, W, 120, 60, 150, 75),
        ]
    )
    scene.instance_ids = list(ids)
    return scene


def holes(scene, **options):
    regions, _ = draw_erased_regions(scene, ErasingSettings(), **options)
    return {scene.instance_ids[r.row]: r.hole for r in regions}


@pytest.mark.parametrize("flip", [False, True])
def test_hole_is_the_other_mask_laid_over_the_target(flip):
    # A fills its box of 20 x 20 px at (30, 40). B's box is as large, so it is as large in A's
    # square; an L, mirrored or not.
    shape = np.ones((20, 20), bool)
    shape[:12, 8:] = False
    target = WindowMask.filled((30, 40, 50, 60))
    settings = dataclasses.replace(IN_PLACE, flip_prob=float(flip))
    hole = draw_hole(target, [WindowMask(100, 30, shape)], settings, np.random.default_rng(0))
    # Both squares have a side of sqrt(3 * 20 * 20) = 34.6, cut to 34 px, and begin 8 px before the
    # box. So B's box is columns 8 to 27 of its patch, and columns 6 to 25 of the mirrored one.
    assert hole == WindowMask(30, 40, shape[:, ::-1][:, 2:] if flip else shape)


def test_other_mask_is_scaled_to_the_targets_square():
    # B is half as large as A, an L in a box of 10 x 10 px: its square has a side of 17 px.
    shape = np.ones((10, 10), bool)
    shape[1:, 4:] = False
    target = WindowMask.filled((30, 40, 50, 60))
    hole = draw_hole(target, [WindowMask(100, 30, shape)], IN_PLACE, np.random.default_rng(0))
    assert hole == WindowMask(30, 40, shape.repeat(2, axis=0).repeat(2, axis=1))
    # Twice as large, in the square of 69 px that begins 14 px before the box.
    large = WindowMask(100, 50, np.ones((40, 40), bool))
    hole = draw_hole(target, [large], IN_PLACE, np.random.default_rng(0))
    assert hole.area >= 19 * 19


def test_hole_and_visible_part_make_up_the_instance():
    scene = make_scene(range(4))
    settings = ErasingSettings()
    for seed in range(5):
        regions, left_out = draw_erased_regions(scene, settings, seed=seed)
        assert len(regions) == 4 and not left_out
        for region in regions:
            mask = scene.modal_masks[region.row]
            assert region.visible | region.hole == mask
            assert region.visible.intersection_area(region.hole) == 0
            assert 0.001 <= region.hole.area / mask.area < 0.9
            assert region.square == SquareCrop.around(mask.box, settings.enlarge)


def test_regions_follow_from_seed_and_id_alone():
    first = holes(make_scene([7, 8, 9, 10]))
    np.random.seed(5)  # noqa: NPY002  a state that must not matter
    holes(make_scene("abcd"))
    again = holes(make_scene([7, 8, 9, 10]))
    assert again == first
    # Numbers of numpy name the same instances.
    assert holes(make_scene(np.array([7, 8, 9, 10]))) == first
    assert sum(holes(make_scene([7, 8, 9, 10]), seed=1)[k] == first[k] for k in first) == 0
    # The first instance keeps its region when another one is renamed, and loses it when it is.
    assert holes(make_scene([7, 80, 9, 10]))[7] == first[7]
    assert holes(make_scene([70, 8, 9, 10]))[70] != first[7]


def test_instances_without_a_region_are_counted():
    scene = scene_of(
        [
            np.zeros((H, W), bool),
            box_mask(H, W, 0, 0, 1, 1),  # its square has a side of sqrt(3) px
            box_mask(H, W, 30, 40, 50, 60),
            box_mask(H, W, 90, 40, 110, 60),
        ]
    )
    # Each of the two boxes hides all of the other, which is too much.
    regions, left_out = draw_erased_regions(scene, IN_PLACE)
    assert regions == []
    assert left_out == {
        "instances without a visible pixel": 1,
        "instances with a square under the minimum": 1,
        "instances that no placement erases as wanted": 2,
    }
    all_of_it = dataclasses.replace(IN_PLACE, erased_share=(0.001, 1.1))
    regions, left_out = draw_erased_regions(scene, all_of_it, min_square=35.0)
    assert regions == [] and left_out["instances with a square under the minimum"] == 3
    regions, left_out = draw_erased_regions(scene, all_of_it, min_square=34.0)
    assert [region.row for region in regions] == [2, 3]
    assert regions[0].hole == scene.modal_masks[2] and regions[0].visible.is_empty


def test_an_instance_alone_is_erased_by_its_own_shape():
    scene = scene_of([box_mask(H, W, 30, 40, 70, 60)])
    regions, _ = draw_erased_regions(scene, ErasingSettings())
    assert len(regions) == 1 and not regions[0].hole.is_empty
