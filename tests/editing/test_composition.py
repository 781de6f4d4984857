"""Order and picture, against a slow implementation."""

import itertools

import numpy as np
import pytest

from deocclusion_d2.editing.composition import Sprite, draw, edited_pixels, front_to_back
from deocclusion_d2.editing.scene_state import resize_rgba
from deocclusion_d2.structures import WindowMask
from tests.editing.slow_composition import (
    SlowSprite,
    slow_edited,
    slow_order,
    slow_picture,
)

# ------------------------------------------------------------------ order


def test_the_graph_decides_and_the_preference_breaks_ties():
    edges = {("c", "a"), ("d", "b")}
    # a and b wait for c and d; of those free, the first in the preference list is taken.
    assert front_to_back(edges, ["a", "b", "c", "d"]) == ["c", "a", "d", "b"]
    assert front_to_back(edges, ["b", "d", "a", "c"]) == ["d", "b", "c", "a"]
    assert front_to_back(set(), ["x", "z", "y"]) == ["x", "z", "y"]
    assert front_to_back(set(), []) == []


def test_a_circle_is_opened_where_the_preference_says():
    edges = {("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")}
    # e hides the circle, so it comes first; then the circle opens at its first member b, and what
    # is left of it, c -> a, has an order again; d waits for c.
    assert front_to_back(edges, ["d", "b", "a", "c", "e"]) == ["e", "b", "c", "d", "a"]
    assert front_to_back(edges, ["d", "a", "b", "c", "e"]) == ["e", "a", "b", "c", "d"]


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs(seed):
    random = np.random.default_rng(seed)
    names = [f"n{i}" for i in range(9)]
    edges = set()
    for a, b in itertools.combinations(names, 2):
        if random.random() < 0.25:
            edges.add((a, b) if random.random() < 0.7 else (b, a))
    preference = list(random.permutation(names))
    stack = front_to_back(edges, preference)
    assert sorted(stack) == names
    assert front_to_back(edges, stack) == stack
    assert stack == slow_order(edges, preference)


# ------------------------------------------------------------------ picture


def sprite(name, x, y, rgba, shift=None, visible=None):
    return Sprite(name, x, y, rgba, shift, visible or WindowMask.empty())


def solid(h, w, colour, alpha=255):
    return np.full((h, w, 4), (*colour, alpha), np.uint8)


def test_blending_rounds_to_the_nearest():
    background = np.full((1, 3, 3), 10, np.uint8)
    rgba = solid(1, 3, (201, 10, 0))
    rgba[0, :, 3] = 0, 128, 255
    picture = draw(background, [sprite("a", 0, 0, rgba)], set(), set())
    # 128 / 255 of 201 and 127 / 255 of 10 are 105.87; of 0 and 10, 4.98.
    assert picture.tolist() == [[[10, 10, 10], [106, 10, 5], [201, 10, 0]]]
    assert (background == 10).all()


@pytest.mark.parametrize("at", [(-3, -2), (8, 5), (-50, 0), (10, 0), (10**12, 3)])
def test_objects_may_leave_the_image(at):
    background = np.zeros((8, 10, 3), np.uint8)
    rgba = np.dstack([np.arange(75).reshape(5, 5, 3).astype(np.uint8), solid(5, 5, ())[..., 0]])
    picture = draw(background, [sprite("a", *at, rgba)], set(), set())
    expected = background.copy()
    for row, column in itertools.product(range(5), range(5)):
        y, x = at[1] + row, at[0] + column
        if 0 <= y < 8 and 0 <= x < 10:
            expected[y, x] = rgba[row, column, :3]
    assert np.array_equal(picture, expected)


def test_an_edge_that_the_stack_contradicts_cuts_the_object_in_front():
    red, green, blue = (
        sprite("r", 0, 0, solid(1, 3, (255, 0, 0))),
        sprite("g", 1, 0, solid(1, 3, (0, 255, 0))),
        sprite("b", 2, 0, solid(1, 3, (0, 0, 255))),
    )
    background = np.zeros((1, 6, 3), np.uint8)
    circle = {("r", "g"), ("g", "b"), ("b", "r")}
    picture = draw(background, [red, green, blue], circle, set())
    # Where all three lie (column 2), red is cut by blue, and green stays in front of blue.
    assert _letters(picture) == "rrggb."
    assert _letters(draw(background, [red, green, blue], circle - {("b", "r")}, set())) == "rrrgb."
    # One that is not to be seen cuts nothing; a pixel of less than half alpha neither.
    assert _letters(draw(background, [red, green], circle, set())) == "rrrg.."
    blue.rgba[..., 3] = 127
    assert _letters(draw(background, [red, green, blue], circle, set()))[:3] == "rrr"


def _letters(picture):
    names = {(255, 0, 0): "r", (0, 255, 0): "g", (0, 0, 255): "b"}
    return "".join(names.get(tuple(pixel), ".") for pixel in picture[0].tolist())


