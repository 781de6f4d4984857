"""What all evaluators share: sums over processes, reports, and their choice by data set."""

import json
import logging
import math
import os
import socket

import numpy as np
import pytest
import torch.distributed as dist
import torch.multiprocessing as mp
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluators, print_csv_format
from detectron2.evaluation.testing import flatten_results_dict

from deocclusion_d2.errors import UserError
from deocclusion_d2.evaluation import (
    EVALUATORS,
    AmodalBoxEvaluator,
    AmodalCompletionEvaluator,
    OrderingEvaluator,
    build_evaluators,
)
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, WindowMask

WORLD_SIZE = 2
TASKS = ["ordering", "completion", "amodal_box"]


def make_evaluators(output_dir=None):
    return DatasetEvaluators(
        [
            OrderingEvaluator("amodal", output_dir),
            AmodalCompletionEvaluator(output_dir),
            AmodalBoxEvaluator(output_dir),
        ]
    )


def random_records(count=7):
    """Scenes of 0 to 6 touching rectangles, painted back to front, and random answers."""
    rng = np.random.default_rng(3)
    inputs, outputs = [], []
    for image_id in range(count):
        amodal = []
        for _ in range(image_id):
            full = np.zeros((24, 24), dtype=bool)
            y, x, h, w = rng.integers(2, 14, size=4)
            full[y : y + h, x : x + w] = True
            amodal.append(full)
        modal = [m & ~np.any([~m & m, *amodal[k + 1 :]], axis=0) for k, m in enumerate(amodal)]
        masks = [WindowMask.from_array(m) for m in amodal]
        boxes = np.array([m.box for m in masks], dtype=float).reshape(-1, 4)
        truth = SceneTruth(masks, boxes, rng.integers(-1, 4, size=image_id))
        scene = Scene(24, 24, [WindowMask.from_array(m) for m in modal], np.ones(image_id))
        order = np.triu(rng.integers(-1, 2, size=(image_id, image_id)), 1)
        predicted = [mask.dilate(int(rng.integers(0, 2) * 2 + 1)) for mask in scene.modal_masks]
        inputs.append({"scene": scene, "truth": truth})
        outputs.append(Deocclusion(OcclusionGraph.from_order_matrix(order - order.T), predicted))
    return inputs, outputs


def evaluate_share(rank, port, folder):
    """One process: every second image of the random ones, as unevenly as they come."""
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD_SIZE
    )
    evaluators = make_evaluators(str(folder / f"rank{rank}"))
    inputs, outputs = random_records()
    evaluators.process(inputs[rank::WORLD_SIZE], outputs[rank::WORLD_SIZE])
    (folder / f"{rank}.json").write_text(json.dumps(evaluators.evaluate()))
    dist.barrier()
    # An ordinary exit now and then aborts: gloo's threads still hold tensors while Python is taken
    # down, destroy_process_group() or not (pytorch issues 179291, 190489).
    os._exit(0)


def test_two_processes_give_the_results_of_one(tmp_path):
    evaluators = make_evaluators()
    evaluators.process(*random_records())
    expected = flatten_results_dict(evaluators.evaluate())
    assert expected["ordering/pairs"] > 10
    assert expected["completion/instances"] > 10

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(evaluate_share, args=(port, tmp_path), nprocs=WORLD_SIZE)
    results = flatten_results_dict(json.loads((tmp_path / "0.json").read_text()))
    assert results == pytest.approx(expected, rel=1e-12)
    assert list(results) == list(expected)
    # The other process has nothing to say, and writes nothing.
    assert json.loads((tmp_path / "1.json").read_text()) == {}
    assert not (tmp_path / "rank1").exists()


def test_results_do_not_depend_on_batches_and_can_be_repeated():
    inputs, outputs = random_records()
    evaluators = make_evaluators()
    evaluators.process(inputs, outputs)
    together = evaluators.evaluate()
    assert evaluators.evaluate() == together
    evaluators.reset()
    for record, output in zip(inputs[::-1], outputs[::-1], strict=True):
        evaluators.process([record], [output])
    backwards = flatten_results_dict(evaluators.evaluate())
    assert backwards == pytest.approx(flatten_results_dict(together), rel=1e-12)


