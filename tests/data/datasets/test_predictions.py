"""Data sets whose modal masks are predicted: matching, resolved overlaps, and their evaluation."""

import json
import logging

import numpy as np
import pytest
import torch
from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from detectron2.structures import Boxes, Instances

from deocclusion_d2.config import add_deocclusion_config
from deocclusion_d2.data.datasets import ensure_registered, match_by_iou, register_predicted_dataset
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments.compare_methods import compare_methods
from deocclusion_d2.structures import WindowMask
from tests.helpers import box_mask

H, W = 30, 40


def rle(x0, y0, x1, y1):
    return WindowMask.from_array(box_mask(H, W, x0, y0, x1, y1)).to_rle(H, W)


def kins(annotations, images=1):
    return {
        "images": [
            {"id": n, "file_name": f"{n}.png", "height": H, "width": W}
            for n in range(1, images + 1)
        ],
        "categories": [{"id": 4, "name": "car"}, {"id": 2, "name": "pedestrian"}],
        "annotations": annotations,
    }


def instance(id, modal, amodal, category_id=4, image_id=1, **more):
    return {
        "id": id, "image_id": image_id, "category_id": category_id, "iscrowd": 0, "bbox": [0] * 4,
        "inmodal_seg": modal, "inmodal_bbox": [0] * 4, "segmentation": amodal, **more,
    }  # fmt: skip


def entry(segmentation, score=0.9, category_id=4, image_id=1, **more):
    return {
        "image_id": image_id, "category_id": category_id, "segmentation": segmentation,
        "score": score, **more,
    }  # fmt: skip


# A car of 10 x 10 in front; one of 20 x 10 behind it, its left half hidden; a pedestrian apart.
FRONT, BEHIND, APART = rle(0, 0, 10, 10), rle(10, 0, 20, 10), rle(30, 20, 34, 28)
TRUTH = kins(
    [
        instance(11, FRONT, FRONT),
        instance(12, BEHIND, rle(0, 0, 20, 10)),
        instance(13, APART, APART, category_id=2),
        instance(14, rle(0, 0, 40, 30), rle(0, 0, 40, 30), iscrowd=1),
    ]
)


@pytest.fixture
def name(tmp_path):
    """Register predictions over a truth; returns the data set's name."""

    def name(entries, truth=TRUTH):
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        (tmp_path / "results.json").write_text(json.dumps(entries))
        return ensure_registered(
            f"predicted:{tmp_path}/results.json@kins:{tmp_path}/truth.json@/images"
        )

    return name


def evaluate(dataset_name, methods=("Area", "Raw", "Convex", "Convex^R")):
    cfg = get_cfg()
    add_deocclusion_config(cfg)
    cfg.DATALOADER.NUM_WORKERS = 0
    return compare_methods(cfg, dataset_name, methods)


class TestMatchByIou:
    def test_by_hand(self):
        true = [rle(0, 0, 10, 10), rle(2, 0, 12, 10), rle(20, 0, 30, 10)]
        predicted = [
            rle(1, 0, 11, 10),  # IoU 90 / 110 with the first and the second
            rle(0, 0, 10, 10),  # the best of the first, but takes what is left
            rle(20, 0, 30, 5),  # exactly 0.5 of the third
        ]
        scores, cars = [0.9, 0.5, 0.7], [4, 4, 4]
        assert match_by_iou(predicted, scores, cars, true, cars) == [0, 1, 2]
        # The surer one chooses first: the exact mask takes the first, the shifted the second.
        assert match_by_iou(predicted, [0.5, 0.9, 0.7], cars, true, cars) == [1, 0, 2]
        assert match_by_iou(predicted, scores, cars, true, cars, threshold=0.51) == [0, 1, -1]
        # Of another category: no match, however well it lies.
        assert match_by_iou(predicted, scores, [2, 4, 2], true, [4, 4, 2]) == [1, -1, 2]
        assert match_by_iou([], [], [], true, cars) == [-1, -1, -1]
        assert match_by_iou(predicted, scores, cars, [], []) == []

    def test_one_prediction_serves_one_instance(self):
        true = [rle(0, 0, 10, 10), rle(0, 0, 10, 10)]
        assert match_by_iou([true[0]], [1.0], [4], true, [4, 4]) == [0, -1]


