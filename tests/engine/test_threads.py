"""A training leaves busy cores to those who keep them busy."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from deocclusion_d2 import workers
from deocclusion_d2.engine import train


@pytest.fixture
def threads(monkeypatch):
    """Four threads on four cores, and what is set of them."""
    chosen = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(train, "usable_cores", lambda: 4)
    return chosen


@pytest.mark.parametrize(
    "others, expected", [(0.0, []), (0.3, []), (0.8, [3]), (2.1, [2]), (3.9, [1]), (9.0, [1])]
)
def test_as_many_threads_as_idle_cores(threads, monkeypatch, others, expected):
    monkeypatch.setattr(train, "cores_of_others", lambda: others)
    train._leave_cores_to_others()
    assert threads == expected


def test_what_the_user_says_stays(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(train, "cores_of_others", lambda: 3.0)
    train._leave_cores_to_others()
    assert threads == []


def test_who_is_busy_is_seen(monkeypatch, tmp_path):
    """Ticks by hand: of 100 a second, 60 were busy in half a second, 10 of them our own."""
    ticks = iter(["cpu 100 0 50 900 7 0 0 3 0 0", "cpu 130 5 70 945 9 2 1 5 0 0"])
    own = iter([(1.0, 0.5), (1.1, 0.5)])
    monkeypatch.setattr(workers, "open", lambda *a, **k: (tmp_path / "stat").open(), raising=False)
    monkeypatch.setattr(workers.os, "sysconf", lambda name: 100)

    def times():
        return (*next(own), 0.0, 0.0, 0.0)

    monkeypatch.setattr(workers.os, "times", times)
    (tmp_path / "stat").write_text(next(ticks))
    monkeypatch.setattr(
        workers.time, "sleep", lambda seconds: (tmp_path / "stat").write_text(next(ticks))
    )
    assert workers.cores_of_others(0.5) == pytest.approx((0.6 - 0.1) / 0.5)


def test_a_system_that_does_not_tell(monkeypatch):
    def missing(*arguments, **options):
        raise FileNotFoundError

    monkeypatch.setattr(workers, "open", missing, raising=False)
    assert workers.cores_of_others(0) == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_busy_process_counts():
    alone = workers.cores_of_others(0.2)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        beside = workers.cores_of_others(0.4)
        process.kill()
    # On a machine that is full it gets what there is.
    assert alone >= 0 and beside > 0
