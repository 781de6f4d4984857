"""Starts the processes of a conversion, and ends the program as a command-line tool should."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import torch
import torch.distributed
import torch.multiprocessing
from detectron2.engine import launch
from detectron2.utils import comm

from ..errors import UserError
from .convert import convert
from .job import ConversionJob

# A process that has finished its shards waits for the slowest one.
_TIMEOUT = timedelta(days=7)


def run_conversion(
    job: ConversionJob,
    num_gpus: int = 1,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
) -> NoReturn:
    """Convert with one process per GPU, or per ``num_gpus`` where none is needed, and exit.

    Exit codes: 0 when the output is written; 1 after one line on stderr that says why it is not;
    130 when the user interrupts.

    Args:
        job: what to convert.
        num_gpus: GPUs per machine. On machines without GPU, and for methods without network, the
            number of processes per machine; 0 for one process on the CPU.
        num_machines, machine_rank, dist_url: as for Detectron2's training. The machines share the
            output's folder.
    """
    try:
        # Before any process starts, so that the line is the only one.
        if num_gpus < 0:
            raise UserError(f"--num-gpus is {num_gpus}: use 0 or more")
        if not 0 <= machine_rank < num_machines:
            raise UserError(
                f"--machine-rank is {machine_rank}: with --num-machines {num_machines} it is "
                f"between 0 and {num_machines - 1}"
            )
        if num_machines > 1 and dist_url == "auto":
            raise UserError(
                "several machines need --dist-url tcp://HOST:PORT, the same on all of them, with "
                "the address of machine 0"
            )
        job.check()
        job = _on_device(job, num_gpus)
        _launch(job, num_gpus, num_machines, machine_rank, dist_url)
    except UserError as error:
        _fail(error)
    except KeyboardInterrupt:
        print(f"\ninterrupted; finished shards stay in {job.shard_folder}", file=sys.stderr)
        sys.exit(130)
    except torch.multiprocessing.ProcessExitedException as error:
        if error.signal_name is not None:
            print(
                f"error: a process was ended by {error.signal_name}; run the command again to go "
                f"on from the finished shards in {job.shard_folder}",
                file=sys.stderr,
            )
        sys.exit(1)
    sys.exit(0)


def _on_device(job: ConversionJob, num_gpus: int) -> ConversionJob:
    """The job with the device it can have, unless its own overrides name one."""
    if not job.uses_network:
        return job
    found = torch.cuda.device_count()
    if num_gpus == 0 or found == 0:
        return replace(job, opts=("MODEL.DEVICE", "cpu", *job.opts))
    if num_gpus > found:
        raise UserError(f"--num-gpus is {num_gpus}, but this machine has {found}")
    return job


def _launch(
    job: ConversionJob, num_gpus: int, num_machines: int, machine_rank: int, dist_url: str
) -> None:
    processes = max(num_gpus, 1)
    if processes * num_machines == 1:
        _work(job)
    elif job.uses_network and num_gpus > 0 and torch.cuda.is_available():
        launch(_work, num_gpus, num_machines, machine_rank, dist_url, args=(job,), timeout=_TIMEOUT)
    else:
        # Detectron2 0.6 starts several processes only for GPUs.
        url = f"tcp://127.0.0.1:{_free_port()}" if dist_url == "auto" else dist_url
        world = processes * num_machines
        torch.multiprocessing.spawn(
            _cpu_worker, nprocs=processes, args=(job, world, processes, machine_rank, url)
        )


def _cpu_worker(
    local_rank: int, job: ConversionJob, world: int, processes: int, machine_rank: int, url: str
) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    torch.distributed.init_process_group(
        "gloo",
        init_method=url,
        world_size=world,
        rank=machine_rank * processes + local_rank,
        timeout=_TIMEOUT,
    )
    _work(job)


def _work(job: ConversionJob) -> None:
    """One process. In a group, the first one speaks for all."""
    if comm.get_world_size() == 1:
        convert(job)
        return
    code = 0
    try:
        convert(job)
    except UserError as error:
        code = 1
        if comm.is_main_process():
            print(f"error: {error}", file=sys.stderr)
    # Nobody ends before all is said: the end of one process makes the launcher end the others.
    comm.synchronize()
    sys.stdout.flush()
    sys.stderr.flush()
    # At an ordinary end gloo's threads now and then abort the process, and a conversion that is
    # complete would look like a failure.
    os._exit(code)


def _fail(error: UserError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
