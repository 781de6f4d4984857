"""Starts the processes of a program, or joins those that torchrun or Slurm has started, and lets
them speak: Detectron2's ``comm``.

A program of one process that does not need torch works without loading it.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn, TypeVar

from tqdm import tqdm

from .errors import (
    INTERRUPTED,
    READER_GONE,
    UserError,
    is_connection_lost,
    let_speak,
    one_line_errors,
)
from .launchers import Place, outside_place, refuse_half_a_place
from .workers import usable_cores

if TYPE_CHECKING:
    import torch.distributed

T = TypeVar("T")

# A process that has finished its share waits for the slowest one.
_TIMEOUT = timedelta(days=7)
# All processes should have been started by then.
_MEETING = timedelta(minutes=30)

# Seconds that a launcher gets to end a process that need not go on, or another one to say why;
# and those between two looks at whether one has failed.
_GRACE = 5.0
_LOOK = 1.0


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """``one_line_errors`` for a program that calls ``launch``.

    Where a launcher has started it several times, the first process alone speaks until they have
    joined: wrong arguments are told once.
    """
    with one_line_errors(), contextlib.ExitStack() as silence:
        place = _outside_place()
        if place is None or place.rank == 0:
            yield
            return
        global _silence
        _silence = silence
        let_speak(lambda failure: _speaks_if(False))
        nowhere = silence.enter_context(open(os.devnull, "w", encoding="utf-8"))
        silence.enter_context(contextlib.redirect_stdout(nowhere))
        silence.enter_context(contextlib.redirect_stderr(nowhere))
        try:
            yield
        except SystemExit:  # of what reads the arguments, which has printed why
            _speaks_if(False)
            raise


# What keeps this process silent until it has joined the others.
_silence = contextlib.ExitStack()


def launch(
    work: Callable[..., object],
    processes: int,
    *,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
    args: tuple = (),
    on_gpus: bool = True,
    cpu_group: bool = False,
) -> None:
    """Run ``work(*args)`` in every process of a group.

    Where torchrun or a step of Slurm has started this process with others, it joins them, works,
    and ends with its work's status: the call does not return. Else the processes are started here.
    One that fails ends them all, and the first that does so says why.

    Args:
        work: importable function. It ends its process by ``sys.exit(status)`` to say that it
            failed.
        processes: per machine; 1 process on 1 machine runs here.
        num_machines, machine_rank, dist_url: as for Detectron2's ``launch``. They are the
            launcher's where there is one, and ``processes``, too.
        on_gpus: one GPU per process, where there is one.
        cpu_group: without GPUs (or ``on_gpus`` False), start CPU processes instead of refusing.
            Those of a launcher never are refused for it.

    Raises:
        UserError: more processes than GPUs, machines without an address, a launcher and options
            that contradict it.
    """
    if num_machines > 1 and dist_url == "auto":
        raise UserError(
            "several machines need --dist-url tcp://HOST:PORT, the same on all of them, with the "
            "address of machine 0"
        )
    place = _outside_place()
    if place is None and num_machines == 1:
        refuse_half_a_place(os.environ)
    # A task of Slurm for each machine, which starts processes itself, is how Detectron2 is used.
    per_machine = place is not None and place.launcher == "Slurm" and place.local_size == 1
    if per_machine and 1 < num_machines == place.world_size:
        place = None
        _silence.close()
        let_speak(None)
    if place is not None:
        if processes > 1 or num_machines > 1 or machine_rank or dist_url != "auto":
            raise UserError(
                f"{place.launcher} has started {place.world_size} processes: leave out --num-gpus, "
                "--num-machines, --machine-rank and --dist-url, or start the program without it"
            )
        if place.world_size > 1:
            _work_in_group(place, work, args, on_gpus)
    if processes * num_machines <= 1:
        work(*args)
        return
    import torch
    import torch.multiprocessing

    # It logs whom it ends when one has failed.
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    found = torch.cuda.device_count() if on_gpus else 0
    if processes > found and (found or not cpu_group):
        raise UserError(f"--num-gpus is {processes}, but this machine has {found}")
    url = f"tcp://127.0.0.1:{_free_port()}" if dist_url == "auto" else dist_url
    try:
        torch.multiprocessing.spawn(
            _worker,
            nprocs=processes,
            args=(work, args, num_machines, processes, machine_rank, url, on_gpus),
        )
    except KeyboardInterrupt:
        # Else Python waits for them at its end.
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    except torch.multiprocessing.ProcessExitedException as error:
        if error.signal_name is not None:
            raise UserError(
                f"a process was ended by {error.signal_name}; run the command again to go on"
            ) from None
        sys.exit(error.exit_code)


def _outside_place() -> Place | None:
    if multiprocessing.parent_process() is not None:
        return None  # started here, whoever has started the program
    try:
        on_terminal = os.isatty(0)
    except OSError:
        on_terminal = False
    return outside_place(os.environ, on_terminal)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _worker(
    local_rank: int,
    work: Callable[..., object],
    args: tuple,
    num_machines: int,
    processes: int,
    machine_rank: int,
    url: str,
    on_gpus: bool,
) -> None:
    place = Place(
        rank=machine_rank * processes + local_rank,
        world_size=num_machines * processes,
        local_rank=local_rank,
        local_size=processes,
        machine=machine_rank,
        url=url,
        launcher="this program",
    )
    _work_in_group(place, work, args, on_gpus)


# -------------------------------------------------------------------- a process of a group


def _work_in_group(
    place: Place, work: Callable[..., object], args: tuple, on_gpus: bool
) -> NoReturn:
    """Join the others, do this process's share, and end the process."""
    _silence.close()
    # Until they have met, each machine speaks for itself.
    let_speak(lambda failure: _speaks_if(place.local_rank == 0))
    voice: _Voice | None = None
    status = 0
    try:
        with one_line_errors():
            voice = _Voice(_meet(place), place)
            _join(place, voice.store, on_gpus)
            voice.listen()
            try:
                work(*args)
            except SystemExit as end:
                status = _status(end)
                if status == READER_GONE:
                    voice.speaks(end)  # nobody listens, but the others end
                if voice.failed or status == INTERRUPTED:
                    raise
            # Nobody ends before all is said: the end of one process makes a launcher end the
            # others.
            voice.ending = True
            synchronize()
    except SystemExit as end:
        status = _status(end)
    except BaseException as error:  # a bug
        status = 1
        if voice is None or voice.speaks(error):
            traceback.print_exc()
    if voice is not None:
        voice.end()
    _flush()
    gc.collect()  # what is left of semaphores
    # At an ordinary end gloo's threads now and then abort the process, and work that is complete
    # would look like a failure.
    os._exit(status)