def test_results_are_finite_flat_and_written(tmp_path, caplog):
    evaluators = make_evaluators(str(tmp_path / "new" / "folder"))
    evaluators.process(*random_records())
    with caplog.at_level(logging.INFO):
        results = evaluators.evaluate()
        print_csv_format(results)
    assert list(results) == TASKS
    for task, metrics in results.items():
        assert all(type(v) in (int, float) and math.isfinite(v) for v in metrics.values())
        written = json.loads((tmp_path / "new" / "folder" / f"{task}_results.json").read_text())
        assert written["results"] == metrics
    assert all(0 <= v <= 100 for k, v in results["completion"].items() if "IoU" in k)
    assert "| group" in caplog.text
    assert "Left out of completion: " in caplog.text
    assert "copypaste: Acc,Undecided,Acc_image,pairs" in caplog.text


def test_no_images_at_all(caplog):
    with caplog.at_level(logging.WARNING):
        results = make_evaluators().evaluate()
    assert results == {
        "ordering": {"pairs": 0},
        "completion": {"instances": 0},
        "amodal_box": {"boxes": 0},
    }
    assert "completion: no instances to measure" in caplog.text


def test_truth_that_does_not_know_is_left_out_and_counted(tmp_path):
    inputs, outputs = random_records(3)
    evaluators = make_evaluators(str(tmp_path))
    evaluators.process([{**record, "truth": SceneTruth()} for record in inputs], outputs)
    evaluators.evaluate()
    # The image without instances is not worth mentioning.
    left_out = [json.loads((tmp_path / f"{t}_results.json").read_text())["left_out"] for t in TASKS]
    assert left_out == [
        {"images without labels of amodal": 2},
        {"images without true amodal masks": 2},
        {"images without amodal boxes": 2},
    ]


def test_misaligned_results_are_named():
    scene = Scene(9, 9, [WindowMask.empty()], [1], image_id=5, file_name="a/5.png")
    record = {"scene": scene, "truth": SceneTruth()}
    output = Deocclusion(OcclusionGraph(1), [])
    with pytest.raises(ValueError, match=r"image 5 \(a/5.png\): 0 completed masks for 1 instances"):
        AmodalCompletionEvaluator().process([record], [output])


@pytest.mark.parametrize(
    ("evaluator_type", "tasks"),
    [
        ("amodal", ["ordering", "completion"]),
        ("cocoa", ["ordering", "completion"]),
        ("kitti_mots_dev", ["ordering", "amodal_box"]),
    ],
)
def test_evaluators_are_chosen_by_type(evaluator_type, tasks):
    name = f"evaluation_test_{evaluator_type}"
    MetadataCatalog.get(name).evaluator_type = evaluator_type
    evaluators = build_evaluators(name)
    evaluators.reset()
    assert list(evaluators.evaluate()) == tasks


def test_a_type_can_be_added(monkeypatch):
    monkeypatch.setitem(EVALUATORS, "boxes_only", lambda folder, bins: [AmodalBoxEvaluator(folder)])
    MetadataCatalog.get("evaluation_test_added").evaluator_type = "boxes_only"
    assert list(build_evaluators("evaluation_test_added").evaluate()) == ["amodal_box"]


@pytest.mark.parametrize(
    ("evaluator_type", "message"),
    [
        ("modal", "its labels are modal and know neither order nor hidden parts"),
        ("coco", "its evaluator_type is 'coco'; register it with one of"),
        (None, "its evaluator_type is None; register it with one of"),
    ],
)
def test_types_without_evaluators_give_one_clear_line(evaluator_type, message):
    name = f"evaluation_test_no_{evaluator_type}"
    if evaluator_type is not None:
        MetadataCatalog.get(name).evaluator_type = evaluator_type
    with pytest.raises(UserError, match=message) as error:
        build_evaluators(name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
