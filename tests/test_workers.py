"""Worker processes: order, bounds, errors, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deocclusion_d2 import workers
from deocclusion_d2.errors import UserError
from deocclusion_d2.workers import map_in_order, worker_count


class Double:
    """Twice a number; and in which worker."""

    number = -1

    def __call__(self, part: int) -> tuple[int, int, int]:
        if part < 0:
            raise UserError(f"part {part} is negative")
        return 2 * part, self.number, os.getpid()

    def enter_worker(self, number: int) -> None:
        self.number = number


class Dies(Double):
    def __call__(self, part: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return part


@pytest.mark.parametrize("count", [0, 1, 3])
def test_results_come_in_order(count):
    results = list(map_in_order(Double(), range(20), count))
    assert [result[0] for result in results] == list(range(0, 40, 2))
    others = {pid for _, _, pid in results} - {os.getpid()}
    assert bool(others) == bool(count) and len(others) <= count
    assert {number for _, number, _ in results} <= set(range(count) if count else [-1])


def test_parts_are_taken_as_they_are_needed():
    taken = []

    def parts():
        for part in range(100):
            taken.append(part)
            yield part

    results = map_in_order(Double(), parts(), 2, ahead=3)
    assert next(results)[0] == 0
    # Six under way, and the one that waits for the first of them.
    assert taken == list(range(7))
    results.close()


@pytest.mark.parametrize("count", [0, 2])
def test_an_error_comes_at_its_turn(count):
    results = map_in_order(Double(), [1, 2, -3, 4, -5], count)
    assert [next(results)[0], next(results)[0]] == [2, 4]
    with pytest.raises(UserError, match=r"^part -3 is negative$"):
        next(results)


def test_a_worker_that_is_killed_is_one_line():
    with pytest.raises(UserError, match="a worker process was ended from outside"):
        list(map_in_order(Dies(), range(4), 2))


def test_how_many(monkeypatch):
    monkeypatch.setattr(workers, "usable_cores", lambda: 8)
    monkeypatch.setattr(workers, "can_fork", lambda: True)
    assert worker_count(None) == 8
    assert worker_count(None, processes=3) == 2
    assert worker_count(None, processes=8) == 0  # one beside each would not help
    assert worker_count(None, parts=5) == 5
    assert worker_count(None, parts=1) == 0
    assert worker_count(3, processes=8) == 3
    assert worker_count(1) == 1
    assert worker_count(0) == 0
    with pytest.raises(UserError, match=r"--num-workers is -1: use 0 or more"):
        worker_count(-1)
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    assert worker_count(None) == 0
    assert worker_count(2) == 2


ENDLESS = """
import os, sys, time
from deocclusion_d2.workers import map_in_order

class Work:
    def __call__(self, part):
        time.sleep(60)

    def enter_worker(self, number):
        open(f"{sys.argv[1]}/{os.getpid()}", "w").close()

list(map_in_order(Work(), range(8), 2))
"""


@pytest.mark.skipif(not workers.can_fork(), reason="processes are not forked here")
def test_workers_end_with_a_killed_parent(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)])
    while len(list(tmp_path.iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    pids = [int(path.name) for path in tmp_path.iterdir()]
    deadline = time.monotonic() + 120
    while any(map(_runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_runs, pids))


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
