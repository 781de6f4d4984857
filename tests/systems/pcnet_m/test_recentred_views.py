"""Completing again in the square of the completion."""

from __future__ import annotations

import numpy as np

from deocclusion_d2.structures import OcclusionGraph, SquareCrop
from deocclusion_d2.systems.pcnet_m.completion import (
    PCNetCompletion,
    _nearly_same,
    _View,
    mean_of_views,
)
from deocclusion_d2.systems.pcnet_m.patch_completer import PatchCompleter
from tests.helpers import box_mask, rule_model, scene_of

H, W = 80, 400


def completion(recentre: int, **options) -> PCNetCompletion:
    """Its network takes all of the eraser for the target."""
    completer = PatchCompleter(rule_model(lambda visible, eraser: eraser))
    return PCNetCompletion(completer, patch_size=64, recentre=recentre, **options)


def long_scene():
    """The target's first 20 columns are visible; an occluder covers 300 more."""
    target = box_mask(H, W, 20, 20, 40, 60)
    occluder = box_mask(H, W, 40, 20, 340, 60)
    free = box_mask(H, W, 360, 20, 380, 60)
    graph = OcclusionGraph(3)
    graph.add_occlusion(1, 0)
    return scene_of([target, occluder, free]), graph


def reach(recentre: int) -> int:
    """Last column of the completed target."""
    scene, graph = long_scene()
    masks = completion(recentre)([scene], [graph])[0].amodal_masks
    assert masks[1] == scene.modal_masks[1] and masks[2] == scene.modal_masks[2]
    assert np.array_equal(masks[0].crop(scene.modal_masks[0].box), np.ones((40, 20), bool))
    return masks[0].box[2]


def test_each_view_reaches_to_the_border_of_its_square():
    # Around x 20..40, y 20..60: side max(sqrt(3 * 20 * 40), 1.1 * 40) = 48.98, centre 30; from
    # int(5.5) = 5 it ends before 53. The next: 33 x 40, side 62.9, centre 36.5: 5 + 62 = 67.
    assert reach(0) == 53
    assert reach(1) == 67
    # 80, then 91. Around x 20..91 lies the square from 9 with side 92; the last view, from 7 with
    # side 84, is near enough: 6 of 9.2 px off.
    assert reach(3) == reach(20) == 91


def test_views_are_averaged_where_they_lie():
    """0.1 in columns 2 to 6, 0.5 in columns 4 to 12, 0 elsewhere: 0.3 where both are."""
    views = [
        _View(SquareCrop(x, 0, side), np.full((4, 4), value, np.float32))
        for x, side, value in ((2, 4, 0.1), (4, 8, 0.5))
    ]
    box, mean = mean_of_views(views)
    assert box == (2, 0, 12, 8)
    assert np.allclose(mean[0], [0.05] * 2 + [0.3] * 2 + [0.25] * 6)
    assert np.allclose(mean[5], [0] * 2 + [0.25] * 8)
    # A third one counts as much as either.
    assert np.allclose(mean_of_views([*views, views[1]])[1][0, 2:4], (0.1 + 0.5 + 0.5) / 3)


def test_averaged_views_need_more_of_them_to_be_sure():
    """Columns that one of n views holds have 1 / n: of two views the second's are above 0.4, of
    three the third's are not; and the fourth view would be that of the first two."""
    scene, graph = long_scene()

    def reaches(recentre: int) -> int:
        complete = completion(recentre, average_views=True, threshold=0.4)
        return complete([scene], [graph])[0].amodal_masks[0].box[2]

    assert [reaches(n) for n in (0, 1, 2)] == [53, 67, 67]


def test_a_view_alone_is_not_averaged():
    """To the bit: its completion is cut in the patch, not in the image."""
    assert not completion(0, average_views=True).average_views
    scene, graph = long_scene()
    alone, averaged = (
        completion(0, average_views=average, threshold=0.3)([scene], [graph])[0].amodal_masks
        for average in (False, True)
    )
    assert alone == averaged


def test_a_view_that_fits_is_kept():
    """A completion near the middle of its view is not computed again."""
    seen = []

    class Counting(PatchCompleter):
        def run(self, patches, reduce, under_eraser_only=False):
            patches = list(patches)
            seen.append(len(patches))
            return super().run(patches, reduce, under_eraser_only)

    scene, graph = long_scene()
    # Of a wide object nothing but a corner is hidden.
    corner = box_mask(H, W, 95, 55, 103, 62)
    wide = [box_mask(H, W, 20, 20, 100, 60) & ~corner, corner]
    other = OcclusionGraph(2)
    other.add_occlusion(1, 0)
    complete = PCNetCompletion(
        Counting(rule_model(lambda visible, eraser: eraser)), patch_size=64, recentre=2
    )
    results = complete([scene, scene_of(wide)], [graph, other])
    assert seen == [2, 1, 1]
    again = completion(2)([scene], [graph])
    assert again[0].amodal_masks == results[0].amodal_masks  # whatever other scenes there are


def test_tolerance_by_hand():
    wanted = SquareCrop(100, 100, 50)  # centre 125, 125; a tenth is 5 px
    assert _nearly_same(SquareCrop(105, 95, 50), wanted)
    assert not _nearly_same(SquareCrop(106, 100, 50), wanted)
    assert _nearly_same(SquareCrop(98, 98, 55), wanted)  # centre 125.5
    assert not _nearly_same(SquareCrop(97, 97, 56), wanted)