class TestRecords:
    def test_matched_by_iou(self, name, caplog):
        full = [
            entry(rle(0, 0, 10, 9), 0.6),  # the front car
            entry(rle(8, 0, 20, 10), 0.8),  # the car behind, 2 columns of the front one's
            entry(APART, 0.49, 2),  # below the threshold
            entry(rle(0, 10, 40, 30), 0.99),  # nobody's, and resolves nothing
        ]
        with caplog.at_level(logging.INFO, logger="deocclusion_d2"):
            (record,) = DatasetCatalog.get(name(full))
        front, behind, apart, crowd = record["annotations"]
        assert (front["score"], behind["score"]) == (0.6, 0.8)
        assert front["modal_segmentation"] == rle(0, 0, 8, 9)
        assert front["true_modal_segmentation"] == FRONT
        assert behind["modal_segmentation"] == rle(8, 0, 20, 10)
        assert behind["amodal_segmentation"] == behind["segmentation"] == rle(0, 0, 20, 10)
        assert "score" not in apart and apart["true_modal_segmentation"] == APART
        assert WindowMask.from_rle(apart["modal_segmentation"]).is_empty
        assert "true_modal_segmentation" not in crowd
        assert "2 of the 3 instances" in caplog.text and "1 have none" in caplog.text
        scene, truth = scene_from_record(record)
        assert scene.modal_masks[0] == WindowMask.from_rle(rle(0, 0, 8, 9))
        assert truth.true_modal_masks(scene)[0] == WindowMask.from_rle(FRONT)

    def test_matched_by_id(self, name):
        """As the paper does: neither place, score nor category decide, the id does."""
        entries = [
            entry(rle(30, 0, 40, 5), 0.1, annotation_id=11),
            entry(FRONT, 0.9, 2, annotation_id=12),
        ]
        (record,) = DatasetCatalog.get(name(entries))
        front, behind, apart, _ = record["annotations"]
        assert front["modal_segmentation"] == rle(30, 0, 40, 5) and front["score"] == 0.1
        assert behind["modal_segmentation"] == FRONT and behind["dataset_category_id"] == 4
        assert "score" not in apart

    def test_what_detectron2_writes(self, name):
        """Results made by Detectron2 itself from a detector's Instances."""
        masks = np.stack([box_mask(H, W, 0, 0, 10, 10), box_mask(H, W, 30, 20, 34, 28)])
        found = Instances(
            (H, W),
            pred_masks=torch.from_numpy(masks),
            pred_boxes=Boxes(torch.tensor([[0, 0, 10, 10], [30, 20, 34, 28.0]])),
            pred_classes=torch.tensor([1, 0]),
            scores=torch.tensor([0.75, 0.5]),
        )
        rles = [WindowMask.from_array(m).to_rle(H, W) for m in masks]
        found.pred_masks_rle = rles  # as COCOEvaluator.process does
        results = instances_to_coco_json(found, 1)
        for result in results:
            result["category_id"] = {0: 2, 1: 4}[result["category_id"]]  # as it does at the end
        (record,) = DatasetCatalog.get(name(results))
        front, behind, apart, _ = record["annotations"]
        assert (front["score"], apart["score"]) == (0.75, 0.5) and "score" not in behind
        assert [front["modal_segmentation"], apart["modal_segmentation"]] == rles

    def test_threshold_and_metadata(self, name, tmp_path):
        registered = name([entry(FRONT, 0.3)])
        assert ensure_registered(registered) == registered
        (record,) = DatasetCatalog.get(registered)
        assert not any("score" in a for a in record["annotations"])
        lower = f"{tmp_path}/lower"
        register_predicted_dataset(
            lower, f"{tmp_path}/results.json", f"kins:{tmp_path}/truth.json@/images", 0.3
        )
        (record,) = DatasetCatalog.get(lower)
        assert record["annotations"][0]["score"] == 0.3
        metadata = MetadataCatalog.get(lower)
        assert metadata.evaluator_type == "amodal" and metadata.view == "amodal"
        assert metadata.thing_classes == ["pedestrian", "car"]
        assert metadata.predictions_json == f"{tmp_path}/results.json"

    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            ({"images": []}, "the file holds no list of predictions"),
            ([entry(FRONT, image_id=9)], "entry 1: image id 9 is not among the images"),
            ([entry(FRONT), entry(FRONT, category_id=3)], "entry 2: category id 3 is not among"),
            ([entry(FRONT, score="high")], "entry 1: 'score' is 'high', not a number"),
            ([entry({"size": [1, 1], "counts": [1]})], "entry 1: 'segmentation': the RLE's size"),
            (
                [entry(FRONT, annotation_id=11), entry(FRONT)],
                "entry 2: it has no key 'annotation_id', which others have",
            ),
            ([entry(FRONT, annotation_id=99)], "entry 1: annotation_id 99 is no instance of"),
            ([entry(FRONT, annotation_id=14)], "entry 1: annotation_id 14 is no instance of"),
            ([entry(FRONT, annotation_id=11)] * 2, "entry 2: annotation_id 11 occurs twice"),
        ],
    )
    def test_bad_results(self, name, tmp_path, entries, message):
        registered = name(entries)
        with pytest.raises(UserError) as error:
            DatasetCatalog.get(registered)
        assert str(error.value).startswith(f"{tmp_path}/results.json: {message}")
        assert "\n" not in str(error.value)

    def test_bad_names(self, name, tmp_path):
        name([])
        with pytest.raises(UserError, match="there is no file 'none.json'"):
            ensure_registered("predicted:none.json@kins_val")
        with pytest.raises(UserError, match="name the data set with the truth"):
            ensure_registered(f"predicted:{tmp_path}/results.json")
        with pytest.raises(UserError, match="'kins_vla' is not registered"):
            ensure_registered(f"predicted:{tmp_path}/results.json@kins_vla")


