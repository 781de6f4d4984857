"""Starts the processes of a program, and lets them speak: Detectron2's ``launch`` and ``comm``.

CPU processes are started too, and a program of one process that does not need torch works without
loading it.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import TypeVar

from tqdm import tqdm

from .errors import INTERRUPTED, UserError

T = TypeVar("T")

# A process that has finished its share waits for the slowest one.
_TIMEOUT = timedelta(days=7)

# Processes of the group on this machine, where they were started here and not by Detectron2.
_cpu_processes: int | None = None


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

    Args:
        work: importable function. It ends its process by ``sys.exit(status)`` to say that it
            failed.
        processes: per machine; 1 process on 1 machine runs here.
        num_machines, machine_rank, dist_url: as for Detectron2's ``launch``.
        on_gpus: one GPU per process, where there is one.
        cpu_group: without GPUs (or ``on_gpus`` False), start CPU processes instead of refusing.

    Raises:
        UserError: more processes than GPUs, or machines without an address.
    """
    if num_machines > 1 and dist_url == "auto":
        raise UserError(
            "several machines need --dist-url tcp://HOST:PORT, the same on all of them, with the "
            "address of machine 0"
        )
    if processes * num_machines == 1:
        work(*args)
        return
    import torch
    import torch.multiprocessing
    from detectron2.engine import launch as detectron2_launch

    found = torch.cuda.device_count() if on_gpus else 0
    if processes > found and (found or not cpu_group):
        raise UserError(f"--num-gpus is {processes}, but this machine has {found}")
    try:
        if processes <= found:
            detectron2_launch(
                work, processes, num_machines, machine_rank, dist_url, args=args, timeout=_TIMEOUT
            )
            return
        # Detectron2 0.6 starts several processes only for GPUs.
        url = f"tcp://127.0.0.1:{_free_port()}" if dist_url == "auto" else dist_url
        world = processes * num_machines
        torch.multiprocessing.spawn(
            _cpu_worker,
            nprocs=processes,
            args=(work, args, world, processes, machine_rank, url),
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


def _cpu_worker(
    local_rank: int,
    work: Callable[..., object],
    args: tuple,
    world: int,
    processes: int,
    machine_rank: int,
    url: str,
) -> None:
    import torch
    import torch.distributed

    global _cpu_processes
    _cpu_processes = processes
    # A bar of this process is nobody else's; tqdm's own lock is a semaphore of the system, which
    # the end below would leave behind.
    tqdm.set_lock(threading.RLock())
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    torch.distributed.init_process_group(
        "gloo",
        init_method=url,
        world_size=world,
        rank=machine_rank * processes + local_rank,
        timeout=_TIMEOUT,
    )
    status = 0
    try:
        work(*args)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    if status == INTERRUPTED:
        os._exit(status)  # the others are, too, and say nothing more
    # Nobody ends before all is said: the end of one process makes the launcher end the others.
    synchronize()
    sys.stdout.flush()
    sys.stderr.flush()
    gc.collect()  # what is left of semaphores
    # At an ordinary end gloo's threads now and then abort the process, and work that is complete
    # would look like a failure.
    os._exit(status)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    if _cpu_processes is not None:
        return _cpu_processes
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
