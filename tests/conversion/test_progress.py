"""The caller's own function in place of the bar, and the result as data."""

from __future__ import annotations

import json

import pytest

from deocclusion_d2.conversion import ConversionJob, convert

from .conftest import annotation, coco, touching_pair
from .test_resume import scattered


@pytest.fixture
def job(write, tmp_path):
    path = write(scattered())
    return ConversionJob(path, tmp_path / "out.json", "convex_r", shard_size=4)


def test_is_called_up_to_the_total_and_no_bar_is_drawn(job, capsys):
    calls = []
    convert(job, progress=lambda done, total: calls.append((done, total)))
    # 24 instances and a crowd region, an image at a time at least.
    assert calls[0] == (0, 25) and calls[-1] == (25, 25)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls}) and len(calls) > 3
    assert "converting" not in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 2])
def test_what_it_raises_stops_the_conversion_which_can_go_on(job, workers):
    class Cancelled(Exception):
        pass

    def cancel(done, total):
        if done >= 10:
            raise Cancelled

    job = ConversionJob(job.input, job.output, job.method, shard_size=4, num_workers=workers)
    with pytest.raises(Cancelled):
        convert(job, progress=cancel)
    assert not job.output.exists()
    shards = list(job.shard_folder.glob("shard-*.jsonl"))
    assert shards and all(shard.read_text().endswith("\n") for shard in shards)
    calls = []
    convert(job, progress=lambda done, total: calls.append(done))
    assert calls[0] >= 4 and calls[-1] == 25  # what was finished is not done again
    assert len(json.loads(job.output.read_text())["annotations"]) == 25


def test_the_result_is_json(write, tmp_path):
    bad = annotation(9, 2, [[1, 1]])
    path = write(coco([*touching_pair(1, 1), bad]))
    result = convert(ConversionJob(path, tmp_path / "o.json", "convex_r", skip_invalid=True))
    said = json.loads(json.dumps(result.to_json()))
    assert said["written"] == [str(tmp_path / "o.json")] and said["warnings"] == []
    counts = said["counts"]
    assert (counts["instances"], counts["occluded"], counts["skipped"]) == (2, 1, 1)
    assert said["skipped"][0]["count"] == 1 and "annotation 9" in said["skipped"][0]["first"]
    written = json.loads((tmp_path / "o.json").read_text())
    assert said["info"] == written["info"]["deocclusion"]
