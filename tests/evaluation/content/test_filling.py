"""Filling erased regions: what the network sees, and which of its pixels are taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2 import load_config
from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.errors import UserError
from deocclusion_d2.evaluation.content import HoleFiller
from deocclusion_d2.inference.content.opencv import FILLS
from deocclusion_d2.systems.pcnet_c.network import PCNetC
from deocclusion_d2.systems.pcnet_c.partial_conv_unet import PartialConvUNet
from deocclusion_d2.systems.pcnet_c.steps import ContentCompletion, build_hole_filler
from tests.helpers import box_mask, scene_of

H, W = 90, 120


class Rule:
    """Stands for a runner of PCNet-C: what it returns for a sample follows a rule."""

    uses_category = False

    def __init__(self, rule) -> None:
        self.rule = rule
        self.samples: list[dict] = []

    def outputs(self, samples, key):
        assert key == "rgb"
        for sample in samples:
            self.samples.append(sample)
            yield self.rule(sample).astype(np.float32)


def make_scene(seed=0, image=None):
    """Three instances; the squares of the first and the last leave the image."""
    scene = scene_of(
        [
            box_mask(H, W, 0, 5, 30, 60),
            box_mask(H, W, 40, 30, 60, 55) | box_mask(H, W, 40, 30, 70, 38),
            box_mask(H, W, 80, 20, 120, 90),
        ],
        [4, 2, 4],
    )
    scene.instance_ids = [f"{seed}-{k}" for k in range(3)]
    rng = np.random.default_rng(seed)
    scene.image = rng.integers(0, 256, (H, W, 3), dtype=np.uint8) if image is None else image
    return scene


def filler(rule, size=32, **options):
    """Without the soft seam, which would mix the photo's colours into the rule's."""
    content = ContentCompletion(Rule(rule), patch_size=size, soft_seam=False)
    return HoleFiller(content, ErasingSettings(), **options)


def position(sample):
    """Red grows from left to right, green from top to bottom."""
    size = sample["hole"].shape[0]
    centres = (np.arange(size) + 0.5) / size * 255
    red, green = np.meshgrid(centres, centres)
    return np.stack([red, green, np.full_like(red, 77)], axis=-1)


@pytest.mark.parametrize("size", [16, 64, 128])  # squares of 47 to 92 px are grown and shrunk
def test_fills_are_read_where_they_were_painted(size):
    scene = make_scene()
    (filled,) = filler(position, size)([scene])
    assert [f.region.row for f in filled.regions] == [0, 1, 2]
    for one in filled.regions:
        square, hole = one.region.square, one.region.hole
        ys, xs = np.nonzero(hole.to_array(H, W))
        assert one.fills["network"].dtype == np.uint8
        expected = np.stack(
            [
                (xs - square.x0 + 0.5) / square.side * 255,
                (ys - square.y0 + 0.5) / square.side * 255,
                np.full(len(xs), 77.0),
            ],
            axis=-1,
        )
        # A pixel is 2.8 to 5.4 apart from the next.
        inner = np.all(np.abs(expected[:, :2] - 127.5) < 110, axis=1)
        assert inner.any()
        assert np.abs(one.fills["network"] - expected)[inner].max() < 1.5


def test_output_is_cut_to_the_range_of_colours():
    fills = [
        f.fills["network"]
        for f in filler(lambda s: np.full((32, 32, 3), (-20.0, 127.6, 300.0)))([make_scene()])[
            0
        ].regions
    ]
    assert len(fills) == 3
    assert all((fill == (0, 128, 255)).all() for fill in fills)


@pytest.mark.parametrize("size", [16, 128])
def test_no_method_sees_the_true_pixels_of_the_hole(size):
    def shown(sample):
        # A network that hands on all that it sees.
        return np.broadcast_to(sample["image"].mean(axis=(0, 1)), sample["image"].shape)

    scene = make_scene()
    fill = filler(shown, size)
    (before,) = fill([scene])
    samples = fill.content.runner.samples[:]
    for k, one in enumerate(before.regions):
        changed = scene.image.copy()
        hole = one.region.hole.to_array(H, W)
        changed[hole] = 255 - changed[hole]
        (after,) = fill([make_scene(image=changed)])
        assert after.regions[k].region.hole == one.region.hole
        assert list(one.fills) == ["network", "smooth", *FILLS]
        for method, colours in one.fills.items():
            np.testing.assert_array_equal(after.regions[k].fills[method], colours, method)
        sample = fill.content.runner.samples[-3:][k]
        for key, value in samples[k].items():
            np.testing.assert_array_equal(sample[key], value, key)
        # What lies beyond the square is not seen either.
        beyond = np.full_like(scene.image, 9)
        x0, y0, x1, y1 = (max(v, 0) for v in one.region.square.box)
        beyond[y0:y1, x0:x1] = scene.image[y0:y1, x0:x1]
        (after,) = fill([make_scene(image=beyond)])
        for method, colours in one.fills.items():
            np.testing.assert_array_equal(after.regions[k].fills[method], colours, method)


def test_all_around_the_hole_is_seen():
    """As in training, unlike in a decomposition, where nothing of other objects is."""
    scene = make_scene(image=np.full((H, W, 3), (200, 30, 7), np.uint8))
    fill = filler(position, 40)
    (filled,) = fill([scene])
    samples = fill.content.runner.samples
    for sample, one, category in zip(samples, filled.regions, [4, 2, 4], strict=True):
        assert sample["category_id"] == category
        seen = (sample["hole"] | sample["outside"]) == 0
        assert (sample["image"][seen] == (200, 30, 7)).all()
        square = one.region.square
        whole = square.sample(one.region.hole, 40)
        assert np.mean((sample["hole"] == 1) == whole) > 0.97
    assert [bool(s["outside"].any()) for s in samples] == [True, False, True]


def test_results_do_not_depend_on_batches():
    def seen(sample):
        return sample["image"][::-1] * 0.5 + sample["modal_mask"][..., None] * 20

    scenes = [make_scene(seed) for seed in range(3)]
    together = filler(seen)(scenes)
    for scene, expected in zip(reversed(scenes), reversed(together), strict=True):
        (alone,) = filler(seen)([{"scene": scene}])
        assert len(alone.regions) == len(expected.regions) == 3
        for a, b in zip(alone.regions, expected.regions, strict=True):
            assert a.region.hole == b.region.hole
            for method in b.fills:
                np.testing.assert_array_equal(a.fills[method], b.fills[method])


def test_fills_without_a_network():
    fill = HoleFiller(None, ErasingSettings(), baselines=["mean_colour"])
    (filled,) = fill([make_scene()])
    one = filled.regions[1]
    assert list(one.fills) == ["mean_colour"]
    visible = one.region.visible.to_array(H, W)
    assert np.allclose(one.fills["mean_colour"], make_scene().image[visible].mean(axis=0), atol=0.5)


def test_scene_without_an_image_is_an_error():
    scene = make_scene()
    scene.image = None
    with pytest.raises(UserError, match="holds no image"):
        filler(position)([scene])


def test_numbers_come_from_the_config():
    cfg = load_config("configs/pcnet_m_kins.yaml")
    with pytest.raises(UserError, match="'PCNetM'; use a config of PCNetC"):
        build_hole_filler(cfg, torch.nn.Identity())
    cfg.MODEL.META_ARCHITECTURE = "PCNetC"
    cfg.INPUT.INSTANCE_CROP.SIZE = 128
    cfg.INPUT.INSTANCE_CROP.MIN_SQUARE = 60.0
    cfg.DEOCCLUSION.PATCHES_PER_BATCH = 5
    cfg.DEOCCLUSION.PRECISION = "float32"
    cfg.DEOCCLUSION.PAPER_PROTOCOL = True  # which is about masks
    fill = build_hole_filler(cfg, PCNetC(network=PartialConvUNet(width=0.0625)))
    runner = fill.content.runner
    assert (runner.batch_size, runner.precision, runner.optimize) == (5, "float32", True)
    fill.content.runner = Rule(position)
    (filled,) = fill([make_scene()])
    # The middle one's square, sqrt(3 * 30 * 25) = 47 px, is under the minimum.
    assert [f.region.row for f in filled.regions] == [0, 2]
    assert fill.content.runner.samples[0]["hole"].shape == (128, 128)
