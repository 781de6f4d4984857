"""Pictures of completions that were drawn: a panel of all, and sheets with each on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import (
    Deocclusion,
    MaskSample,
    OcclusionGraph,
    Scene,
    SceneTruth,
    WindowMask,
)
from deocclusion_d2.structures.mask_sample import disagreement
from deocclusion_d2.visualization import (
    draw_samples,
    object_samples_row,
    samples_sheet,
    scene_panels,
)
from deocclusion_d2.visualization import scene as scene_module
from deocclusion_d2.visualization.palette import BACKGROUND
from deocclusion_d2.visualization.sample_sheets import objects_by_spread
from deocclusion_d2.visualization.samples import line_opacity


def mask(*box: int) -> WindowMask:
    return WindowMask.filled(box)


def scene(image: np.ndarray | None = None) -> Scene:
    """A box in front of another one, and a third beside them, 60 x 120 px."""
    modal = [mask(50, 10, 70, 50), mask(20, 20, 50, 40), mask(90, 20, 110, 40)]
    return Scene(60, 120, modal, np.ones(3), image=image)


def result() -> Deocclusion:
    """The second box may reach 5, 10 or 15 px under the first one; the third may grow by 1."""
    drawn = [MaskSample(mask(20, 20, 50 + w, 40), s) for w, s in ((10, 0.5), (5, 0.25), (15, 0.25))]
    third = [MaskSample(mask(90, 20, 111, 40), 0.5), MaskSample(mask(90, 20, 110, 40), 0.5)]
    graph = OcclusionGraph(3)
    graph.add_occlusion(0, 1)
    amodal = [scene().modal_masks[0], drawn[0].mask, scene().modal_masks[2]]
    return Deocclusion(graph, amodal, samples=[[], drawn, third])


def test_what_more_draws_hold_is_brighter():
    picture = draw_samples(scene(), result().samples, 4.0).astype(int)
    depths = [picture[4 * 30 + 2, 4 * x + 2].sum() for x in (52, 57, 62, 67)]
    assert depths == sorted(depths, reverse=True) and len(set(depths)) == 4
    assert depths[-1] == sum(BACKGROUND)
    # Lines: at the ends of the shapes, the heavier one's more opaque.
    ends = {x: picture[4 * 30, 4 * x - 3 : 4 * x + 4].sum(axis=1).max() for x in (55, 60, 65)}
    assert ends[60] > ends[65] > depths[-1] and ends[55] > depths[-1]


def test_a_rare_shape_is_still_to_be_seen():
    assert line_opacity(1.0) == 1.0
    assert 0.2 < line_opacity(1e-4) < line_opacity(0.1) < line_opacity(0.5) < 1


def test_samples_of_another_scene_are_refused():
    with pytest.raises(UserError, match="3 instances but got samples of 2"):
        draw_samples(scene(), result().samples[:2])


def test_is_a_panel_where_there_are_some(monkeypatch: pytest.MonkeyPatch):
    titles: list[list[str]] = []
    grid = scene_module.titled_grid

    def titled_grid(panels, columns):
        titles.append([title for title, _ in panels])
        return grid(panels, columns)

    monkeypatch.setattr(scene_module, "titled_grid", titled_grid)
    for shown in (replace(result(), samples=None), result()):
        scene_panels(scene(), shown, SceneTruth(amodal_masks=shown.amodal_masks), scale=1.0)
    without, with_panel = titles
    assert with_panel == [*without[:4], scene_module.SAMPLES_TITLE, *without[4:]]


def test_the_spread_is_counted_in_pixels():
    """p is 1 over 5 columns, 0.75 over 5 more, 0.25 over the last; 20 rows each."""
    _, drawn, third = result().samples
    assert disagreement(drawn) == pytest.approx(20 * 5 * (0 + 0.75 * 0.25 + 0.25 * 0.75))
    assert disagreement(third) == pytest.approx(20 * 0.25)
    assert disagreement(drawn[:1]) == pytest.approx(600 * 0.5 * 0.5 + 200 * 0.5 * 0.5)
    assert disagreement([]) == 0
    assert objects_by_spread(result(), scene()) == [1, 2]


def tiles(row: np.ndarray) -> list[np.ndarray]:
    """The tiles of a row, without captions: 200 px each, 6 px between them."""
    assert (row.shape[1] + 6) % 206 == 0 and row.shape[0] == 224
    return [row[24:, left : left + 200] for left in range(0, row.shape[1], 206)]


def colored(tile: np.ndarray) -> int:
    """Pixels that an object's colour is on."""
    return int((np.ptp(tile.astype(int), axis=2) > 40).sum())