def _speaks_if(chosen: bool) -> bool:
    if not chosen:
        # The end of this process may make the launcher end the one that speaks.
        time.sleep(_GRACE)
    return chosen


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # said by ``one_line_errors``
            stream.flush()


def _status(end: SystemExit) -> int:
    return end.code if isinstance(end.code, int) else int(end.code is not None)


def _meet(place: Place) -> torch.distributed.Store:
    """What all processes of the group read and write.

    Raises:
        UserError: they don't come together.
    """
    import torch.distributed as dist

    try:
        met = dist.rendezvous(place.url, place.rank, place.world_size, timeout=_MEETING)
        store, _, _ = next(iter(met))
    except (RuntimeError, ValueError) as error:
        where = place.url
        if where == "env://":
            where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        reason = str(error).partition("\n")[0]
        raise UserError(f"the processes of the group can't meet at {where}: {reason}") from error
    store.set_timeout(_TIMEOUT)
    return store


def _join(place: Place, store: torch.distributed.Store, on_gpus: bool) -> None:
    """Make Detectron2's groups: that of all processes and that of those of a machine.

    Raises:
        UserError: there are too few GPUs.
    """
    import torch
    import torch.distributed as dist
    from detectron2.utils import comm

    # A bar of this process is nobody else's; tqdm's own lock is a semaphore of the system, which
    # the end would leave behind.
    tqdm.set_lock(threading.RLock())
    gpu = _own_gpu(place) if on_gpus else None
    if gpu is None and "OMP_NUM_THREADS" not in os.environ:
        share = (os.cpu_count() or 1) // place.local_size
        torch.set_num_threads(max(1, min(share, usable_cores())))
    dist.init_process_group(
        "gloo" if gpu is None else "nccl",
        store=dist.PrefixStore("group", store),
        world_size=place.world_size,
        rank=place.rank,
        timeout=_TIMEOUT,
    )
    if gpu is not None:
        torch.cuda.set_device(gpu)
        _refuse_shared_gpus(comm.all_gather(str(torch.cuda.get_device_properties(gpu).uuid)))
    # As Detectron2's own way to start processes sets it, in 0.6 and later; but there all machines
    # have the same number of processes, with ranks one after the other.
    machines = comm.all_gather(place.machine)
    for machine in sorted(set(machines)):
        group = dist.new_group([k for k, other in enumerate(machines) if other == machine])
        if machine == place.machine:
            comm._LOCAL_PROCESS_GROUP = group
    comm.synchronize()


