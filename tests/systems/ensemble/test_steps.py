"""What several completions make of a pixel: by hand, and with networks."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.inference.steps import RuleStep, where_it_speaks
from deocclusion_d2.structures import (
    Deocclusion,
    OcclusionGraph,
    ProbabilityMap,
    Scene,
    WindowMask,
)
from deocclusion_d2.systems.baselines.steps import ConvexCompletion
from deocclusion_d2.systems.ensemble.steps import EnsembleCompletion
from tests.helpers import box_mask, random_model, scene_of
from tests.inference.test_invariance import H, W, scenes
from tests.systems.test_contract import all_that_it_says, some_scenes
from tests.systems.test_contract import random_model as random_network

# Of one row of six pixels the first is visible.
ROW = 6
VISIBLE = [1, 0, 0, 0, 0, 0]
NOTHING = [0] * ROW
# A's own decision at its threshold 0.2 is that of ``A_MASK``, but for column 3.
A_LEVELS, A_MASK = [255, 150, 50, 0, 200, 0], [1, 1, 0, 1, 1, 0]
# B's at 0.4; column 5 is decided otherwise before it pastes.
B_LEVELS, B_MASK = [255, 10, 40, 90, 0, 0], [1, 0, 0, 0, 0, 1]


def row(values: list[int]) -> WindowMask:
    return WindowMask.from_array(np.array([values], bool))


class Says(RuleStep):
    """A completion that says the same of every instance.

    Args:
        mask: of ``ROW`` pixels.
        levels: probabilities in 255th parts; None: it gives none.
        region: where it speaks; None: everywhere.
        boxes: of the whole objects.
    """

    def __init__(self, mask, levels=None, threshold=0.5, region=None, boxes=None) -> None:
        self.mask, self.levels, self.threshold, self.region = mask, levels, threshold, region
        self.boxes = boxes

    def speaks_at(self, scene, graph, row_of_scene):
        return None if self.region is None else row(self.region)

    def __call__(self, scenes, graphs):
        kept = None
        if self.levels is not None:
            kept = [ProbabilityMap.from_array(np.array([self.levels]) / 255)]
        return [
            Deocclusion(g, [row(self.mask)], probabilities=kept, unclipped_boxes=self.boxes)
            for g in graphs
        ]


def together(*members: Says, **options) -> Deocclusion:
    scene = Scene(1, ROW, [row(VISIBLE)], np.ones(1))
    return EnsembleCompletion(members, **options)([scene], [OcclusionGraph(1)])[0]


def columns(mask: WindowMask) -> list[int]:
    return np.flatnonzero(mask.to_array(1, ROW)[0]).tolist()


def levels(kept: ProbabilityMap) -> list[int]:
    return kept.crop_levels((0, 0, ROW, 1))[0].tolist()


def a(**options) -> Says:
    return Says(A_MASK, A_LEVELS, 0.2, **options)


def b(**options) -> Says:
    return Says(B_MASK, B_LEVELS, 0.4, **options)


# -------------------------------------------------------------------- by hand


def test_the_mean_of_two_at_the_mean_of_their_thresholds():
    """Above 0.6 * 255 = 153 together: 510, 160, 90, 90, 200, 0."""
    result = together(a(), b(), keep_probability=True)
    assert columns(result.amodal_masks[0]) == [0, 1, 4]
    assert levels(result.probabilities[0]) == [255, 80, 45, 45, 100, 0]
    assert together(a(), b()).probabilities is None
    # At a common threshold of 0.2 (102) the same; of 0.4 (204) column 4 goes, and 1.
    assert columns(together(a(), Says(B_MASK, B_LEVELS, 0.2)).amodal_masks[0]) == [0, 1, 4]
    assert columns(together(Says(A_MASK, A_LEVELS, 0.4), b()).amodal_masks[0]) == [0]


def test_equal_to_the_threshold_is_not_above_it():
    """0.2 and 0.4 are 51 and 102 levels."""
    low, high = (Says(VISIBLE, [255, level, 0, 0, 0, 0], 0.3) for level in (51, 102))
    assert columns(together(low, high).amodal_masks[0]) == [0]
    more = Says(VISIBLE, [255, 103, 0, 0, 0, 0], 0.3)
    assert columns(together(low, more).amodal_masks[0]) == [0, 1]


def test_where_one_speaks_alone_its_own_mask_decides():
    """A speaks at columns 1 to 3; elsewhere B's mask counts, not its probabilities."""
    grounded = a(region=[0, 1, 1, 1, 0, 0])
    result = together(grounded, b(), keep_probability=True)
    assert columns(result.amodal_masks[0]) == [0, 1, 5]
    assert levels(result.probabilities[0]) == [255, 80, 45, 45, 0, 0]