@pytest.mark.parametrize("seed", range(6))
def test_random_pictures(seed):
    random = np.random.default_rng(seed)
    height, width = 12, 14
    names = list("abcdef")
    stack, slow_stack, edges = [], [], set()
    for name in names:
        h, w = random.integers(3, 10, 2)
        rgba = random.integers(0, 256, (h, w, 4), dtype=np.uint8)
        rgba[..., 3] = random.choice([0, 60, 127, 128, 255], (h, w))
        place = random.integers(-3, 8, 2)
        shift = [None, (0, 0), (2, -1)][random.integers(3)]
        dx, dy = shift or (0, 0)
        seen = random.random((h, w)) < 0.5
        visible = WindowMask.from_array(seen, int(place[0]) - dx, int(place[1]) - dy)
        corner = (int(place[0]), int(place[1]))
        stack.append(sprite(name, *corner, rgba, shift, visible))
        size = (height, width)
        slow_stack.append(SlowSprite.placed(name, size, corner, rgba, visible, shift))
    for a, b in itertools.combinations(names, 2):
        if random.random() < 0.6:
            edges.add((a, b) if random.random() < 0.5 else (b, a))
    by_hand = {edge for edge in sorted(edges) if random.random() < 0.3}
    background = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = draw(background, stack, edges, by_hand)
    assert np.array_equal(picture, slow_picture(background, slow_stack, edges, by_hand))


# ------------------------------------------------------------------ what is edited


def marked(before, stack, by_hand=frozenset(), size=(8, 12)):
    """The rows and columns of the picture that may differ, as a box; None without any."""
    edited = edited_pixels(size, before, stack, set(by_hand))
    rows, columns = np.nonzero(edited.any(1))[0], np.nonzero(edited.any(0))[0]
    if not edited.any():
        return None
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert edited.sum() == (box[2] - box[0]) * (box[3] - box[1])
    return tuple(int(v) for v in box)


def test_what_counts_as_edited():
    # a at x 1-4, b at x 6-9, both y 3-5; 2 px around them count.
    a, b = (sprite(n, x, 3, solid(2, 3, (1, 2, 3)), (0, 0)) for n, x in (("a", 1), ("b", 6)))
    assert marked([a, b], [a, b]) is None
    assert marked([a, b], [a]) == (4, 1, 11, 7)  # b is gone
    assert marked([a, b], [b]) == (0, 1, 6, 7)
    moved = sprite("a", 2, 3, a.rgba, (1, 0))
    assert marked([a, b], [moved, b]) == (0, 1, 7, 7)  # where it was and where it is
    far = sprite("a", 10**12, 3, a.rgba, (10**12, 0))
    assert marked([a, b], [far, b]) == (0, 1, 6, 7)
    # Order counts where both are: x 4-6.
    assert marked([a, b], [b, a]) == (4, 1, 6, 7)
    assert marked([a, b], [a, b], {("a", "b")}) == marked([a, b], [a, b], {("b", "a")})
    assert marked([a, b], [a, b], {("a", "b")}) == (4, 1, 6, 7)
    # One more, and one that was scaled.
    copy = sprite("a-copy", 1, 3, a.rgba, (0, 0))
    assert marked([a, b], [copy, a, b]) == (0, 1, 6, 7)
    assert marked([a, b], [sprite("a", 1, 3, a.rgba[:1], None), b]) == (0, 1, 6, 7)


@pytest.mark.parametrize("seed", range(4))
def test_random_edits_are_marked(seed):
    random = np.random.default_rng(seed)
    size, margin = (16, 18), 2
    canvas = (size[0] + 2 * margin, size[1] + 2 * margin)
    lists: dict[str, list] = {"before": [], "now": [], "slow_before": [], "slow_now": []}
    for name in random.permutation(list("abcde")).tolist():
        h, w = random.integers(2, 7, 2)
        rgba = random.integers(0, 256, (h, w, 4), dtype=np.uint8)
        rgba[..., 3] *= random.random((h, w)) < 0.6
        x, y = (int(v) for v in random.integers(-3, 14, 2))
        shift = (0, 0) if random.random() < 0.6 else (3, -2)
        for kind, (dx, dy) in (("before", (0, 0)), ("now", shift)):
            lists[kind].append(sprite(name, x + dx, y + dy, rgba, (dx, dy)))
            corner = (x + dx + margin, y + dy + margin)
            slow = SlowSprite.placed(name, canvas, corner, rgba, WindowMask.empty(), (dx, dy))
            lists[f"slow_{kind}"].append(slow)
    order = random.permutation(5)[: random.integers(3, 6)]
    now, slow_now = ([lists[kind][k] for k in order] for kind in ("now", "slow_now"))
    by_hand = {("a", "b")}
    expected = slow_edited(lists["slow_before"], slow_now, by_hand)[2:-2, 2:-2]
    found = edited_pixels(size, lists["before"], now, by_hand)
    assert np.array_equal(found, expected) and found.any()


# ------------------------------------------------------------------ size


def test_shrinking_averages_and_keeps_colours_clear_of_what_lies_outside():
    rgba = np.zeros((2, 4, 4), np.uint8)
    rgba[:, 0] = 100, 0, 0, 255
    rgba[:, 1] = 7, 7, 7, 0  # outside of the object: must not darken what is inside
    rgba[:, 2] = 40, 0, 0, 255
    rgba[:, 3] = 60, 0, 0, 255
    assert resize_rgba(rgba, 0.5).tolist() == [[[100, 0, 0, 128], [50, 0, 0, 255]]]


def test_sizes_round_and_never_vanish():
    rgba = solid(5, 3, (9, 8, 7))
    assert resize_rgba(rgba, 1.0) is rgba
    assert resize_rgba(rgba, 1.5).shape == (8, 5, 4)  # 7.5 and 4.5 round up
    assert resize_rgba(rgba, 0.1).shape == (1, 1, 4)
    assert (resize_rgba(rgba, 3.0) == (9, 8, 7, 255)).all()
