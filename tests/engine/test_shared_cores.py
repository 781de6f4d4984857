"""A training leaves busy cores to those who keep them busy, and takes them when they are idle."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from deocclusion_d2 import workers
from deocclusion_d2.engine import shared_cores
from deocclusion_d2.engine.shared_cores import SharedCores


class _Training:
    """A hook of four threads on four cores, what others keep busy there, and the time."""

    def __init__(self, monkeypatch) -> None:
        self.threads, self.now, self.others = 4, 100.0, 0.0
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(torch, "get_num_threads", lambda: self.threads)
        monkeypatch.setattr(torch, "set_num_threads", lambda n: setattr(self, "threads", n))
        monkeypatch.setattr(shared_cores, "usable_cores", lambda: 4)
        monkeypatch.setattr(shared_cores, "_FIRST_LOOK", 0.3)
        busy = SimpleNamespace(of_others=lambda: self.others)
        monkeypatch.setattr(shared_cores, "BusyCores", lambda: busy)
        monkeypatch.setattr(shared_cores.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(shared_cores.time, "sleep", self.wait)
        self.hook = SharedCores()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def after(self, seconds: float, others: float) -> int:
        """Threads after a step some seconds later, all the while beside others."""
        self.others = others
        self.wait(seconds)
        self.hook.after_step()
        return self.threads


@pytest.fixture
def training(monkeypatch) -> _Training:
    return _Training(monkeypatch)


@pytest.mark.parametrize(
    "others, expected", [(0.0, 4), (0.3, 4), (0.8, 3), (2.1, 2), (3.9, 1), (9.0, 1)]
)
def test_as_many_threads_as_idle_cores(training, others, expected):
    training.others = others
    training.hook.before_train()
    assert training.threads == expected
    assert training.now == pytest.approx(100.3)


def test_who_comes_later_and_goes_again(training):
    training.hook.before_train()
    # Not before five seconds, and not before it was seen twice.
    assert training.after(4.9, 2.0) == 4
    assert training.after(0.2, 2.0) == 4
    assert training.after(5.1, 2.0) == 2
    assert training.after(5.1, 0.0) == 2
    assert training.after(5.1, 2.0) == 2
    assert training.after(5.1, 0.0) == 2
    assert training.after(5.1, 0.0) == 4


def test_what_the_user_says_stays(training, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    training.others = 3.0
    training.hook.before_train()
    assert training.after(6, 3.0) == training.after(6, 3.0) == 4


def test_who_is_busy_is_seen(monkeypatch, tmp_path):
    """Ticks by hand, 100 a second: 60 in half a second, 10 of them our own, 20 of a child."""
    times = iter([(1.0, 0.5, 0.0, 0.0, 0.0), (1.04, 0.5, 0.05, 0.01, 0.0)])
    clock = iter([7.0, 7.5])
    monkeypatch.setattr(
        workers, "open", lambda path, **k: (tmp_path / path.replace("/", "_")).open(), raising=False
    )
    monkeypatch.setattr(workers.os, "sysconf", lambda name: 100)
    monkeypatch.setattr(workers.os, "times", lambda: next(times))
    monkeypatch.setattr(workers.time, "perf_counter", lambda: next(clock))
    child = SimpleNamespace(pid=5)
    monkeypatch.setattr(multiprocessing, "active_children", lambda: [child])
    stat = "5 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 {} {} 13 14"
    (tmp_path / "_proc_stat").write_text("cpu 100 0 50 900 7 0 0 3 0 0")
    (tmp_path / "_proc_5_stat").write_text(stat.format(40, 7))
    busy = workers.BusyCores()
    (tmp_path / "_proc_stat").write_text("cpu 130 5 70 945 9 2 1 5 0 0")
    (tmp_path / "_proc_5_stat").write_text(stat.format(55, 12))
    assert busy.of_others() == pytest.approx((0.6 - 0.1 - 0.2) / 0.5)


def test_a_system_that_does_not_tell(monkeypatch):
    def missing(*arguments, **options):
        raise FileNotFoundError

    monkeypatch.setattr(workers, "open", missing, raising=False)
    assert workers.BusyCores().of_others() == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_busy_process_counts():
    # Not a child that multiprocessing knows of.
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        busy = workers.BusyCores()
        time.sleep(0.4)
        beside = busy.of_others()
        process.kill()
    # On a machine that is full it gets what there is.
    assert beside > 0