def test_the_first_that_speaks():
    grounded = a(region=[0, 1, 1, 1, 0, 0])
    result = together(grounded, b(), rule="first", keep_probability=True)
    assert columns(result.amodal_masks[0]) == [0, 1, 3, 5]
    assert levels(result.probabilities[0]) == [255, 150, 50, 0, 0, 0]
    # The other way round B says everything.
    other = together(b(), grounded, rule="first", keep_probability=True)
    assert columns(other.amodal_masks[0]) == [0, 5]
    assert levels(other.probabilities[0]) == B_LEVELS
    # Of three the second counts where the first is silent.
    third = Says([1, 1, 1, 1, 1, 1])
    second = b(region=[0, 0, 0, 0, 1, 0])
    assert columns(together(grounded, second, third, rule="first").amodal_masks[0]) == [0, 1, 3, 5]


def test_masks_without_probabilities_say_0_or_1():
    """With A at thresholds of 0.2 and 0.5 above 178.5: 510, 150, 50, 0, 455, 255."""
    result = together(a(), Says([1, 0, 0, 0, 1, 1]), keep_probability=True)
    assert columns(result.amodal_masks[0]) == [0, 4, 5]
    assert levels(result.probabilities[0]) == [255, 75, 25, 0, 228, 128]
    masks = [Says([1, 1, 1, 0, 0, 0]), Says([1, 1, 0, 1, 0, 0]), Says([1, 0, 1, 1, 1, 0])]
    voted = together(*masks, keep_probability=True)
    assert columns(voted.amodal_masks[0]) == [0, 1, 2, 3] and voted.probabilities is None
    # One of two is not more than a half.
    assert columns(together(*masks[:2]).amodal_masks[0]) == [0, 1]


def test_visible_pixels_are_kept_or_not():
    blind = [Says([0, 1, 0, 0, 0, 0]), Says([0, 1, 1, 0, 0, 0])]
    assert columns(together(*blind).amodal_masks[0]) == [0, 1]
    assert columns(together(*blind, constrain=False).amodal_masks[0]) == [1]
    # Where none speaks, the first one's mask is as it is.
    silent = [
        Says([0, 1, 1, 0, 0, 0], region=NOTHING),
        Says([0, 0, 1, 1, 0, 0], region=[0, 0, 0, 1, 0, 0]),
    ]
    assert columns(together(*silent, constrain=False).amodal_masks[0]) == [1, 2, 3]


@pytest.mark.parametrize("rule", ["mean", "first"])
@pytest.mark.parametrize("region", [None, NOTHING, [0, 1, 1, 0, 0, 0]])
def test_one_member_alone_is_itself(rule, region):
    for member in (a(region=region), b(region=region), Says(A_MASK, region=region)):
        result = together(member, rule=rule, keep_probability=True)
        assert result.amodal_masks == [row(member.mask)]
        assert (result.probabilities is None) == (member.levels is None)
        if member.levels is not None:
            assert levels(result.probabilities[0]) == member.levels


