"""Content completion with networks whose output is known, on holes of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.inference.content import TeleaFiller, background_holes, object_hole
from deocclusion_d2.inference.content.filler import content_sample
from deocclusion_d2.inference.content.holes import Hole, contains
from deocclusion_d2.structures import SquareCrop, WindowMask
from deocclusion_d2.structures.window_mask import union
from deocclusion_d2.systems.pcnet_c.steps import ContentCompletion
from tests.helpers import box_mask

HEIGHT, WIDTH = 90, 120
OWN, FREE, OTHER = 50, 100, 250


class FakeRunner:
    """Stands for the runner of PCNet-C: ``rule`` makes (S, S, 3) of a sample."""

    def __init__(self, rule) -> None:
        self.rule = rule
        self.seen = []

    def outputs(self, samples, key):
        assert key == "rgb"
        for sample in samples:
            self.seen.append(sample)
            yield self.rule(sample).astype(np.float32)


def constant(value):
    return lambda sample: np.full(sample["image"].shape, value, np.float32)


def mean_of_valid(sample):
    valid = (sample["hole"] == 0) & (sample["outside"] == 0)
    mean = sample["image"][valid].mean(axis=0) if valid.any() else np.zeros(3)
    return np.broadcast_to(mean, sample["image"].shape)


def mask(x0, y0, x1, y1, height=HEIGHT, width=WIDTH) -> WindowMask:
    return WindowMask.from_array(box_mask(height, width, x0, y0, x1, y1))


@pytest.fixture
def street() -> Hole:
    """An object (50) whose right part is hidden by another (250); a third one (250) is beside."""
    image = np.full((HEIGHT, WIDTH, 3), FREE, np.uint8)
    modal, occluder, third = mask(30, 30, 60, 60), mask(60, 25, 90, 66), mask(20, 60, 47, 70)
    for own, value in ((modal, OWN), (occluder, OTHER), (third, OTHER)):
        image[own.to_array(HEIGHT, WIDTH)] = value
    taken = union([modal, occluder, third])
    return object_hole(image, modal, mask(60, 30, 75, 60), taken, category_id=4)


# -------------------------------------------------------------------- what the network sees


@pytest.mark.parametrize("size", [16, 33, 64, 77, 128])
def test_no_pixel_of_other_objects_reaches_the_network(street, size):
    assert street.square.side == 63  # sqrt(3 * 45 * 30) of the amodal box
    sample = content_sample(street, size)
    image, hole, outside = sample["image"], sample["hole"] == 1, sample["outside"] == 1
    assert image.max() <= FREE
    assert (image[sample["modal_mask"] == 1] <= OWN + (FREE - OWN) // 2).all()
    assert (image[hole | outside] == 0).all()
    assert (image[~hole & ~outside] >= OWN).all()
    # The whole occluder is a hole, not only the part of it over the object.
    x, y = ((np.array([79, 50]) - [street.square.x0, street.square.y0]) / 63 * size).astype(int)
    assert hole[y, x]
    assert sample["category_id"] == 4 and sample["category_id"].dtype == np.int64
    assert {sample[k].dtype for k in ("image", "modal_mask", "hole", "outside")} == {
        np.dtype(np.uint8)
    }


def test_masks_of_a_patch_without_resizing(street):
    sample = content_sample(street, 63)
    x0, y0 = street.square.x0, street.square.y0
    modal = np.zeros((63, 63), np.uint8)
    modal[30 - y0 : 60 - y0, 30 - x0 : 60 - x0] = 1
    np.testing.assert_array_equal(sample["modal_mask"], modal)
    hole = np.zeros((63, 63), np.uint8)
    hole[25 - y0 : 66 - y0, 60 - x0 : 90 - x0] = 1
    hole[60 - y0 : 70 - y0, max(20 - x0, 0) : 47 - x0] = 1
    np.testing.assert_array_equal(sample["hole"], hole)
    assert not sample["outside"].any()


def test_pixels_beyond_the_image_are_outside_and_no_hole():
    image = np.full((HEIGHT, WIDTH, 3), FREE, np.uint8)
    modal, hidden = mask(0, 20, 40, 50), mask(0, 50, 40, 90)
    hole = object_hole(image, modal, hidden, union([modal, hidden]), 1)
    assert hole.square.box[0] < 0 and hole.square.box[3] > HEIGHT
    sample = content_sample(hole, hole.square.side)
    outside = np.ones_like(sample["outside"])
    x0, y0, _, _ = hole.square.box
    outside[max(-y0, 0) : HEIGHT - y0, -x0:] = 0
    np.testing.assert_array_equal(sample["outside"], outside)
    assert not (sample["hole"] & sample["outside"]).any()


# -------------------------------------------------------------------- what comes back


@pytest.mark.parametrize("size", [16, 63, 128])
def test_what_the_network_returns_arrives_at_its_place(street, size):
    """A ramp of the network is the same ramp in the image, at the image's resolution."""

    def ramp(sample):
        # Value of a patch pixel: position of its centre in the square, times 2 (x), 3 (y).
        centres = (np.arange(size) + 0.5) * 63 / size
        x, y = np.meshgrid(centres, centres)
        return np.stack([2 * x, 3 * y, x + y], axis=-1)

    content = ContentCompletion(FakeRunner(ramp), patch_size=size, soft_seam=False)
    (window,) = content.fill([street])
    assert window.shape == (30, 15, 3) and window.dtype == np.uint8
    x, y = np.meshgrid(np.arange(60, 75) + 0.5, np.arange(30, 60) + 0.5)
    x, y = x - street.square.x0, y - street.square.y0
    np.testing.assert_allclose(window, np.stack([2 * x, 3 * y, x + y], axis=-1), atol=0.51)