class TestEvaluation:
    def test_by_hand(self, name):
        """The front car is predicted 1 row short, the car behind 2 columns too wide."""
        entries = [entry(rle(0, 0, 10, 9), 0.9), entry(rle(8, 0, 20, 10), 0.8)]
        raw = evaluate(name(entries), ["Raw"])["Raw"]
        # Front: 90 / 100. Behind loses 2 x 9 px to it: (120 - 18) / 200.
        completion = raw["completion"]
        assert completion["instances"] == 2  # the pedestrian has no prediction
        assert completion["mIoU_mean"] == pytest.approx(100 * (0.9 + 0.51) / 2)
        assert completion["mIoU_sum"] == pytest.approx(100 * (90 + 102) / 300)
        # Half of the true amodal mask is hidden, whatever was predicted.
        assert completion["instances-hidden25-50"] == 1
        # What is predicted as visible is not found as hidden.
        assert completion["invisible_IoU_mean"] == 0.0
        assert raw["ordering"]["pairs"] == 1

    def test_the_true_order_is_of_the_true_masks(self, name):
        """Predictions that do not touch still have their true order; a pair without one has not."""
        apart = [entry(rle(0, 0, 7, 10)), entry(rle(13, 0, 20, 10))]
        assert evaluate(name(apart), ["Area"])["Area"]["ordering"]["pairs"] == 1

    def test_pairs_without_a_prediction_are_left_out(self, name):
        ordering = evaluate(name([entry(FRONT)]), ["Area"])["Area"]["ordering"]
        assert ordering["pairs"] == 0

    @pytest.mark.parametrize("by_id", [False, True])
    def test_perfect_predictions_give_the_figures_of_the_truth(self, name, tmp_path, by_id):
        rng = np.random.default_rng(2)
        annotations, entries = [], []
        for image_id in range(1, 7):
            amodal = []
            for _ in range(6):
                y, x, h, w = rng.integers(3, 16, size=4)
                amodal.append(box_mask(H, W, x, y, x + w, y + h))
            for k, mask in enumerate(amodal):  # painted back to front
                visible = mask & ~np.any([np.zeros_like(mask), *amodal[k + 1 :]], axis=0)
                modal, whole = (WindowMask.from_array(m).to_rle(H, W) for m in (visible, mask))
                number = len(annotations) + 1
                annotations.append(instance(number, modal, whole, image_id=image_id))
                if visible.any():
                    more = {"annotation_id": number} if by_id else {}
                    entries.append(
                        entry(modal, float(rng.uniform(0.5, 1)), image_id=image_id, **more)
                    )
        rng.shuffle(entries)
        predicted = evaluate(name(entries, kins(annotations, 6)))
        assert predicted == evaluate(f"kins:{tmp_path}/truth.json@/images")
        assert predicted["Convex^R"]["completion"]["instances-occluded"] > 10
        assert predicted["Area"]["ordering"]["pairs"] > 10
