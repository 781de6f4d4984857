"""Every pixel has one owner: by score, else by area."""

import numpy as np
import pytest

from deocclusion_d2.structures import (
    OcclusionGraph,
    OverlapSummary,
    ProbabilityMap,
    WindowMask,
    known_scores,
    own_pixels,
    resolve_overlaps,
    resolve_rle_overlaps,
)

H, W = 24, 30


def slow(arrays, scores):
    """Pixel by pixel: the highest score wins, of equal ones the earlier mask."""
    out = np.zeros_like(arrays)
    for y in range(H):
        for x in range(W):
            holders = [n for n in range(len(arrays)) if arrays[n, y, x]]
            if holders:
                out[max(holders, key=lambda n: (scores[n], -n)), y, x] = True
    return out


def random_masks(rng, count):
    arrays = np.zeros((count, H, W), bool)
    for array in arrays:
        y, x, h, w = rng.integers(0, 20, size=4)
        array[y : y + h, x : x + w] = rng.random(array[y : y + h, x : x + w].shape) < 0.8
    return arrays


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_full_images(seed):
    rng = np.random.default_rng(seed)
    arrays = random_masks(rng, 12)
    scores = rng.choice([0.1, 0.5, 0.9, -3.0], size=12)  # ties are common
    windows = [WindowMask.from_array(a) for a in arrays]
    resolved = resolve_overlaps(windows, scores)
    expected = slow(arrays, scores)
    assert (expected != arrays).any()
    assert np.array_equal([m.to_array(H, W) for m in resolved], expected)
    for array, mask, before in zip(expected, resolved, windows, strict=True):
        assert mask == WindowMask.from_array(array), "a tight window"
        assert (mask is before) == (mask == before)
    rles = [m.to_rle(H, W) for m in windows]
    found = own_pixels(windows, scores).summary()
    assert resolve_rle_overlaps(rles, scores) == ([m.to_rle(H, W) for m in resolved], found)


def test_covered_wholly_and_nothing_at_all():
    big, small = WindowMask(2, 3, np.ones((9, 9), bool)), WindowMask(4, 5, np.ones((2, 2), bool))
    front, back = resolve_overlaps([big, small], [0.5, 0.5])
    assert front is big and back.is_empty
    cut, whole = resolve_overlaps([big, small], [0.5, 0.6])
    assert whole is small and cut.area == 81 - 4
    assert resolve_overlaps([], []) == []
    assert resolve_rle_overlaps([], []) == ([], OverlapSummary())
    assert resolve_overlaps([WindowMask.empty(), small], [1, 0]) == [WindowMask.empty(), small]