def _own_gpu(place: Place) -> int | None:
    """Number of the GPU of this process; None for a machine without GPUs."""
    import torch

    found = torch.cuda.device_count()
    if found == 1:
        return 0  # maybe the launcher has given one to each
    if 0 < found < place.local_size:
        raise UserError(
            f"{place.launcher} has started {place.local_size} processes on this machine, but it "
            f"has {found} GPUs"
        )
    return place.local_rank if found else None


def _refuse_shared_gpus(gpus: list[str]) -> None:
    for rank, gpu in enumerate(gpus):
        first = gpus.index(gpu)
        if first != rank:
            raise UserError(
                f"processes {first} and {rank} have the same GPU: start as many processes as there "
                "are GPUs (under Slurm: --gpus-per-task 1)"
            )


class _Voice:
    """What a process tells the others of its end, and hears of theirs.

    Attributes:
        store: what all of them read and write.
        failed: this process has something to say, or to keep to itself where another was first.
        ending: the work is done.
    """

    _FAILED, _SPOKEN, _HEARD = "failed", "spoken", "heard"

    def __init__(self, store: torch.distributed.Store, place: Place) -> None:
        self.store = store
        self.failed = False
        self.ending = False
        self._place = place
        self._first = False
        self._has_heard = False
        self._lost = False
        let_speak(self.speaks)

    def speaks(self, failure: BaseException) -> bool:
        """Whether this process says what has ended it: the first one of the group does."""
        if is_connection_lost(failure):
            # A launcher knows more of a process that has gone, and ends this one.
            time.sleep(_GRACE)
        self.failed = True
        try:
            if not self._lost and not self._has_heard:
                self._first = self.store.add(self._FAILED, 1) == 1
                self._wait(lambda: self._first or self.store.check([self._SPOKEN]))
        except RuntimeError:
            self._lost = True
        # Where the first process has gone, and the store with it, each machine speaks for itself.
        return self._first or (self._lost and _speaks_if(self._place.local_rank == 0))

    def end(self) -> None:
        """After a failure: all is said, and the others may end."""
        if not self.failed or self._lost:
            return
        with contextlib.suppress(RuntimeError):
            if self._first:
                self.store.set(self._SPOKEN, "1")
            else:
                self._hear()
            if self._place.rank == 0:
                # The store mostly lives in this process.
                others = self._place.world_size - 1
                self._wait(lambda: self.store.add(self._HEARD, 0) >= others)

    def listen(self) -> None:
        """From now on, end this process when another one has failed, whatever it waits for."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while not self.store.check([self._FAILED]):
                time.sleep(_LOOK)
            if self.failed:
                return  # it ends by itself
            self._hear()
        except RuntimeError:
            if self.ending:
                return  # the first process has ended before this one
            self._lost = True
        time.sleep(_GRACE)
        if self.failed:
            return
        if self._lost and _speaks_if(self._place.local_rank == 0):
            print("error: the first process of the group has ended", file=sys.stderr)
        _flush()
        os._exit(1)

    def _hear(self) -> None:
        if not self._has_heard:
            self._has_heard = True
            self.store.add(self._HEARD, 1)

    @staticmethod
    def _wait(until: Callable[[], bool]) -> None:
        end = time.monotonic() + _GRACE
        while not until() and time.monotonic() < end:
            time.sleep(0.1)


# -------------------------------------------------------------------- what processes say


def _comm() -> ModuleType | None:
    """Detectron2's ``comm``; None where torch is not loaded, so that there is one process only."""
    if "torch" not in sys.modules:
        return None
    from detectron2.utils import comm

    return comm


def rank() -> int:
    """Number of this process in its group, from 0."""
    comm = _comm()
    return comm.get_rank() if comm else 0


def world_size() -> int:
    """Number of processes of the group."""
    comm = _comm()
    return comm.get_world_size() if comm else 1


def local_size() -> int:
    """Number of processes of the group on this machine."""
    comm = _comm()
    return comm.get_local_size() if comm else 1


def is_main_process() -> bool:
    return rank() == 0


def gather(value: T) -> list[T]:
    """The values of all processes, on the main one; an empty list elsewhere."""
    comm = _comm()
    return comm.gather(value) if comm else [value]


def all_gather(value: T) -> list[T]:
    """The values of all processes, in each of them."""
    comm = _comm()
    return comm.all_gather(value) if comm else [value]


def synchronize() -> None:
    """Wait for all processes."""
    comm = _comm()
    if comm:
        comm.synchronize()
