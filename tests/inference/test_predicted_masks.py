"""Deoccluder.predict on what detectors give: scores, class numbers, results entries."""

import numpy as np
import pytest
import torch
from detectron2.config import get_cfg
from detectron2.structures import Instances

from deocclusion_d2.config import add_deocclusion_config
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from tests.helpers import box_mask, random_model

H, W = 40, 50
# The second lies on the first (6 columns), the third has a low score, the fourth is alone.
MASKS = np.stack(
    [
        box_mask(H, W, 5, 5, 25, 20),
        box_mask(H, W, 19, 8, 33, 30),
        box_mask(H, W, 3, 3, 40, 35),
        box_mask(H, W, 36, 32, 45, 38),
    ]
)
SCORES = [0.6, 0.9, 0.3, 0.5]
RESOLVED = [MASKS[0] & ~MASKS[1], MASKS[1], MASKS[3]]


def instances(**more):
    return Instances((H, W), pred_masks=torch.from_numpy(MASKS), **more)


def entries(**more):
    return [
        {
            "image_id": 7,
            "category_id": n + 1,
            "segmentation": WindowMask.from_array(m).to_rle(H, W),
            "score": s,
            **more,
        }
        for n, (m, s) in enumerate(zip(MASKS, SCORES, strict=True))
    ]


class Spy(Deoccluder):
    """Keeps the scene that it was given."""

    def __call__(self, scenes):
        self.scene = scenes[0]
        return super().__call__(scenes)


@pytest.fixture
def spy():
    deoccluder = Deoccluder.baseline("raw")
    deoccluder.__class__ = Spy
    return deoccluder


def arrays(masks):
    return [m.to_array(H, W) for m in masks]


def test_scores_filter_and_resolve(spy):
    for masks in (instances(scores=torch.tensor(SCORES)), entries()):
        result = spy.predict(masks, [4, 5, 6, 7])
        assert result.rows == [0, 1, 3]  # a score of exactly 0.5 stays
        assert np.array_equal(arrays(result.amodal_masks), RESOLVED)
        assert spy.scene.category_ids.tolist() == [4, 5, 7]
    spy.min_score = 0.7
    assert spy.predict(entries()).rows == [1]
    assert spy.scene.category_ids.tolist() == [2], "the entries' own"
    spy.min_score = 1.0
    result = spy.predict(instances(scores=torch.tensor(SCORES)))
    assert result.rows == [] and result.amodal_masks == []


def test_masks_without_scores_stay(spy):
    for masks in (MASKS, instances(), [e["segmentation"] for e in entries()]):
        result = spy.predict(masks)
        assert result.rows == [0, 1, 2, 3]
        assert np.array_equal(arrays(result.amodal_masks), MASKS)
    assert spy([spy.scene])[0].rows is None


def test_class_numbers_become_category_ids(spy):
    given = instances(pred_classes=torch.tensor([0, 2, 1, 0]), scores=torch.tensor(SCORES))
    spy.predict(given, contiguous_ids={4: 0, 6: 1, 9: 2})
    assert spy.scene.category_ids.tolist() == [4, 9, 4]
    spy.predict(given, [1, 2, 3, 4], contiguous_ids={4: 0})
    assert spy.scene.category_ids.tolist() == [1, 2, 4], "category_ids win"
    spy.predict(given)
    assert spy.scene.category_ids.tolist() == [1, 1, 1], "a method that takes no categories"
    with pytest.raises(UserError, match="class 1 of these masks is not among contiguous_ids"):
        spy.predict(given, contiguous_ids={4: 0, 9: 2})
    with pytest.raises(UserError, match="4 masks, 3 category ids"):
        spy.predict(given, [1, 2, 3])


def test_a_model_with_categories_wants_them():
    cfg = get_cfg()
    add_deocclusion_config(cfg)
    cfg.MODEL.META_ARCHITECTURE = "PCNetM"
    cfg.INPUT.INSTANCE_CROP.SIZE = 32
    cfg.DEOCCLUSION.MIN_SCORE = 0.55
    given = instances(pred_classes=torch.tensor([0, 1, 0, 0]), scores=torch.tensor(SCORES))
    with_categories = Deoccluder.from_config(cfg, random_model(use_category=True))
    with pytest.raises(UserError, match="pass category_ids, or contiguous_ids"):
        with_categories.predict(given)
    assert with_categories.predict(given, contiguous_ids={3: 0, 4: 1}).rows == [0, 1]
    assert Deoccluder.from_config(cfg, random_model(use_category=False)).predict(given).rows == [
        0,
        1,
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 8}, "entry 2 is of image 8, the first of 7"),
        ({"score": None}, "entry 2: 'score' is None, not a number"),
        (
            {"segmentation": {"size": [3, 3], "counts": [9]}},
            r"entry 2: 'segmentation': the RLE's size \[3, 3\] is not the image's \[40, 50\]",
        ),
    ],
)
def test_bad_entries(spy, change, message):
    bad = entries()
    bad[1].update(change)
    with pytest.raises(UserError, match=message):
        spy.predict(bad)


def test_masks_that_are_not_pasted(spy):
    given = Instances((H, W), pred_masks=torch.rand(2, 1, 28, 28), scores=torch.ones(2))
    with pytest.raises(UserError, match=r"have shape \(2, 1, 28, 28\): paste them into the image"):
        spy.predict(given)
