"""The overview of a decomposition: its sheet of objects, outlines, and the whole page."""

from __future__ import annotations

import numpy as np

from deocclusion_d2.structures import LayeredScene, ObjectLayer, OcclusionGraph, WindowMask
from deocclusion_d2.visualization import draw_outlines, layers_overview, object_sheet
from deocclusion_d2.visualization.layers import on_checkerboard

HEIGHT, WIDTH = 60, 90
CHECKS = ((232, 232, 232), (200, 200, 200))


def layer(name: str, x0: int, y0: int, width: int, height: int, color) -> ObjectLayer:
    mask = WindowMask.filled((x0, y0, x0 + width, y0 + height))
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., :3] = color
    return ObjectLayer(name, x0, y0, rgba, mask, mask)


def scene(count: int = 2) -> LayeredScene:
    colors = ((250, 10, 10), (10, 10, 250), (10, 250, 10))
    layers = [layer(f"car-{k}", 5 + 9 * k, 10, 8, 30, colors[k % 3]) for k in range(count)]
    return LayeredScene(np.full((HEIGHT, WIDTH, 3), 77, np.uint8), layers, OcclusionGraph(count))


def test_an_object_lies_on_the_checkerboard():
    tile = on_checkerboard(layer("a", 0, 0, 10, 20, (250, 10, 10)), 100)
    red = (tile == (250, 10, 10)).all(-1)
    # Enlarged twice, in the middle.
    np.testing.assert_array_equal(np.argwhere(red).min(0), [30, 40])
    np.testing.assert_array_equal(np.argwhere(red).max(0), [69, 59])
    assert red.sum() == 40 * 20
    rest = tile[~red]
    assert ((rest == CHECKS[0]).all(-1) | (rest == CHECKS[1]).all(-1)).all()


def test_holes_of_an_object_show_the_checkerboard_and_no_colour_of_alpha_zero():
    thing = layer("a", 0, 0, 400, 300, (250, 10, 10))
    thing.rgba[100:200, 100:300] = (0, 255, 0, 0)
    tile = on_checkerboard(thing, 100)
    middle = tile[45:55, 30:70].reshape(-1, 3)
    assert ((middle == CHECKS[0]).all(-1) | (middle == CHECKS[1]).all(-1)).all()
    assert not ((tile[..., 1].astype(int) - tile[..., 0]) > 5).any()
    assert (tile[0] != (250, 10, 10)).any()


def test_the_sheet_holds_every_object():
    for count in (1, 8, 14):
        sheet = object_sheet(scene(count), 800)
        assert sheet.shape[1] == 800 and sheet.dtype == np.uint8
        red = (sheet == (250, 10, 10)).all(-1)
        shown = WindowMask.from_array(red).area
        assert shown == -(-count // 3) * 8 * 30 * 4  # every third is red, enlarged twice


def test_outlines_are_of_the_mask_that_is_asked_for():
    layered = scene(1)
    layered.layers[0].modal_mask = WindowMask.filled((5, 10, 13, 20))
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    modal, amodal = (draw_outlines(layered, image, which, 4.0) for which in (False, True))
    changed = (modal != amodal).any(-1)
    rows = np.flatnonzero(changed.any(axis=1))
    assert modal.shape == (HEIGHT * 4, WIDTH * 4, 3)
    assert 4 * 18 < rows[0] < 4 * 21 and 4 * 38 < rows[-1] < 4 * 42


def test_the_page_shows_photo_and_background():
    layered = scene()
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    page = layers_overview(layered, image)
    area = (900 * HEIGHT // WIDTH) * 900
    assert 0.9 * area < (page == 77).all(-1).sum() < 1.1 * area
    assert 1.5 * area < (page == 128).all(-1).sum() < 2.1 * area
    assert (page == (10, 10, 250)).all(-1).sum() == 8 * 30 * 4


def test_a_long_name_keeps_to_its_tile():
    layered = scene(3)
    before = object_sheet(layered, 800)
    layered.layers[1].name = "a-very-long-name-of-a-category-that-does-not-fit-its-tile-1"
    after = object_sheet(layered, 800)
    columns = np.flatnonzero((before != after).any(axis=(0, 2)))
    assert columns[0] >= 266 and columns[-1] < 532
