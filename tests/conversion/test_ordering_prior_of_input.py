"""Conversion with ORDERING_PRIOR auto: the prior is fitted to the input, once."""

from __future__ import annotations

import json

import pytest

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.systems.pcnet_m.ordering_prior import OrderingPrior
from tests.helpers import random_model

from .conftest import coco, touching_pair

IMAGES = 24


@pytest.fixture
def deoccluder():
    options = ["MODEL.DEVICE", "cpu", "MODEL.PCNET_M.USE_CATEGORY", "False"]
    cfg = load_config(
        "quick_schedules/pcnet_m_kins_quick.yaml",
        [*options, "INPUT.INSTANCE_CROP.SIZE", "32", "DEOCCLUSION.ORDERING_PRIOR", "auto"],
    )
    return Deoccluder.from_config(cfg, random_model(use_category=False))


def test_it_is_the_same_for_any_number_of_workers_and_kept(write, tmp_path, deoccluder):
    annotations = [a for i in range(IMAGES) for a in touching_pair(10 * i + 1, i + 1)]
    path = write(coco(annotations, IMAGES))
    written = []
    for workers in (0, 2):
        job = ConversionJob(path, tmp_path / f"{workers}.json", "convex_r", num_workers=workers)
        convert(job, deoccluder=deoccluder)
        written.append(job.output.read_bytes())
    assert written[0] == written[1]
    said = json.loads(written[0])["info"]["deocclusion"]["ordering_prior"]
    assert said["fitted_on"]["pairs"] == IMAGES
    # It is what a file holds.
    file = tmp_path / "prior.json"
    file.write_text(json.dumps(said))
    assert OrderingPrior.load(file).to_json() == said


def test_what_was_fitted_in_an_earlier_run_stays(write, tmp_path, deoccluder, monkeypatch):
    annotations = [a for i in range(6) for a in touching_pair(10 * i + 1, i + 1)]
    path = write(coco(annotations, 6))
    job = ConversionJob(path, tmp_path / "out.json", "convex_r", num_workers=0)
    finish = "deocclusion_d2.conversion.shards.ShardFolder.remove"
    with monkeypatch.context() as patched:
        patched.setattr(finish, lambda folder: None)
        convert(job, deoccluder=deoccluder)
    calls = []
    monkeypatch.setattr(type(deoccluder._ordering), "measure", lambda *args: calls.append(args))
    before = job.output.read_bytes()
    job.output.unlink()
    convert(job, deoccluder=deoccluder)
    assert not calls and job.output.read_bytes() == before
