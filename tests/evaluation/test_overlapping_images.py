"""Detection in images whose objects overlap: by hand."""

from __future__ import annotations

import pytest

from deocclusion_d2.evaluation.overlapping_images import evaluate_by_overlap, overlapping_images
from tests.evaluation.test_coco_api import rle
from tests.helpers import box_mask

H, W = 40, 60


def truth(*images: list[tuple], crowd: int | None = None) -> dict:
    """A COCO document; of each image the boxes (x0, y0, x1, y1) of its objects."""
    rows = [(image, box) for image, boxes in enumerate(images) for box in boxes]
    return {
        "info": {},
        "images": [{"id": f"i{k}", "height": H, "width": W} for k in range(len(images))],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {
                "id": 1 + k,
                "image_id": f"i{image}",
                "category_id": 1,
                "iscrowd": int(k == crowd),
                "segmentation": rle(box_mask(H, W, *box)),
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": (box[2] - box[0]) * (box[3] - box[1]),
            }
            for k, (image, box) in enumerate(rows)
        ],
    }


def found(image: int, box: tuple, score: float = 0.9) -> dict:
    mask = rle(box_mask(H, W, *box))
    return {"image_id": f"i{image}", "category_id": 1, "score": score, "segmentation": mask}


# IoU of 50 / 250 = 0.2, and of 45 / 255.
OVERLAPPING = [(0, 0, 15, 10), (10, 0, 25, 10)]
APART = [(0, 0, 15, 10), (10, 1, 25, 11)]


def test_which_images():
    document = truth(OVERLAPPING, APART, [(0, 0, 5, 5)], [])
    assert overlapping_images(document) == {"i0"}
    assert overlapping_images(truth(OVERLAPPING, crowd=1)) == set()


def test_each_group_alone():
    """Both objects are found where they overlap, one of two elsewhere, and there is a false one."""
    results = [found(0, box) for box in OVERLAPPING]
    results += [found(1, APART[0]), found(1, (40, 20, 60, 40), 0.1)]
    by_group = evaluate_by_overlap(truth(OVERLAPPING, APART), results)
    assert by_group["AP-overlapping"] == by_group["AP50-overlapping"] == pytest.approx(100)
    # Precision 1 up to a recall of 0.5: 51 of 101 points.
    assert by_group["AP-apart"] == pytest.approx(100 * 51 / 101)
    assert by_group["best_IoU-overlapping"] == pytest.approx(100)
    # The other one meets the first with 45 of 255 pixels.
    assert by_group["best_IoU-apart"] == pytest.approx(100 * (1 + 45 / 255) / 2)
    assert (by_group["images-overlapping"], by_group["images-apart"]) == (1, 1)


def test_a_group_that_is_not_there():
    by_group = evaluate_by_overlap(truth(APART), [found(0, APART[0])])
    assert set(by_group) == {"AP-apart", "AP50-apart", "best_IoU-apart", "images-apart"}