def test_values_beyond_the_range_are_cut(street):
    content = ContentCompletion(FakeRunner(constant(300)), soft_seam=False)
    assert (content.fill([street])[0] == 255).all()
    content = ContentCompletion(FakeRunner(constant(-9)), soft_seam=False)
    assert (content.fill([street])[0] == 0).all()


def test_the_seam_follows_the_visible_pixels_of_the_object_alone(street):
    """The network is 40 too bright for the object; background and others would say otherwise."""
    content = ContentCompletion(FakeRunner(constant(OWN + 40)), patch_size=32)
    (window,) = content.fill([street])
    distance = np.arange(1, 16)  # of columns 60..74 from column 59
    expected = OWN + 40 - 40 * np.exp(-(distance - 1) / 16.0)
    np.testing.assert_allclose(window[15, :, 0], expected, atol=1.0)
    assert (window[:, 0] == OWN).all()


def test_a_network_that_knows_the_truth_gives_it_back():
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    truth = np.stack([60 + x, 200 - y, 90 + 0.4 * x + 0.5 * y], axis=-1).astype(np.uint8)
    hidden = mask(40, 30, 80, 60)
    photo = truth.copy()
    photo[hidden.to_array(HEIGHT, WIDTH)] = 0
    (hole,) = background_holes(photo, hidden)

    def know(sample):
        return hole.square.resize_image(truth, 32)

    (window,) = ContentCompletion(FakeRunner(know), patch_size=32).fill([hole])
    np.testing.assert_allclose(window, truth[30:60, 40:80], atol=2)


def test_a_result_does_not_depend_on_the_holes_beside_it(street):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    holes = [street, *background_holes(image, mask(5, 5, 30, 30)), street]
    content = ContentCompletion(FakeRunner(mean_of_valid), patch_size=32)
    for together, hole in zip(content.fill(holes), holes, strict=True):
        np.testing.assert_array_equal(together, content.fill([hole])[0])
    assert content.fill([]) == []


# -------------------------------------------------------------------- holes of the background


def squares_hold_their_holes(holes):
    return all(contains(h.square.box, h.missing.box) for h in holes)


