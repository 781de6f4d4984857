"""Shards, interruptions, and what happens to files that are already there."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError

from .conftest import annotation, coco, touching_pair


def scattered(images=12, seed=0):
    """Annotations of many images, in a random order."""
    annotations = [a for i in range(images) for a in touching_pair(10 * i, i + 1)]
    annotations.append(annotation(999, 2, [], iscrowd=1))
    order = np.random.default_rng(seed).permutation(len(annotations))
    return coco([annotations[i] for i in order], images)


@pytest.mark.parametrize("shard_size", [1, 5, 1000])
def test_same_bytes_whatever_the_shards(write, run, tmp_path, shard_size):
    path = write(scattered())
    run(path, "one.json")
    run(path, "other.json", shard_size=shard_size)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    assert [a["id"] for a in json.loads((tmp_path / "one.json").read_text())["annotations"]] == [
        a["id"] for a in scattered()["annotations"]
    ]
    assert not list(tmp_path.glob("*.shards"))


# A conversion that is ended as by kill -9 in its third shard.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.inference import Deoccluder

class Killed(Deoccluder):
    calls = 0
    def __call__(self, scenes):
        Killed.calls += 1
        if Killed.calls == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(scenes)

deoccluder = Deoccluder.baseline("convex_r")
deoccluder.__class__ = Killed
job = ConversionJob(Path(sys.argv[1]), Path(sys.argv[2]), method="convex_r", shard_size=4)
convert(job, deoccluder)
"""


def test_goes_on_after_kill_9(write, run, tmp_path):
    path, output = write(scattered()), tmp_path / "killed.json"

    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(path), str(output)]
    killed = subprocess.run(command, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not output.exists()
    folder = Path(f"{output}.shards")
    assert len(list(folder.glob("shard-*.jsonl"))) == 2
    (folder / "shard-000002.jsonl.host.1.tmp").write_text("half of a li")

    run(path, "killed.json", shard_size=4, deoccluder=Deoccluder.baseline("convex_r"))
    run(path, "whole.json", shard_size=1000)
    assert output.read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert not folder.exists()


def test_finished_shards_are_not_computed_again(write, run, tmp_path, capsys):
    path = write(scattered())

    class Counts(Deoccluder):
        seen, stop_at = 0, 3

        def __call__(self, scenes):
            Counts.seen += sum(map(len, scenes))
            Counts.stop_at -= 1
            if Counts.stop_at == 0:
                raise UserError("stop")
            return super().__call__(scenes)

    deoccluder = Deoccluder.baseline("raw")
    deoccluder.__class__ = Counts
    with pytest.raises(UserError, match="^stop$"):
        run(path, shard_size=4, deoccluder=deoccluder)
    Counts.seen = 0
    run(path, shard_size=4, deoccluder=deoccluder)
    # Images 1 and 2 (two instances each, and a crowd region) are the first two shards.
    assert Counts.seen == 24 - 4
    assert "finished by an earlier run" in capsys.readouterr().out


class TestOutput:
    def test_is_not_overwritten_unless_asked(self, write, run, tmp_path):
        path = write(coco([annotation(1)]))
        run(path)
        before = (tmp_path / "out.json").read_bytes()
        with pytest.raises(UserError) as error:
            run(path, method="raw")
        assert str(error.value) == f"{tmp_path}/out.json exists: pass --overwrite to replace it"
        assert (tmp_path / "out.json").read_bytes() == before
        run(path, method="raw", overwrite=True)
        assert (tmp_path / "out.json").read_bytes() != before

    def test_is_not_the_input(self, write, run):
        path = write(coco([annotation(1)]))
        with pytest.raises(UserError, match="is the input: name another file as --output$"):
            run(path, path.name, overwrite=True)

    def test_folders(self, write, run, tmp_path):
        path = write(coco([annotation(1)]))
        assert run(path, "a/b/out.json")["annotations"]
        with pytest.raises(UserError, match="is a folder: name a file as --output$"):
            run(path, "a", overwrite=True)
        with pytest.raises(UserError, match=r"the folder .*in\.json/x cannot be made: "):
            run(path, "in.json/x/out.json")

    def test_shards_of_another_conversion(self, write, run, tmp_path):
        path = write(coco([annotation(1, 1), annotation(2, 2, [[1, 1]])]))
        with pytest.raises(UserError, match="fewer than 3 points"):
            run(path, shard_size=1)
        write(coco([annotation(1, 1), annotation(2, 2)]))
        with pytest.raises(UserError) as error:
            run(path, shard_size=1)
        assert str(error.value) == (
            f"{tmp_path}/out.json.shards holds shards of another conversion (other input sha256, "
            "input size): pass --overwrite to start anew, or delete that folder"
        )
        with pytest.raises(UserError, match=r"other completion, .*method"):
            run(path, shard_size=1, method="raw")
        assert len(run(path, shard_size=1, overwrite=True)["annotations"]) == 2
