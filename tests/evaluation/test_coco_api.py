"""COCO's evaluation: by hand, the same by both libraries, and which of them is used."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import types

import numpy as np
import pytest
from pycocotools import mask as mask_util
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deocclusion_d2.evaluation.coco_api import coco_classes, evaluate_coco
from tests.helpers import box_mask

H, W = 40, 60
NAMES = ["precision", "recall", "scores"]


def rle(mask: np.ndarray) -> dict:
    encoded = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def thing(image, box, category=1, **more) -> dict:
    """An annotation, or with ``score`` a result: the box [x0, y0, x1, y1], filled."""
    mask = rle(box_mask(H, W, *box))
    bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
    found = {"image_id": image, "category_id": category, "segmentation": mask, "bbox": bbox}
    return found | more


def document(annotations: list[dict], images=(1,), categories=(1,)) -> dict:
    return {
        "images": [{"id": image, "height": H, "width": W} for image in images],
        "categories": [{"id": category} for category in categories],
        "annotations": [
            {"id": 0, "iscrowd": 0, "area": int(mask_util.area(a["segmentation"])), **a}
            for a in annotations
        ],
    }


def judge(truth: dict, predicted: list[dict], kind: str = "segm"):
    with contextlib.redirect_stdout(io.StringIO()):
        return evaluate_coco(truth, predicted, kind)


def by_pycocotools(truth: dict, predicted: list[dict], kind: str) -> COCOeval:
    """The ids as they are, which are numbers from 1 on."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        annotations = [{**a, "id": k} for k, a in enumerate(truth["annotations"], 1)]
        coco.dataset = {"info": {}, **truth, "annotations": annotations}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(p) for p in predicted]), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


# -------------------------------------------------------------------- by hand


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_what_lies_in_a_crowd_is_neither_right_nor_wrong(coco_library, kind):
    crowd, inside = thing(1, (30, 0, 60, 40)), [(31, 1, 40, 20), (45, 5, 58, 35)]
    truth = document([thing(1, (0, 0, 10, 10)), crowd | {"iscrowd": 1}])
    predicted = [thing(1, box, score=0.9) for box in inside] + [thing(1, (0, 0, 10, 10), score=0.5)]
    assert judge(truth, predicted, kind).stats[0] == pytest.approx(1)
    truth["annotations"][1]["iscrowd"] = 0
    # Two misses, then one of two: 51 of 101 recalls with a precision of 1/3.
    assert judge(truth, predicted, kind).stats[0] == pytest.approx(51 / 101 / 3)


def test_equal_scores_go_by_the_order_of_the_images(coco_library):
    right, wrong = thing("b", (0, 0, 10, 10), score=0.5), thing("a", (30, 0, 40, 10), score=0.5)
    truth = document([thing("b", (0, 0, 10, 10))], images=("a", "b"))
    assert judge(truth, [right, wrong]).stats[0] == pytest.approx(0.5)
    truth["images"].reverse()
    assert judge(truth, [wrong, right]).stats[0] == pytest.approx(1)


def test_sizes_and_limits(coco_library):
    """100 px are small, 1200 medium; the 101st detection of an image does not count."""
    small, medium = (0, 0, 10, 10), (20, 0, 60, 30)
    truth = document([thing(1, small), thing(1, medium)])
    evaluation = judge(truth, [thing(1, medium, score=0.5)])
    assert evaluation.stats[[3, 4, 5]] == pytest.approx([0, 1, -1])
    assert evaluation.stats[[6, 8]] == pytest.approx([0.5, 0.5])
    crowded = [thing(1, (12, 35, 18, 40), score=0.9)] * 100 + [thing(1, medium, score=0.5)]
    assert judge(truth, crowded).stats[8] == 0
    assert judge(truth, crowded[1:]).stats[8] == pytest.approx(0.5)


def test_categories_come_in_their_order(coco_library):
    """Ids may be anything; one without truth has no number, one without detections 0."""
    truth = document(
        [thing(1, (0, 0, 10, 10), -7), thing(1, (20, 0, 30, 10), "van")],
        categories=(2**70, "van", -7),
    )
    precision = judge(truth, [thing(1, (0, 0, 10, 10), -7, score=1)]).eval["precision"]
    assert [precision[:, :, k, 0, 2].mean() for k in range(3)] == pytest.approx([-1, 0, 1])


