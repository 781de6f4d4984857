"""Masks, polygons and occlusion of rendered street scenes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_api

from deocclusion_d2.synthesis.statistics import split_statistics
from deocclusion_d2.synthesis.street import (
    RenderedScene,
    SyntheticKinsConfig,
    annotations_of,
    scene_of,
    write_splits,
)
from deocclusion_d2.synthesis.street.camera import Camera, Ground
from deocclusion_d2.synthesis.street.heavy_vehicles import misc, tram, truck
from deocclusion_d2.synthesis.street.masks import amodal_polygons, rasterise
from deocclusion_d2.synthesis.street.people import cyclist, pedestrian, rider
from deocclusion_d2.synthesis.street.render import render_masks
from deocclusion_d2.synthesis.street.street_scene import PlacedObject, StreetScene, front_to_back
from deocclusion_d2.synthesis.street.vehicles import car, van

HEIGHT, WIDTH = 128, 416
SMALL = SyntheticKinsConfig(HEIGHT, WIDTH, seed=3)


@pytest.fixture(scope="module")
def scenes() -> list[RenderedScene]:
    return [scene_of(SMALL, "train", index) for index in range(12)]


@pytest.fixture
def camera() -> Camera:
    return Camera(focal=240.0, centre_x=WIDTH / 2, horizon=60.0, height=1.65)


@pytest.fixture
def ground() -> Ground:
    return Ground(-8.0, 5.0, 0.15, 0.15, cross_slope=0.0, grade=0.0, grade_start=10.0)


def _decode(code: dict) -> np.ndarray:
    return mask_api.decode(code).astype(bool)


def test_images_have_the_asked_size_and_are_not_blank(scenes: list[RenderedScene]) -> None:
    for scene in scenes:
        assert scene.image.shape == (HEIGHT, WIDTH, 3)
        assert scene.image.dtype == np.uint8
        assert scene.image.std() > 15
        assert scene.objects


def test_modal_masks_partition_what_the_amodal_masks_cover(scenes: list[RenderedScene]) -> None:
    for scene in scenes:
        owners = np.sum([item.modal for item in scene.objects], axis=0)
        covered = np.any([item.amodal for item in scene.objects], axis=0)
        assert owners.max() == 1
        np.testing.assert_array_equal(owners == 1, covered)


def test_modal_mask_is_the_amodal_mask_minus_everything_in_front(
    scenes: list[RenderedScene],
) -> None:
    for scene in scenes:
        in_front = np.zeros((HEIGHT, WIDTH), dtype=bool)
        for item in scene.objects:
            assert not (item.modal & ~item.amodal).any()
            np.testing.assert_array_equal(item.modal, item.amodal & ~in_front)
            in_front |= item.amodal


def test_annotations_agree_with_their_polygons(scenes: list[RenderedScene]) -> None:
    for number, scene in enumerate(scenes):
        entries = json.loads(json.dumps(annotations_of(scene, number)))
        assert [entry["layer"] for entry in entries] == list(range(len(entries)))
        assert len({entry["id"] for entry in entries}) == len(entries)
        for entry in entries:
            amodal = np.zeros((HEIGHT, WIDTH), dtype=bool)
            for ring in entry["segmentation"]:
                assert len(ring) >= 6
                assert min(ring[::2]) >= 0 and max(ring[::2]) <= WIDTH
                assert min(ring[1::2]) >= 0 and max(ring[1::2]) <= HEIGHT
                amodal |= _decode(mask_api.frPyObjects([ring], HEIGHT, WIDTH)[0])
            modal = _decode(entry["inmodal_seg"])
            assert entry["area"] == amodal.sum()
            assert modal.sum() >= 20
            for box, mask in ((entry["bbox"], amodal), (entry["inmodal_bbox"], modal)):
                rows, columns = np.nonzero(mask)
                left, top = columns.min(), rows.min()
                expected = [left, top, columns.max() + 1 - left, rows.max() + 1 - top]
                assert box == expected
            assert not (modal & ~amodal).any()
            assert entry["image_id"] == number
            assert 1 <= entry["category_id"] <= 8
            assert entry["iscrowd"] == 0
            assert 1.0 < entry["depth"] < 200.0


def test_stored_polygons_follow_the_projected_parts(camera: Camera, ground: Ground) -> None:
    light = np.array([0.0, 1.0, 0.0])
    for number in range(20):
        rng = np.random.default_rng(number)
        item = PlacedObject(car(rng), rng.uniform(-3, 3), 10.0, rng.uniform(0, 6.3), 0.0)
        patches = item.project(camera, ground, light)
        mask = rasterise(amodal_polygons(patches, HEIGHT, WIDTH), HEIGHT, WIDTH)
        drawn = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        for patch in patches:
            cv2.fillPoly(drawn, [np.round(patch.polygon * 16 - 8).astype(np.int32)], 1, shift=4)
        assert (mask & (drawn > 0)).sum() / (mask | (drawn > 0)).sum() > 0.9


def test_polygons_are_cut_at_the_border(camera: Camera, ground: Ground) -> None:
    item = PlacedObject(car(np.random.default_rng(0)), -7.5, 9.0, 0.5 * np.pi, 0.0)
    patches = item.project(camera, ground, np.array([0.0, 1.0, 0.0]))
    assert min(patch.polygon[:, 0].min() for patch in patches) < -20
    mask = rasterise(amodal_polygons(patches, HEIGHT, WIDTH), HEIGHT, WIDTH)
    assert mask[:, 0].any()
    outside = [patch.__class__(patch.polygon - [900, 0], *_rest(patch)) for patch in patches]
    assert amodal_polygons(outside, HEIGHT, WIDTH) == []


def _rest(patch: object) -> tuple:
    return patch.colour, patch.opacity, patch.painted


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (car, 0.94),
        (van, 0.94),
        (truck, 0.92),
        (tram, 0.95),
        (misc, 0.93),
        (pedestrian, 0.78),
        (cyclist, 0.85),
        (rider, 0.85),
    ],
)
def test_silhouettes_are_not_convex(make, most: float, camera: Camera, ground: Ground) -> None:
    close = Camera(1.6 * camera.focal, 320.0, 180.0, camera.height)
    shares = []
    for number in range(12):
        rng = np.random.default_rng(number)
        solid = make(rng)
        low, high = solid.bounds
        distance = 5.0 + 1.4 * (high[0] - low[0])
        item = PlacedObject(solid, 0.0, distance, rng.uniform(0, 2 * np.pi), 0.0)
        patches = item.project(close, ground, np.array([0.0, 1.0, 0.0]))
        mask = rasterise(amodal_polygons(patches, 360, 640), 360, 640)
        hull = cv2.convexHull(np.argwhere(mask)[:, ::-1].astype(np.int32))
        filled = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), hull, 1)
        shares.append(mask.sum() / filled.sum())
    assert 0.35 < np.mean(shares) < most


def test_objects_stand_on_the_ground(camera: Camera) -> None:
    slope = Ground(-8.0, 5.0, 0.5, 0.5, cross_slope=0.03, grade=0.04, grade_start=5.0)
    for number, make in enumerate((car, van, truck, tram, misc, pedestrian, cyclist, rider)):
        solid = make(np.random.default_rng(number))
        assert abs(solid.bounds[0][2]) < 0.03
        x, z = 6.0, 30.0
        item = PlacedObject(solid, x, z, 0.0, slope.kerb_height(x))
        patches = item.project(camera, slope, np.array([0.0, 1.0, 0.0]))
        lowest = max(patch.polygon[:, 1].max() for patch in patches)
        near = z + float(solid.bounds[0][0])
        foot = [[x, float(slope.road_height(np.array(x), np.array(near))) + 0.5, near]]
        assert abs(lowest - camera.project(np.array(foot))[0, 1]) < 3.0


def test_nearer_object_wins(camera: Camera, ground: Ground) -> None:
    rng = np.random.default_rng(1)
    behind = PlacedObject(car(rng), 0.5, 16.0, 0.5 * np.pi, 0.0)
    before = PlacedObject(pedestrian(rng), 0.3, 9.0, 0.0, 0.0)
    for objects in ([behind, before], [before, behind]):
        scene = StreetScene(camera, ground, np.array([0.0, 1.0, 0.0]), None, (3.0, 3.0), objects)
        (first, second), _ = render_masks(scene, HEIGHT, WIDTH)
        assert (first.depth, second.depth) == (9.0, 16.0)
        assert (first.amodal & second.amodal).any()
        np.testing.assert_array_equal(first.modal, first.amodal)
        np.testing.assert_array_equal(second.modal, second.amodal & ~first.amodal)


def test_person_beside_the_rear_of_a_long_tram_is_in_front() -> None:
    rng = np.random.default_rng(4)
    long = PlacedObject(tram(rng), -4.0, 25.0, 0.0, 0.0)
    person = PlacedObject(pedestrian(rng), -2.0, 28.0, 0.0, 0.0)
    assert long.z < person.z
    assert front_to_back([long, person]) == [1, 0]
    assert front_to_back([person, long]) == [0, 1]


def test_occlusion_resembles_kins(tmp_path: Path) -> None:
    count = 24
    config = SyntheticKinsConfig(96, 320, seed=5)
    (path,) = write_splits(tmp_path, {"val": count}, config, progress=False)
    figures = split_statistics(path)
    assert figures.images == count
    assert 7 < figures.instances / count < 17
    assert 0.35 < figures.occluded_share < 0.75
    assert 0.2 < figures.occlusion_ratio < 0.6
    assert 0.4 < figures.categories["car"] / figures.instances < 0.75
    assert 0.1 < figures.categories["pedestrian"] / figures.instances < 0.4
    assert "24 images" in str(figures)