def test_a_row_shows_visible_part_choice_draws_and_truth():
    truth = SceneTruth(amodal_masks=[mask(50, 10, 70, 50), mask(20, 20, 68, 40), mask(0, 0, 1, 1)])
    row = object_samples_row(scene(), result(), 1, 4, truth)
    assert row.dtype == np.uint8
    modal, chosen, *drawn, true = tiles(row)
    sizes = [colored(tile) for tile in (modal, drawn[1], drawn[0], drawn[2], true)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 5
    np.testing.assert_array_equal(chosen, drawn[0])
    assert (drawn[3] == 255).all()  # there are three
    # Every shape keeps a margin.
    for tile in (modal, chosen, *drawn[:3], true):
        assert not colored(tile[:, :8]) and not colored(tile[:, -8:])


def test_a_row_of_fewer_tiles_than_draws_shows_the_heaviest():
    row = object_samples_row(scene(), result(), 1, 1)
    _, chosen, first = tiles(row)
    np.testing.assert_array_equal(chosen, first)
    more = object_samples_row(scene(), result(), 1, 3)
    assert not np.array_equal(row[:24, 412:612], more[:24, 412:612])  # "50 %, 2 more not shown"


def test_a_truth_that_is_not_known_has_no_tile():
    truth = SceneTruth(
        amodal_masks=result().amodal_masks, amodal_exact=np.array([True, False, True])
    )
    *_, true = tiles(object_samples_row(scene(), result(), 1, 3, truth))
    assert (true == 255).all()


def test_tiles_show_the_image():
    image = np.zeros((60, 120, 3), np.uint8)
    image[:, :, 1] = np.arange(120) * 2
    row = object_samples_row(scene(image), result(), 1, 1)
    dark = object_samples_row(scene(), result(), 1, 1)
    assert not np.array_equal(tiles(row)[0][:8], tiles(dark)[0][:8])


def test_a_sheet_has_the_objects_that_differ_most_first():
    sheet = samples_sheet(scene(), result())
    one = samples_sheet(scene(), result(), objects=1)
    assert sheet.shape[1] == one.shape[1] == 5 * 206 - 6 + 12  # three samples at most
    assert sheet.shape[0] > one.shape[0]
    row = object_samples_row(scene(), result(), 1, 3)
    top = one.shape[0] - row.shape[0] - 12
    np.testing.assert_array_equal(one[top : top + 224, 6:-6], row)


def test_what_has_no_samples_is_refused_in_a_line():
    none = replace(result(), samples=None)
    for work in (
        lambda: object_samples_row(scene(), none, 1, 3),
        lambda: object_samples_row(scene(), result(), 0, 3),
        lambda: samples_sheet(scene(), none),
        lambda: samples_sheet(scene(), replace(none, samples=[[], [], []])),
    ):
        with pytest.raises(UserError, match="no completions were drawn of"):
            work()
    with pytest.raises(UserError, match="give 1 or more"):
        object_samples_row(scene(), result(), 1, 0)


def test_an_object_as_large_as_the_image_and_one_of_a_pixel():
    whole = Scene(30, 200, [mask(0, 0, 200, 29), mask(0, 29, 1, 30)], np.ones(2))
    drawn = [
        [MaskSample(mask(0, 0, 200, 30), 1.0)],
        [MaskSample(mask(0, 29, 1, 30), 0.5), MaskSample(mask(0, 29, 2, 30), 0.5)],
    ]
    both = Deocclusion(OcclusionGraph(2), whole.modal_masks, samples=drawn)
    assert samples_sheet(whole, both).shape[2] == 3
