"""Training samples are a function of seed and draw number; scenes carry what is known of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from pycocotools import mask as mask_util

from deocclusion_d2.config import load_config
from deocclusion_d2.data.draws import Draws, DrawSampler
from deocclusion_d2.data.instance_table import InstanceTable
from deocclusion_d2.data.loaders import DrawTrainLoader, comm, train_instances, train_records
from deocclusion_d2.data.occluders import Occluders
from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.data.scenes import SceneMapper, scene_from_record
from deocclusion_d2.errors import UserError
from deocclusion_d2.systems.pcnet_m.mapper import PartialCompletionMapper
from tests.helpers import box_mask

H, W = 40, 60


def annotation(number: int, mask: np.ndarray, **more) -> dict:
    rle = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))
    rle["counts"] = rle["counts"].decode()
    return {
        "id": number,
        "iscrowd": 0,
        "dataset_category_id": 1 + number % 3,
        "modal_segmentation": rle,
        **more,
    }


def record(annotations: list[dict], **more) -> dict:
    return {
        "file_name": "none.png",
        "image_id": 7,
        "height": H,
        "width": W,
        "annotations": annotations,
        **more,
    }


@pytest.fixture
def table() -> InstanceTable:
    rng = np.random.default_rng(0)
    annotations = []
    for k in range(11):
        x, y, w, h = (int(v) for v in rng.integers(4, 20, 4))
        annotations.append(annotation(k, box_mask(H, W, x, y, x + w, y + h)))
    return InstanceTable([record(annotations)])


def mapper(table: InstanceTable, seed: int = 3) -> PartialCompletionMapper:
    return PartialCompletionMapper(
        instances=table, settings=ErasingSettings(patch_size=32), seed=seed
    )


def take(loader, count: int) -> list[dict[str, torch.Tensor]]:
    batches = iter(loader)
    return [next(batches) for _ in range(count)]


def same(a, b) -> bool:
    return all(
        torch.equal(x[k], y[k]) for x, y in zip(a, b, strict=True) for k in ("modal_mask", "eraser")
    )


def test_isolated_instances_touch_no_other_of_their_image():
    left, touching = box_mask(H, W, 5, 5, 15, 15), box_mask(H, W, 15, 5, 25, 15)
    apart = box_mask(H, W, 40, 5, 50, 15)
    table = InstanceTable(
        [
            record([annotation(0, left), annotation(1, apart), annotation(2, touching)]),
            record([annotation(3, left)]),  # touches 2 in nothing but its coordinates
        ]
    )
    assert Occluders(table).whole.tolist() == [1, 3]
    targets = PartialCompletionMapper(
        instances=table, settings=ErasingSettings(patch_size=32), seed=0, isolated_targets=True
    )
    assert len(targets) == 2
    assert [int(targets({"item": k, "draw": 0})["category_id"]) for k in (0, 1)] == [2, 1]
    # The other instances still erase: (seed, draw) alone says which.
    others = {int(np.random.default_rng((0, draw)).integers(len(table))) for draw in range(30)}
    assert others == {0, 1, 2, 3}
    crowded = InstanceTable([record([annotation(0, left), annotation(1, touching)])])
    with pytest.raises(UserError, match="ISOLATED_TARGETS: every instance"):
        PartialCompletionMapper(
            instances=crowded, settings=ErasingSettings(), seed=0, isolated_targets=True
        )


def test_table_leaves_out_what_cannot_be_used():
    usable = box_mask(H, W, 5, 5, 20, 20)
    annotations = [
        annotation(0, usable),
        annotation(1, usable, iscrowd=1),
        annotation(2, np.zeros((H, W), bool)),
        annotation(3, box_mask(H, W, 0, 0, 2, 2)),  # side sqrt(12) = 3.5 < 5
        annotation(4, box_mask(H, W, 0, 0, 5, 2)),  # side sqrt(30) = 5.5
    ]
    table = InstanceTable([record(annotations)])
    assert len(table) == 2 and (table.crowds, table.empty, table.small) == (1, 1, 1)
    assert table.category_ids.tolist() == [1, 2]
    assert np.array_equal(table.modal_mask(0).to_array(H, W), usable)
    assert len(InstanceTable([])) == 0


def test_samples_do_not_depend_on_workers(table):
    loaders = [DrawTrainLoader(mapper(table), total_batch_size=4, num_workers=n) for n in (0, 2)]
    first, second = (take(loader, 5) for loader in loaders)
    assert same(first, second)
    other = DrawTrainLoader(mapper(table, 4), total_batch_size=4, num_workers=0)
    assert not same(first, take(other, 5))


def test_processes_share_the_samples_of_one(table, monkeypatch):
    alone = take(DrawTrainLoader(mapper(table), total_batch_size=6, num_workers=0), 3)
    parts = []
    monkeypatch.setattr(comm, "get_world_size", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        loader = DrawTrainLoader(mapper(table), total_batch_size=6, num_workers=0)
        parts.append(take(loader, 3))
    for k, batch in enumerate(alone):
        for j in range(6):
            assert torch.equal(parts[j % 3][k]["eraser"][j // 3], batch["eraser"][j])
    with pytest.raises(UserError, match=r"SOLVER\.IMS_PER_BATCH = 7"):
        DrawTrainLoader(mapper(table), total_batch_size=7, num_workers=0)


def test_resuming_goes_on_where_it_stopped(table):
    whole = take(DrawTrainLoader(mapper(table), total_batch_size=4, num_workers=0), 6)
    resumed = DrawTrainLoader(mapper(table), total_batch_size=4, num_workers=0)
    batches = iter(resumed)
    resumed.first_iteration = 4  # set after the iterator was made, as a trainer does
    assert same([next(batches), next(batches)], whole[4:])


def test_every_pass_visits_every_instance_once(table):
    draws = Draws(11, seed=5)
    passes = [[draws[k]["item"] for k in range(p * 11, p * 11 + 11)] for p in range(3)]
    assert all(sorted(p) == list(range(11)) for p in passes)
    assert passes[0] != passes[1]
    assert draws[5]["item"] == passes[0][5]  # looked up again, after a later pass
    sampler = iter(DrawSampler(8))
    assert [next(sampler) for _ in range(3)] == [8, 9, 10]


def test_scene_and_truth_leave_out_crowds_and_keep_rows_aligned():
    masks = [box_mask(H, W, 5 * k, 0, 5 * k + 9, 10) for k in range(4)]
    annotations = [
        annotation(k, m, amodal_segmentation=annotation(k, m)["modal_segmentation"], depth=k + 0.5)
        for k, m in enumerate(masks)
    ]
    annotations[1]["iscrowd"] = 1
    annotations[2] |= {"amodal_bbox": [1.0, 2.0, 3.0, 4.0], "occlusion_level": 2}
    annotations[3] |= {"amodal_bbox": [1.0, 2.0, 3.0, 4.0], "truncated": 0.5}
    scene, truth = scene_from_record(
        record(annotations, depth_constraints=[(0, 1), (3, 2), (0, 2)])
    )
    assert scene.instance_ids == [0, 2, 3]
    assert scene.category_ids.tolist() == [1, 3, 1]
    assert truth.depths.tolist() == [0.5, 2.5, 3.5]
    assert truth.depth_constraints == [(2, 1), (0, 1)]
    assert truth.occlusion_levels.tolist() == [-1, 2, -1]
    # A truncated object's box is not its amodal box.
    assert truth.amodal_boxes[1].tolist() == [1, 2, 4, 6]
    assert np.isnan(truth.amodal_boxes[[0, 2]]).all()
    mapped = SceneMapper()(record(annotations))
    assert mapped["image_id"] == 7 and len(mapped["scene"]) == 3
    bare, nothing = scene_from_record(record([]))
    assert len(bare) == 0 and nothing.amodal_masks is None


def test_something_must_be_learned_from():
    cfg = load_config("pcnet_m_kins.yaml", ["DATASETS.TRAIN", "()"])
    with pytest.raises(UserError, match=r"DATASETS.TRAIN is empty"):
        train_records(cfg)


def test_boxes_alone_are_said_to_lack_masks(tmp_path):
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "segmentation": []}
            for k in (1, 2, 3)
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "d.json").write_text(json.dumps(document))
    cfg = load_config("pcnet_m_kins", ["DATASETS.TRAIN", f"('coco:{tmp_path}/d.json',)"])
    counted = r"\(0 crowd regions, 3 without a visible pixel, 0 too small\): make masks first"
    with pytest.raises(UserError, match=counted):
        train_instances(cfg)
