"""Detection by the hidden share of the true objects: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.evaluation.hidden_objects import (
    best_overlaps,
    evaluate_by_hidden_share,
    hidden_group,
)
from tests.evaluation.test_coco_api import document, rle, thing
from tests.helpers import box_mask

H, W = 40, 60


def annotation(amodal, visible, **more) -> dict:
    """Boxes [x0, y0, x1, y1] as masks; ``visible`` None for nothing."""
    seen = np.zeros((H, W), bool) if visible is None else box_mask(H, W, *visible)
    return {
        "amodal_segmentation": rle(box_mask(H, W, *amodal)),
        "modal_segmentation": rle(seen),
        **more,
    }


@pytest.mark.parametrize(
    ("visible_width", "group"),
    [
        (20, "hidden0"),
        (19, "hidden0-25"),
        (15, "hidden0-25"),  # exactly a quarter
        (14, "hidden25-50"),
        (10, "hidden25-50"),
        (9, "hidden50-100"),
        (1, "hidden50-100"),
    ],
)
def test_groups(visible_width, group):
    assert hidden_group(annotation((0, 0, 20, 5), (0, 0, visible_width, 5))) == group


def test_what_has_no_group():
    whole = (0, 0, 20, 5)
    assert hidden_group(annotation(whole, None)) is None
    assert hidden_group(annotation(whole, whole, iscrowd=1)) is None
    assert hidden_group({"modal_segmentation": rle(box_mask(H, W, *whole))}) is None
    # Where the modal mask is a prediction, the true one says what is hidden.
    true = rle(box_mask(H, W, 0, 0, 12, 5))
    predicted = annotation(whole, (0, 0, 4, 5), true_modal_segmentation=true)
    assert hidden_group(predicted) == "hidden25-50"


# Three true objects of 10 x 20 pixels: two whole ones, and one that is hidden by a half.
TRUE = [(0, 0, 10, 20), (20, 0, 30, 20), (40, 0, 50, 20)]
GROUPS = ["hidden0", "hidden0", "hidden25-50"]


def judge(found: list[dict]) -> dict[str, float]:
    return evaluate_by_hidden_share(document([thing(1, box) for box in TRUE]), GROUPS, found)


def test_each_group_is_judged_alone(coco_library):
    """The first object is found, the second missed, of the third the visible half found."""
    found = [thing(1, TRUE[0], score=0.9), thing(1, (40, 0, 50, 10), score=0.8)]
    results = judge(found)
    assert set(results) == {
        f"{metric}-{group}"
        for metric in ("AP", "AP50", "AR", "best_IoU", "objects")
        for group in ("hidden0", "hidden25-50")
    }
    # Recall 1 / 2, of the 101 steps those up to 0.5: 51. The half is at IoU 0.5 alone the third
    # object's, which does not matter here; above it is a detection of nothing, which comes later.
    assert results["AP-hidden0"] == pytest.approx(100 * 51 / 101)
    assert results["AR-hidden0"] == pytest.approx(50)
    assert results["best_IoU-hidden0"] == pytest.approx(50)
    # Right at 1 of 10 thresholds: 0.50.
    assert results["AP50-hidden25-50"] == pytest.approx(100)
    assert results["AP-hidden25-50"] == pytest.approx(10)
    assert results["AR-hidden25-50"] == pytest.approx(10)
    assert results["best_IoU-hidden25-50"] == pytest.approx(50)
    assert results["objects-hidden0"] == 2 and results["objects-hidden25-50"] == 1


def test_what_matches_nothing_counts_against_every_group(coco_library):
    found = [thing(1, box, score=0.5) for box in TRUE]
    assert judge(found)["AP-hidden25-50"] == pytest.approx(100)
    results = judge([*found, thing(1, (0, 30, 10, 40), score=0.9)])
    for group, precision in (("hidden0", 200 / 3), ("hidden25-50", 50)):
        assert results[f"AP-{group}"] == pytest.approx(precision)
        assert results[f"AR-{group}"] == pytest.approx(100)


def test_best_overlaps_are_of_the_own_image():
    annotations = [thing(1, TRUE[0]), thing(2, TRUE[0]), thing(3, TRUE[0])]
    found = [
        thing(1, (0, 0, 10, 10), category=2),
        thing(1, (0, 0, 10, 15)),
        thing(2, TRUE[1]),
    ]
    np.testing.assert_allclose(best_overlaps(annotations, found), [0.75, 0, 0])
