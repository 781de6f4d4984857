"""Worker processes of one job: parts go out, results come back in order, memory is bounded.

Standard library alone: a job whose method runs no network does not load torch.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Protocol, TypeVar

from .errors import UserError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized
    from multiprocessing.synchronize import Event

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

# Parts per worker that are under way or wait for it. Their results are all that is kept.
_PARTS_AHEAD = 2


class Work(Protocol[P_contra, R_co]):
    """What workers do with a part.

    It must be fit for pickling where processes cannot be forked. What it raises is raised again in
    the process that gave the part out.
    """

    def __call__(self, part: P_contra) -> R_co: ...

    def enter_worker(self, number: int) -> None:
        """Called once in each worker, with its number from 0, before its first part."""


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class BusyCores:
    """How many cores other processes keep busy, from now on."""

    def __init__(self) -> None:
        self._start = self._seconds()

    def of_others(self) -> float:
        """Other processes than this one and its children, on average; 0 where nobody tells."""
        end = self._seconds()
        if self._start is None or end is None or end[0] == self._start[0]:
            return 0.0
        passed, whole, own = (b - a for a, b in zip(self._start, end, strict=True))
        return max(0.0, (whole - own) / passed)

    @staticmethod
    def _seconds() -> tuple[float, float, float] | None:
        """Of a clock, of all cores' work, and of this process's with its children's."""
        now = time.perf_counter()
        try:
            with open("/proc/stat", encoding="ascii") as file:
                ticks = [int(text) for text in file.readline().split()[1:9]]
            # Of these the fourth and the fifth are idle.
            whole = sum(ticks[:3] + ticks[5:])
            own = 0
            for child in multiprocessing.active_children():
                with open(f"/proc/{child.pid}/stat", encoding="utf-8") as file:
                    # The second field, in parentheses, may hold anything.
                    fields = file.read().rpartition(")")[2].split()
                own += sum(map(int, fields[11:13]))
            per_second = os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return None
        # Children that have ended are in the sum of the process.
        return now, whole / per_second, own / per_second + sum(os.times()[:4])


def worker_count(wanted: int | None, processes: int = 1, parts: int | None = None) -> int:
    """How many workers a process starts.

    Args:
        wanted: what the user asked for; None for one per core where that helps.
        processes: of this machine that start workers alike.
        parts: how many there are to do; more workers than that are of no use.

    Returns:
        0 where the process had better work alone.

    Raises:
        UserError: ``wanted`` is below 0.
    """
    if wanted is not None and wanted < 0:
        raise UserError(f"--num-workers is {wanted}: use 0 or more")
    if parts is not None and parts < 2:
        return 0
    count = wanted
    if count is None:
        # Elsewhere a worker starts from nothing, which costs seconds and needs a guarded main.
        count = usable_cores() // processes if can_fork() else 0
        # One worker beside a process that waits for it is no gain.
        count = 0 if count == 1 else count
    return count if parts is None else min(count, parts)


def map_in_order(
    work: Work[P, R], parts: Iterable[P], workers: int, ahead: int = _PARTS_AHEAD
) -> Iterator[R]:
    """``work(part)`` for all parts, in their order.

    Args:
        work: see ``Work``. With 0 workers it is called here.
        parts: taken as they are needed.
        workers: processes; they end with the iterator.
        ahead: parts per worker that are under way at most.

    Raises:
        UserError: a worker was killed. What ``work`` raises comes at its part's turn.
    """
    if not workers:
        yield from map(work, parts)
        return
    context = multiprocessing.get_context("fork" if can_fork() else "spawn")
    started, stopped = context.Value("i", 0), context.Event()
    pool = ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(work, started, stopped)
    )
    under_way: deque = deque()
    try:
        for part in parts:
            if len(under_way) == ahead * workers:
                yield under_way.popleft().result()
            under_way.append(pool.submit(_do, part))
        while under_way:
            yield under_way.popleft().result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process was ended from outside, maybe for its memory: run the command again, "
            "with fewer --num-workers if that is the reason"
        ) from None
    finally:
        # What workers are at they end; parts that are on their way to them are too late.
        stopped.set()
        pool.shutdown(cancel_futures=True)


def can_fork() -> bool:
    """Whether processes start as copies of this one. macOS offers it, but its libraries break."""
    return sys.platform == "linux"


# What this worker does with parts, and whether it should go on.
_work: Callable | None = None
_stopped: Event | None = None


def _start_worker(work: Work, started: Synchronized, stopped: Event) -> None:
    global _work, _stopped
    # Ctrl-C reaches every process of the terminal; the first one ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_thread()
    # What came with the copy stays: looking through it again and again finds no garbage.
    gc.freeze()
    with started.get_lock():
        number = started.value
        started.value += 1
    work.enter_worker(number)
    _work, _stopped = work, stopped


def _do(part: object) -> object:
    return None if _stopped.is_set() else _work(part)


def _end_with_parent() -> None:
    """A killed process leaves no workers behind, which would wait for parts for ever."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def one_thread() -> None:
    """Keep a worker's libraries to one thread: its siblings use the other cores."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(0)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
