"""Every system side by side, on a tiny synthetic KINS whose hidden colours are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch
import yaml
from torch import nn

from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.experiments import costs
from deocclusion_d2.experiments.all_systems import SHEET, TABLES
from deocclusion_d2.experiments.content import PLAIN
from deocclusion_d2.experiments.known import EXPERIMENTS, experiment_rows
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits
from deocclusion_d2.visualization.hidden_objects import best_mask, choose_hidden_objects
from tests.experiments.test_run_experiment import SMALL, results, run, settings

TESTS = Path(__file__).resolve().parents[1]
METHODS = ("Area", "Raw", "OG", "SeGAN", "mean colour", "PCNet-C", "SeGAN stages")


@pytest.fixture(scope="module")
def whole_kins(tmp_path_factory) -> Path:
    """As ``tiny_kins``, with whole objects."""
    folder = tmp_path_factory.mktemp("whole")
    config = SyntheticKinsConfig(96, 320, whole_objects=True)
    write_splits(folder, {"train": 3, "val": 2}, config, 1)
    return folder


def small_segan() -> list[str]:
    own = yaml.safe_load((TESTS / "systems" / "segan" / "tiny.yaml").read_text())
    return [str(text) for pair in own.items() for text in pair]


def test_tables_costs_and_sheet(whole_kins, tmp_path, commands):
    pcnet_c = ("MODEL.PCNET_C.WIDTH", "0.0625", "pcnet_c.INPUT.INSTANCE_CROP.SIZE", "128")
    opts = (*SMALL, *small_segan(), *pcnet_c)
    chosen = replace(settings("all_systems", whole_kins, methods=METHODS), opts=opts)
    report = run(chosen, tmp_path)
    assert commands == [
        f"{name} learns, seed 0"
        for name in ("pcnet_m", "segan_segment", "segan_paint", "segan_end_to_end", "pcnet_c")
    ]
    tables = results(tmp_path)["tables"]
    assert {name: list(table["rows"]) for name, table in tables.items()} == {
        "ordering": ["Area", "OG", "SeGAN"],
        "completion": ["Raw", "OG", "SeGAN"],
        "content": ["mean colour", "PCNet-C", "SeGAN stages", "SeGAN"],
    }
    costs_of = {
        name: {row: seeds[0]["cost"]["parameters"] for row, seeds in table["rows"].items()}
        for name, table in tables.items()
    }
    assert costs_of["ordering"]["Area"] == costs_of["content"]["mean colour"] == 0
    # A segmentor alone orders and completes; a painter alone paints.
    shapes, colours = costs_of["completion"]["SeGAN"], costs_of["content"]["SeGAN"]
    assert costs_of["ordering"]["SeGAN"] == shapes > 0 and colours > 0 and shapes != colours
    assert all(s[0]["cost"]["ms"] > 0 for table in tables.values() for s in table["rows"].values())
    assert "ms an object" in report and "M parameters" in report
    # All fill the same holes.
    content = [row[0]["content"] for row in tables["content"]["rows"].values()]
    assert len({row["hole_pixels"] for row in content}) == 1 and content[0]["holes"] > 0
    assert "the truly hidden parts of objects" in report
    sheet = cv2.imread(str(tmp_path / "report" / SHEET))
    # The truth, three masks, true colours, four fills.
    assert sheet.shape[0] == 9 * (108 + 3) and f"({SHEET})" in report

    # Nothing is trained or measured twice.
    commands.clear()
    run(replace(chosen, experiment="content", methods=None), tmp_path)
    assert commands == []
    assert list(results(tmp_path)["tables"]["content"]["rows"]) == list(experiment_rows("content"))

    report = run(replace(chosen, experiment="segan", methods=("Raw", "SeGAN")), tmp_path)
    assert commands == [] and "| SeGAN stages" in report and "L1_hidden" in report
    shown = results(tmp_path)["shown"]["painted.png"]
    stages, together = (shown[row][0] for row in ("SeGAN stages", "SeGAN"))
    assert stages["instances"] == together["instances"] > 0
    assert stages["union"] != together["union"] and 0 < together["L1_hidden"] < 1
    picture = cv2.imread(str(tmp_path / "report" / "painted.png"))
    assert picture.shape[1] == 6 * 128 + 7 * 3


def test_rows_are_those_of_the_tables():
    found = experiment_rows("all_systems")
    assert len(set(found)) == len(found)
    assert set(found) == {row for table in TABLES for row in experiment_rows(table)}
    assert set(PLAIN) < set(found) and set(TABLES) < set(EXPERIMENTS)


class Counted(nn.Module):
    """10 parameters that run, 3 x 4 of which run twice, and 100 that do not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3, bias=False)
        self.unused = nn.Linear(10, 10, bias=False)

    def forward(self, x):
        return self.first(x) + self.first(2 * x)


def test_cost_counts_what_runs_once(monkeypatch):
    model, calls = Counted(), []
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 24.0])
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(clock))

    def work() -> None:
        calls.append(model(torch.ones(1, 4)))

    measured = costs.measure_cost(work, objects=4)
    # Rounds of 5, 2 and 4 s, after one that warms up.
    assert measured == {"ms": 500.0, "parameters": 12e-6} and len(calls) == 4
    model(torch.ones(1, 4))  # nobody listens any more


def test_chosen_objects(whole_kins):
    from detectron2.data import DatasetCatalog

    from deocclusion_d2.data.datasets import ensure_registered

    name = f"kins:{whole_kins}/instances_train.json@{whole_kins}/training/image_2"
    records = list(DatasetCatalog.get(ensure_registered(name)))
    chosen = choose_hidden_objects(records, 2)
    areas = [one.amodal_mask.area for one in chosen]
    assert 0 < len(chosen) <= 2 and areas == sorted(areas, reverse=True)
    categories = {int(one.scene.category_ids[one.row]) for one in chosen}
    assert len(categories) == 1 and len({one.scene.image_id for one in chosen}) == len(chosen)
    for one in chosen:
        assert 0.25 < 1 - one.modal_mask.area / one.amodal_mask.area <= 0.75
        # None of its kind in the image is larger.
        record = next(r for r in records if r["image_id"] == one.scene.image_id)
        scene, truth = scene_from_record(record)
        for row, modal in enumerate(scene.modal_masks):
            whole = truth.amodal_masks[row]
            if scene.category_ids[row] in categories and 0.25 < 1 - modal.area / whole.area <= 0.75:
                assert whole.area <= one.amodal_mask.area
    assert choose_hidden_objects([{**records[0], "annotations": []}], 3) == []


def test_best_mask():
    true = WindowMask.filled((0, 0, 10, 10))
    half, other = WindowMask.filled((0, 0, 10, 5)), WindowMask.filled((20, 0, 30, 10))
    assert best_mask([other, half], true) == half
    assert best_mask([other], true) is None and best_mask([], true) is None