def test_far_parts_get_squares_of_their_own_and_near_ones_share():
    image = np.zeros((400, 600, 3), np.uint8)
    parts = [
        mask(*b, 400, 600) for b in ((50, 50, 90, 90), (94, 60, 104, 70), (450, 300, 500, 380))
    ]
    holes = background_holes(image, union(parts))
    assert [h.missing for h in holes] == [parts[2], parts[0] | parts[1]]
    assert squares_hold_their_holes(holes)
    assert all(h.category_id == 1 for h in holes)


def test_a_small_part_inside_a_large_square_keeps_its_resolution():
    image = np.zeros((700, 700, 3), np.uint8)
    large, small = mask(150, 150, 450, 450, 700, 700), mask(480, 300, 500, 320, 700, 700)
    holes = background_holes(image, large | small)
    assert contains(holes[0].square.box, small.box)
    assert [h.missing for h in holes] == [large, small]
    assert holes[1].square.side < 60


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 40, 40),
        (119, 89, 120, 90),
        (0, 30, 120, 50),
        (10, 0, 115, 90),
        (0, 0, 120, 89),
        (103, 7, 110, 8),
    ],
)
def test_squares_have_enough_context_or_the_whole_image(box):
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    (hole,) = background_holes(image, mask(*box))
    assert hole.missing == mask(*box)
    crops = hole.crops()
    assert squares_hold_their_holes([hole])
    share = crops.seen.sum() / crops.inside.sum()
    assert share >= 0.3 or crops.inside.sum() == HEIGHT * WIDTH


def test_context_grows_where_other_objects_are_near():
    """Around the middle part lie others: their pixels are no context."""
    image = np.zeros((300, 300, 3), np.uint8)
    taken = np.zeros((300, 300), bool)
    taken[100:200, 100:200] = True
    ring = taken.copy()
    taken[102:198, 102:198] = False
    taken[145:155, 145:155] = True
    taken[104:196:3, 104:196] |= True
    holes = background_holes(image, WindowMask.from_array(taken & ring), context=0.6)
    for hole in holes:
        crops = hole.crops()
        share = crops.seen.sum() / crops.inside.sum()
        assert share >= 0.6 or crops.inside.sum() == 300 * 300


def test_holes_larger_than_the_patch_and_an_image_without_background():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    content = ContentCompletion(FakeRunner(mean_of_valid), patch_size=16)
    (hole,) = background_holes(image, mask(0, 0, 110, 90))
    (window,) = content.fill([hole])
    assert window.shape == (90, 110, 3)
    mean = image[:, 110:].mean()
    assert abs(window[:, :60].astype(float).mean() - mean) < 12
    (hole,) = background_holes(image, mask(0, 0, WIDTH, HEIGHT))
    (window,) = content.fill([hole])
    assert window.shape == (HEIGHT, WIDTH, 3) and (window == 0).all()


def test_nothing_taken_leaves_no_hole():
    assert background_holes(np.zeros((8, 8, 3), np.uint8), WindowMask.empty()) == []


# -------------------------------------------------------------------- without a network


def test_telea_continues_an_object_from_its_own_pixels(street):
    (window,) = TeleaFiller().fill([street])
    assert window.shape == (30, 15, 3)
    # OpenCV is not exact where all is of one colour, but it is far from the others.
    assert np.abs(window.astype(int) - OWN).max() <= 6


def test_telea_where_nothing_is_visible():
    image = np.full((20, 30, 3), OTHER, np.uint8)
    hidden = mask(0, 0, 30, 20, 20, 30)
    (window,) = TeleaFiller().fill(background_holes(image, hidden))
    assert window.shape == (20, 30, 3) and (window == 127).all()


def test_crop_of_an_image_at_its_border():
    image = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    crop = SquareCrop(-1, 3, 4).crop_image(image)
    expected = np.zeros((4, 4, 3), np.uint8)
    expected[:2, 1:] = image[3:, :3]
    np.testing.assert_array_equal(crop, expected)
