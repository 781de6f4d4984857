"""Conversion by workers: the same bytes, errors, tallies and shards as by one process."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

from deocclusion_d2.config import load_config
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.conversion.shards import split_shard
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference import network_server
from deocclusion_d2.workers import can_fork

from .conftest import annotation, coco, touching_pair

CONFIG = "quick_schedules/pcnet_m_kins_quick.yaml"


@pytest.fixture
def many(write):
    """20 images with a pair each, two of them with a crowd region besides."""
    annotations = [a for i in range(20) for a in touching_pair(10 * i + 1, i + 1)]
    annotations += [annotation(900 + i, i, iscrowd=1) for i in (3, 17)]
    return write(coco(annotations[::-1], 20))


@pytest.fixture
def small_parts(monkeypatch):
    # The package offers a function of the module's name.
    module = sys.modules["deocclusion_d2.conversion.convert"]
    monkeypatch.setattr(module, "INSTANCES_AT_ONCE", 4)


@pytest.mark.parametrize("shard_size", [7, 1000])
def test_same_bytes_for_any_number(many, tmp_path, small_parts, capsys, shard_size):
    written, printed = set(), set()
    for workers in (0, 1, 3):
        output = tmp_path / f"{workers}.json"
        job = ConversionJob(many, output, "convex_r", num_workers=workers, shard_size=shard_size)
        tally = convert(job).tally
        assert (tally.images, tally.instances, tally.crowds, tally.occluded) == (20, 40, 2, 20)
        written.add(output.read_bytes())
        table = capsys.readouterr().out.replace(str(output), "")
        printed.add("".join(line for line in table.splitlines() if not line.startswith("time")))
    assert len(written) == len(printed) == 1


def tiny_network() -> Deoccluder:
    options = ["MODEL.DEVICE", "cpu", "MODEL.PCNET_M.WIDTH", "0.25"]
    cfg = load_config(CONFIG, [*options, "DEOCCLUSION.RECENTRE", "1"])
    torch.manual_seed(0)
    return Deoccluder.from_config(cfg, build_model(cfg).eval())


@pytest.mark.skipif(not can_fork(), reason="processes are not forked here")
def test_same_bytes_with_the_network_in_this_process(many, tmp_path, small_parts, monkeypatch):
    """As on a GPU, but on the CPU."""
    for name, served in (("own", False), ("served", True)):
        monkeypatch.setattr(network_server, "on_gpu", lambda runners, served=served: served)
        job = ConversionJob(many, tmp_path / name, "raw", num_workers=3)
        convert(job, tiny_network())
    alone = ConversionJob(many, tmp_path / "alone", "raw", num_workers=0)
    convert(alone, tiny_network())
    results = {(tmp_path / name).read_bytes() for name in ("own", "served", "alone")}
    assert len(results) == 1
    annotations = json.loads(results.pop())["annotations"]
    assert any(a.get("occluder_ids") for a in annotations)


def test_the_first_error_is_said_and_shards_before_it_stay(write, tmp_path, small_parts):
    annotations = [a for i in range(20) for a in touching_pair(10 * i + 1, i + 1)]
    for number in (25, 35):
        annotations[number]["segmentation"] = {"size": [3, 3], "counts": "9"}
    path = write(coco(annotations, 20))
    job = ConversionJob(path, tmp_path / "o.json", "convex_r", num_workers=3, shard_size=10)
    with pytest.raises(UserError, match=r"image 13 .*annotation 122: .* size \[3, 3\]"):
        convert(job)
    assert not job.output.exists()
    shards = sorted(p.name for p in job.shard_folder.glob("shard-*"))
    assert shards == [f"shard-00000{k}.jsonl" for k in range(2)]


def test_parts_of_a_shard():
    image_of_item = np.array([0, 1, 0, 1, 2, 3, 3, 3, 4])
    instances_of_item = np.ones(9, int)
    items = np.array([0, 2, 1, 3, 4, 5, 6, 7])  # image 4 is of another shard

    def parts(size):
        found = list(split_shard(7, items, image_of_item, instances_of_item, size))
        assert [part.is_last for part in found] == [False] * (len(found) - 1) + [True]
        assert {part.shard for part in found} == {7}
        assert all(part.instances == len(part.items) for part in found)
        return [part.items.tolist() for part in found]

    assert parts(100) == [[0, 2, 1, 3, 4, 5, 6, 7]]
    # 8 instances in round(8 / 5) = 2 parts of 4 or more.
    assert parts(5) == [[0, 2, 1, 3], [4, 5, 6, 7]]
    # round(8 / 3) = 3 parts of 8 / 3 or more: an image is never cut.
    assert parts(3) == [[0, 2, 1, 3], [4, 5, 6, 7]]
    assert parts(1) == [[0, 2], [1, 3], [4], [5, 6, 7]]
    # COCOA: an item is an image.
    by_image = list(split_shard(0, np.arange(3), np.arange(3), np.array([4, 3, 7]), 6))
    assert [part.instances for part in by_image] == [7, 7]
