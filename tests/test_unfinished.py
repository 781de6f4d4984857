"""Unfinished files and folders: those of killed runs go, those of living ones stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deocclusion_d2 import unfinished as module
from deocclusion_d2.errors import UserError
from deocclusion_d2.files import whole_file, whole_folder
from deocclusion_d2.unfinished import clean_leftovers, unfinished_folder

ROOT = Path(__file__).resolve().parents[1]

# Writes half of an output, says so, and waits for its end.
HALF = """
import sys, time
from pathlib import Path
from deocclusion_d2.files import whole_file, whole_folder
path = Path(sys.argv[1])
with (whole_folder if sys.argv[2] == "folder" else whole_file)(path) as new:
    (new / "a" if new.is_dir() else new).write_text("half")
    print("half", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def half_done():
    """Starts a program that has half of an output; it is killed at the latest after the test."""
    started = []

    def start(path: Path, kind: str) -> subprocess.Popen:
        program = subprocess.Popen(
            [sys.executable, "-c", HALF, str(path), kind],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        started.append(program)
        assert program.stdout.readline() == "half\n"
        return program

    yield start
    for program in started:
        program.kill()
        program.wait()
        program.stdout.close()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_run_s_half_goes_and_a_living_one_s_stays(tmp_path, half_done, kind):
    path = tmp_path / "out"
    dead, living = half_done(path, kind), half_done(path, kind)
    assert len(list(tmp_path.iterdir())) == 2
    clean_leftovers(tmp_path, ["out"])
    assert len(list(tmp_path.iterdir())) == 2
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    clean_leftovers(tmp_path, ["other"])
    assert len(list(tmp_path.iterdir())) == 2
    clean_leftovers(tmp_path, ["out"])
    (left,) = tmp_path.iterdir()
    half = left if kind == "file" else left / "new" / "a"
    assert half.read_text() == "half" and living.poll() is None


def test_a_folder_of_a_run_that_was_killed_before_its_lock(tmp_path):
    with unfinished_folder(tmp_path, "out") as living:
        empty = tmp_path / module._name("out")
        full = tmp_path / module._name("out")
        empty.mkdir()
        full.mkdir()
        (full / "somebody's").touch()
        clean_leftovers(tmp_path, ["out"])
        assert set(tmp_path.iterdir()) == {living, full}


@pytest.mark.parametrize("moment", ["_make_locked", "_take_lock"])
def test_a_folder_that_is_taken_for_a_leftover_before_its_lock(tmp_path, monkeypatch, moment):
    """Cleaned away by another run between being made and being locked."""
    before, calls = getattr(module, moment), []

    def late(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            clean_leftovers(tmp_path, ["out"])
            assert not list(tmp_path.iterdir())
        return before(*args, **kwargs)

    monkeypatch.setattr(module, moment, late)
    with unfinished_folder(tmp_path, "out") as path:
        assert [p.name for p in path.iterdir()] == ["lock"] and len(calls) > 1
        clean_leftovers(tmp_path, ["out"])
        assert path.exists()
    assert not list(tmp_path.iterdir())


def test_runs_that_start_together_leave_each_other_alone(tmp_path):
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            status = 1
            try:
                for _ in range(60):
                    clean_leftovers(tmp_path, ["out"])
                    with unfinished_folder(tmp_path, "out") as path:
                        (path / "a").touch()
                        clean_leftovers(tmp_path, ["out"])
                        assert (path / "a").exists()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert not list(tmp_path.iterdir())


def test_other_machines_and_older_versions_have_a_day(tmp_path, monkeypatch):
    files = [
        ".out.0123abcd-0123456789ab.tmp",
        f".out.{'0a' * 16}.tmp",
    ]
    folders = [".out.0123abcd-0123456789ac.tmp", ".out.k2_j3h1a"]
    own = [".out.holidays", ".out.txt", "out", f".put.{'0a' * 16}.tmp", ".out.20240101"]
    for name in files:
        (tmp_path / name).touch()
    for name in (*folders, *own):
        (tmp_path / name / "new").mkdir(parents=True)
    (tmp_path / folders[0] / "lock").touch()
    (tmp_path / ".out.20240101" / "diary.txt").touch()
    before = sorted(p.name for p in tmp_path.iterdir())
    clean_leftovers(tmp_path, ["out"])
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    monkeypatch.setattr(module.time, "time", lambda: os.stat(tmp_path).st_mtime + 25 * 3600)
    clean_leftovers(tmp_path, ["out"])
    left = sorted(p.name for p in tmp_path.iterdir())
    # ".out.holidays" could be an older version's, whose names are as random.
    assert left == sorted({*own} - {".out.holidays"})
    clean_leftovers(tmp_path / "none", ["out"])


def test_what_was_moved_away_comes_back(tmp_path, monkeypatch):
    """Killed between the older folder's leaving and the new one's coming."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a").write_text("older")
    killed = os.fork()
    if not killed:
        rename = Path.rename

        def die(path, target):
            if path.name == "new":
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(path, target)

        Path.rename = die
        with whole_folder(folder) as new:
            (new / "a").write_text("newer")
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(killed, 0)[1]) == signal.SIGKILL
    assert not folder.exists()
    clean_leftovers(tmp_path, ["out"])
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (folder / "a").read_text() == "older"


def test_whole_folder(tmp_path):
    folder = tmp_path / "new" / "out"
    with whole_folder(folder) as new:
        (new / "a").touch()
        assert not folder.exists()
    (tmp_path / "link").symlink_to(folder)
    with whole_folder(tmp_path / "link") as new:
        (new / "b").touch()
    assert (tmp_path / "link").is_symlink()
    assert [p.name for p in folder.iterdir()] == ["b"]
    with pytest.raises(UserError, match="out: cannot be written: No space"), whole_folder(folder):
        raise OSError(28, "No space left on device")
    with pytest.raises(ZeroDivisionError), whole_folder(folder):
        raise ZeroDivisionError
    assert [p.name for p in folder.iterdir()] == ["b"]
    assert [p.name for p in folder.parent.iterdir()] == ["out"]


def test_a_full_disk_leaves_the_older_file(tmp_path):
    """A file that may not grow beyond 4 kB stands for a disk that is full in the middle."""
    (tmp_path / "a").write_text("older")
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from deocclusion_d2.errors import one_line_errors\n"
        "from deocclusion_d2.files import whole_text_file\n"
        "with one_line_errors(), whole_text_file(sys.argv[1]) as file:\n"
        "    file.write('x' * 100_000)\n"
    )
    end = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert end.returncode == 1
    assert end.stderr == f"error: {tmp_path / 'a'} cannot be written: File too large\n"
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "older")]


def test_names_that_leave_no_room(tmp_path):
    name = "x" * 250
    with whole_file(tmp_path / name) as new:
        assert len(new.name) < 100
        new.write_text("there")
    assert (tmp_path / name).read_text() == "there"
