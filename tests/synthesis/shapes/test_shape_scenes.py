"""Scenes of generic shapes: exact masks, order, whole shapes, sizes."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest

from deocclusion_d2.structures import WindowMask
from deocclusion_d2.synthesis.shapes import GenericObject, compose_scene
from deocclusion_d2.synthesis.shapes.scene import FEWEST, MOST, draw_object

HEIGHT, WIDTH = 150, 200


def _scenes(scattered: bool) -> list[list[GenericObject]]:
    return [
        compose_scene(np.random.default_rng(seed), HEIGHT, WIDTH, scattered) for seed in range(15)
    ]


@pytest.fixture(scope="module")
def heaps() -> list[list[GenericObject]]:
    return _scenes(scattered=False)


@pytest.fixture(scope="module")
def apart() -> list[list[GenericObject]]:
    return _scenes(scattered=True)


def test_modal_is_amodal_minus_what_is_in_front(heaps: list[list[GenericObject]]) -> None:
    hidden = 0
    for objects in heaps:
        in_front = np.zeros((HEIGHT, WIDTH), dtype=bool)
        owners = np.zeros((HEIGHT, WIDTH), dtype=int)
        for item in objects:
            np.testing.assert_array_equal(item.modal, item.amodal & ~in_front)
            in_front |= item.amodal
            owners += item.modal
            hidden += int(item.amodal.sum() > item.modal.sum())
        np.testing.assert_array_equal(owners, in_front)  # each covered pixel has one owner
    assert hidden > 2 * len(heaps)


def test_enough_of_every_object_shows(heaps: list[list[GenericObject]]) -> None:
    for objects in heaps:
        assert 1 <= len(objects) <= MOST
        for item in objects:
            assert item.modal.sum() >= max(20, 0.15 * item.amodal.sum())


def test_lower_is_nearer_in_half_of_the_heaps_alone() -> None:
    in_order, of_all = [], []
    for seed in range(30):
        objects = compose_scene(np.random.default_rng(seed), HEIGHT, WIDTH, scattered=False)
        lowest = [int(np.flatnonzero(item.amodal.any(axis=1))[-1]) for item in objects]
        pairs = [a >= b for a, b in combinations(lowest, 2)]  # the first one is in front
        if len(pairs) < 3:
            continue
        if all(pairs):
            in_order.append(seed)
        else:
            of_all += pairs
    assert 8 <= len(in_order) <= 22
    assert 0.35 < np.mean(of_all) < 0.6  # the rest does not depend on the position


def test_scattered_objects_are_whole_and_keep_a_gap(apart: list[list[GenericObject]]) -> None:
    for objects in apart:
        assert 1 <= len(objects) <= MOST
        masks = [WindowMask.from_array(item.amodal) for item in objects]
        for item in objects:
            np.testing.assert_array_equal(item.modal, item.amodal)
        # A kernel of 5 bridges gaps of up to 2 px.
        assert not any(a.touches(b, dilation=5) for a, b in combinations(masks, 2))
    assert np.mean([len(objects) for objects in apart]) > FEWEST


def test_no_object_is_a_speck_or_a_hair(
    heaps: list[list[GenericObject]], apart: list[list[GenericObject]]
) -> None:
    for objects in apart:
        for item in objects:
            inside = cv2.distanceTransform(np.pad(item.amodal.view(np.uint8), 1), cv2.DIST_L2, 5)
            assert inside.max() >= 2.5
            sides = WindowMask.from_array(item.amodal).xywh[2:]
            assert 12 <= max(sides) <= 0.6 * HEIGHT + 3
    assert len({item.family for scene in heaps + apart for item in scene}) > 12


def test_a_size_that_is_too_small_grows() -> None:
    for seed in range(5):
        _, mask = draw_object(np.random.default_rng(seed), 2.0, 0.5)
        assert min(mask.shape) >= 5