# -------------------------------------------------------------------- both the same


def strange(seed: int) -> tuple[dict, list[dict]]:
    """Objects, crowds and empty masks in images without or with many of them; equal scores."""
    rng = np.random.default_rng(seed)
    images, categories = sorted(rng.choice(99, 4, replace=False) + 1), (2, 3, 50)
    images = [int(image) for image in images]
    annotations, predicted = [], []
    for _ in range(30):
        image, category = images[rng.integers(3)], int(rng.choice(categories[:2]))
        x, y = rng.integers(0, W - 8), rng.integers(0, H - 8)
        box = [int(v) for v in (x, y, rng.integers(x, W), rng.integers(y, H))]
        crowd, area = int(rng.random() < 0.2), float(rng.choice([20, 1024, 9216, 9217.5]))
        annotations.append(thing(image, box, category, iscrowd=crowd, area=area))
        for _ in range(rng.integers(4)):
            near = [max(0, value + int(rng.integers(-2, 3))) for value in box]
            score = float(rng.choice([0.1, 0.5, 0.5, rng.random()]))
            other = int(rng.choice(categories)) if rng.random() < 0.2 else category
            predicted.append(thing(image, near, other, score=score))
    return document(annotations, images, categories), predicted


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("boxes", [True, False])
def test_equal_to_the_bit(coco_library, kind, boxes):
    for seed in range(20):
        truth, predicted = strange(seed)
        if not boxes:  # pycocotools makes one of the other, and sizes of what there is
            drop = "bbox" if kind == "segm" else "segmentation"
            predicted = [{k: v for k, v in p.items() if k != drop} for p in predicted]
        ours, theirs = judge(truth, predicted, kind), by_pycocotools(truth, predicted, kind)
        assert 0 < theirs.stats[0] < 1
        np.testing.assert_array_equal(ours.stats, theirs.stats, strict=True)
        for name in NAMES:
            np.testing.assert_array_equal(ours.eval[name], theirs.eval[name], strict=True)


def test_nothing_given_is_changed(coco_library):
    truth, predicted = strange(0)
    before = repr((truth, predicted))
    judge(truth, predicted)
    assert repr((truth, predicted)) == before


# -------------------------------------------------------------------- which library


def used(truth: dict, predicted: list[dict]) -> str:
    return "pycocotools" if isinstance(judge(truth, predicted), COCOeval) else "hotcoco"


def test_the_log_names_the_library_once(coco_library, caplog):
    truth, predicted = document([thing(1, (0, 0, 10, 10))]), [thing(1, (0, 0, 9, 9), score=0.5)]
    with caplog.at_level(logging.INFO, "deocclusion_d2.evaluation.coco_api"):
        assert used(truth, predicted) == coco_library
        assert used(truth, predicted) == coco_library
    assert [f"evaluation is by {coco_library}" in text for text in caplog.messages] == [True]


def test_an_old_one_is_not_used(monkeypatch, caplog):
    old = types.ModuleType("hotcoco")
    old.__version__, old.__spec__ = "1.2.10", types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "hotcoco", old)
    coco_classes.cache_clear()
    with caplog.at_level(logging.INFO, "deocclusion_d2.evaluation.coco_api"):
        assert coco_classes() == (COCO, COCOeval)
    coco_classes.cache_clear()
    assert "hotcoco 1.2.10 is below 1.3" in caplog.text


def test_scores_that_are_no_numbers_are_left_to_pycocotools(coco_library):
    truth, predicted = document([thing(1, (0, 0, 10, 10))]), [thing(1, (0, 0, 9, 9), score=0.5)]
    assert used(truth, [*predicted, predicted[0] | {"score": float("nan")}]) == "pycocotools"


def test_a_fork_does_not_wait_for_the_threads_of_hotcoco(coco_library, monkeypatch):
    truth, predicted = document([thing(1, (0, 0, 10, 10))]), [thing(1, (0, 0, 9, 9), score=0.5)]
    assert used(truth, predicted) == coco_library
    process = os.getpid()
    monkeypatch.setattr("os.getpid", lambda: process + 1)
    assert used(truth, predicted) == "pycocotools"