@pytest.mark.parametrize("seed", range(6))
def test_without_scores_the_smallest_mask_owns(seed):
    """Against a pixel-by-pixel rule; equal areas are common."""
    rng = np.random.default_rng(seed)
    arrays = random_masks(rng, 9)
    arrays = np.concatenate([arrays, arrays[:2, ::-1]])
    windows = [WindowMask.from_array(a) for a in arrays]
    ownership = own_pixels(windows)
    expected = slow(arrays, [-a.sum() for a in arrays])
    assert np.array_equal([m.to_array(H, W) for m in ownership.masks], expected)
    lost = [m.to_array(H, W) for m in ownership.lost]
    assert np.array_equal(lost, arrays & ~expected)
    for owner, other, pixels, share in ownership.overlaps:
        areas = arrays[owner].sum(), arrays[other].sum()
        assert (areas[0], owner) < (areas[1], other)
        assert pixels == (arrays[owner] & arrays[other]).sum() > 0
        assert share == pixels / areas[0]
    shared = [(i, j) for i in range(11) for j in range(i + 1, 11) if (arrays[i] & arrays[j]).any()]
    assert sorted(tuple(sorted(o[:2])) for o in ownership.overlaps) == shared
    others = [arrays[np.arange(11) != i].any(axis=0) for i in range(11)]
    assert ownership.summary() == OverlapSummary(
        pairs=len(shared),
        shared_pixels=(arrays & ~expected).sum(),
        pixels=arrays.sum(),
        covered=sum(2 * (a & o).sum() > a.sum() for a, o in zip(arrays, others, strict=True)),
        hidden=sum(a.any() and not e.any() for a, e in zip(arrays, expected, strict=True)),
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_the_file_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    windows = [WindowMask.from_array(a) for a in random_masks(rng, 12)]
    # One of each area: there are no ties.
    windows = list({m.area: m for m in windows}.values())
    order = rng.permutation(len(windows)).tolist()
    first, second = own_pixels(windows), own_pixels([windows[k] for k in order])
    assert [first.masks[k] for k in order] == second.masks
    assert {(o.owner, o.other) for o in first.overlaps} == {
        (order[o.owner], order[o.other]) for o in second.overlaps
    }


def box(x0, y0, x1, y1):
    return WindowMask.filled((x0, y0, x1, y1))


def test_a_spoon_in_a_cup_on_a_table():
    table, cup, spoon = box(0, 10, 30, 24), box(4, 8, 14, 20), box(10, 6, 12, 14)
    ownership = own_pixels([table, cup, spoon])
    assert ownership.masks == [table - cup - spoon, cup - spoon, spoon]
    assert ownership.masks[2] is spoon
    # The cup has 120 px, 100 of them on the table; the spoon 16, 8 on the table, 12 on the cup.
    assert ownership.overlaps == [
        (1, 0, 100, 100 / 120),
        (2, 0, 8, 0.5),
        (2, 1, 12, 0.75),
    ]
    summary = ownership.summary()
    assert summary == OverlapSummary(3, 100 + 12, 420 + 120 + 16, covered=2, hidden=0)
    assert str(summary) == (
        "112 px (20.14 % of the masks) in 3 pairs, 2 masks covered by more than half"
    )
    assert summary.to_json() == {
        "rule": "owner",
        "pairs": 3,
        "shared_pixels": 112,
        "pixels": 556,
        "covered": 2,
        "hidden": 0,
        "shared_share": 0.201439,
    }
    assert summary + OverlapSummary(1, 2, 3, 4, 5) == OverlapSummary(4, 114, 559, 6, 5)


def test_masks_side_by_side_are_left_alone():
    assert own_pixels([]) is None and own_pixels([box(0, 0, 3, 3)]) is None
    # Boxes meet, masks do not.
    corner = np.ones((5, 5), bool)
    corner[:3, :3] = False
    assert own_pixels([WindowMask(0, 0, corner), box(0, 0, 3, 3), WindowMask.empty()]) is None


def test_the_same_mask_twice_is_the_first_ones():
    first, second = box(2, 2, 8, 8), box(2, 2, 8, 8)
    ownership = own_pixels([first, second])
    assert ownership.masks[0] is first and ownership.masks[1].is_empty
    assert ownership.overlaps == [(0, 1, 36, 1.0)]
    assert str(ownership.summary()) == (
        "36 px (50.00 % of the masks) in 1 pair, 2 masks covered by more than half, "
        "1 mask without a pixel of its own"
    )


def test_scores_count_more_than_areas():
    large, small = box(0, 0, 10, 10), box(8, 8, 12, 12)
    assert own_pixels([large, small], [0.9, 0.6]).masks == [large, small - large]
    assert own_pixels([large, small], [0.6, 0.9]).masks == [large - small, small]


@pytest.mark.parametrize(
    ("values", "scores"),
    [
        ([0.5, 1], [0.5, 1.0]),
        ([], []),
        ([0.5, None], None),
        ([0.5, True], None),
        ([0.5, "0.5"], None),
        ([0.5, float("nan")], None),
    ],
)
def test_scores_count_where_all_masks_have_one(values, scores):
    assert known_scores(values) == scores


class TestOrder:
    """A table of 300 px, a cup of 100 px whose lower `y` rows of 10 px lie on it."""

    def ownership(self, rows):
        return own_pixels([box(0, 10, 30, 20), box(5, rows, 15, 10 + rows)])

    def said(self, front=None, increments=None, confidence=None):
        graph = OcclusionGraph(2)
        graph.add_neighbours(0, 1)
        if front is not None:
            graph.add_occlusion(front, 1 - front, increments, confidence)
        return graph

    @pytest.mark.parametrize("rows", [1, 5, 10])
    def test_the_owner_is_in_front_where_the_method_says_nothing(self, rows):
        graph = self.ownership(rows).ordered(self.said())
        assert graph.edges == [(1, 0)] and graph.confidence(1, 0) == rows / 10

    def test_also_where_the_owned_masks_do_not_touch(self):
        graph = self.ownership(3).ordered(OcclusionGraph(2))
        assert graph.edges == [(1, 0)] and graph.neighbour_pairs == [(0, 1)]

    def test_what_the_method_says_alike_stays(self):
        said = self.said(1, (2, 7), 0.25)
        graph = self.ownership(10).ordered(said)
        assert graph.graph.edges[1, 0] == {"increments": (2.0, 7.0), "confidence": 0.25}

    def test_the_method_is_believed_below_a_half_and_not_from_there_on(self):
        said = self.said(0, (2, 7), 0.75)
        assert self.ownership(4).ordered(said).graph.edges[0, 1]["confidence"] == 0.75
        turned = self.ownership(5).ordered(said)
        assert turned.edges == [(1, 0)]
        assert turned.graph.edges[1, 0] == {"increments": (7.0, 2.0), "confidence": 0.5}
        assert said.edges == [(0, 1)], "the method's graph is not changed"

    def test_pairs_that_hide_each_other_stay_noted(self):
        said = self.said(0, (5, 6))
        said.add_mutual(0, 1, (5, 6))
        assert self.ownership(9).ordered(said).mutual_pairs == {(0, 1): (5.0, 6.0)}


def test_what_the_annotator_said_is_certain():
    kept = ProbabilityMap.from_array(np.full((2, 3), 0.2), 4, 5)
    certain = kept.with_certain(box(6, 6, 9, 8))
    assert certain.xywh == [4, 5, 5, 3]
    expected = np.zeros((3, 5))
    expected[:2, :3] = 0.2
    expected[1:, 2:] = 1
    np.testing.assert_allclose(certain.crop((4, 5, 9, 8)), expected, atol=1e-6)
    assert kept.with_certain(WindowMask.empty()) is kept
    nothing = ProbabilityMap.from_array(np.zeros((2, 2)))
    assert nothing.with_certain(box(1, 2, 3, 4)).xywh == [1, 2, 2, 2]