def test_boxes_outside_the_image_are_those_of_members_that_look_there():
    inside, outside = a(boxes=[(0, 0, 6, 1)]), b(boxes=[(-3, -1, 2, 1)])
    assert together(inside, Says(B_MASK)).unclipped_boxes == [(0, 0, 6, 1)]
    assert together(inside, outside).unclipped_boxes == [(-3, -1, 5, 1)]
    assert together(Says(A_MASK), Says(B_MASK)).unclipped_boxes is None


# -------------------------------------------------------------------- where completions speak


def test_grounded_completions_speak_where_the_order_puts_something_in_front():
    """And in the gap before it, as wide as it is closed: two pixels between the first two."""
    left, middle, right = (box_mask(H, W, x, 5, x + 10, 15) for x in (4, 16, 26))
    scene = scene_of([left, middle, right])
    scene.gap = 2
    order = OcclusionGraph(3)
    order.add_neighbours(0, 1)
    order.put_in_front(1, 0)
    order.put_in_front(2, 1)
    convex_r = ConvexCompletion(refined=True)
    in_front = box_mask(H, W, 14, 5, 36, 15)
    assert where_it_speaks(convex_r, scene, order, 0) == WindowMask.from_array(in_front)
    assert where_it_speaks(convex_r, scene, order, 2).is_empty
    assert where_it_speaks(ConvexCompletion(refined=False), scene, order, 0) is None


# -------------------------------------------------------------------- with networks

SINGLES = {
    "pcnet_m_kins_quick": [("og", {}), ("nog", {}), ("og", {"RECENTRE": 2, "VIEWS": "mean"})],
    "amodal_vae_joint_kins_quick": [("amodal_vae", {}), ("amodal_vae_og", {})],
    "amodal_unet_kins_quick": [("amodal_unet", {})],
}


def deoccluder(config: str, completion: str, members: tuple[str, ...], **options) -> Deoccluder:
    cfg = load_config(config, ["INPUT.INSTANCE_CROP.SIZE", "32"])
    cfg.MODEL.DEVICE = "cpu"
    for key, value in {"ORDERING": "area", "ORDERING_CONFIG": "", "GAP": "1", **options}.items():
        cfg.DEOCCLUSION[key] = value
    cfg.DEOCCLUSION.COMPLETION = completion
    if members:
        cfg.DEOCCLUSION.ENSEMBLE.MEMBERS = members
        cfg.DEOCCLUSION.ENSEMBLE.RULE = "first"
    if config.startswith("pcnet_m"):
        cfg.MODEL.PCNET_M.WIDTH = 0.25
        return Deoccluder.from_config(cfg, random_model())
    return Deoccluder.from_config(cfg, random_network(cfg, 1))


@pytest.mark.parametrize("constrain", [True, False])
@pytest.mark.parametrize(
    ("config", "name", "more"),
    [(config, *single) for config, singles in SINGLES.items() for single in singles],
)
def test_a_network_alone_is_itself_to_the_bit(config, name, more, constrain):
    """As the only member, and as the first of two of which the other never speaks alone."""
    options = {**more, "CONSTRAIN": constrain}
    alone = deoccluder(config, name, (), **options)(some_scenes())
    changed = 0
    both = [(name, "convex_r")] if name in ("og", "amodal_vae", "amodal_unet") else []
    for members in ((name,), *both):
        found = deoccluder(config, "ensemble", members, **options)(some_scenes())
        for one, other, scene in zip(alone, found, some_scenes(), strict=True):
            assert one.amodal_masks == other.amodal_masks
            changed += one.amodal_masks != scene.modal_masks
    assert changed >= 2


@pytest.mark.parametrize("name", ["og", "amodal_vae"])
def test_kept_probabilities_of_a_network_alone(name):
    config = next(c for c, singles in SINGLES.items() if name in [s[0] for s in singles])
    alone, found = (
        deoccluder(config, completion, members, KEEP_PROBABILITY=True)(scenes())
        for completion, members in ((name, ()), ("ensemble", (name,)))
    )
    assert [all_that_it_says(r) for r in alone] == [all_that_it_says(r) for r in found]
