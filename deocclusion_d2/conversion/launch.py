"""Starts the processes of a conversion, and ends the program as a command-line tool should."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import NoReturn

from ..errors import INTERRUPTED, UserError, one_line_errors
from ..json_files import json_on_stdout
from ..launch import is_main_process, launch
from .convert import convert
from .job import ConversionJob
from .ray_data.convert import convert_with_ray
from .ray_data.job import RayJob

# Exit code of a conversion that had nothing to work with: a nightly run should not go on with it.
NOTHING_DONE = 3


@one_line_errors()
def run_conversion(
    job: ConversionJob,
    num_gpus: int = 1,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
    as_json: bool = False,
) -> NoReturn:
    """Convert with one process per GPU, or per ``num_gpus`` where none is needed, and exit.

    Exit codes: 0 when the output is written; 3 when it is written, but no annotation of the input
    (if there is one) has a visible pixel to work with (``Tally.has_done_nothing``); 1 after one
    line on stderr that says why it is not written; 130 when the user interrupts.

    Args:
        job: what to convert.
        num_gpus: GPUs per machine. On machines without GPU, and for methods without network, the
            number of processes per machine; 0 for one process on the CPU.
        num_machines, machine_rank, dist_url: as for Detectron2's training. The machines share the
            output's folder. Left as they are under torchrun and srun, see ``launch``.
        as_json: print ``ConversionResult.to_json`` on stdout, and all else on stderr.
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
        on_gpus = job.uses_network and num_gpus > 0
        if job.uses_network and num_gpus == 0:
            # Unless the user's own overrides name a device.
            job = replace(job, opts=("MODEL.DEVICE", "cpu", *job.opts))
        job.check()
        launch(
            _work,
            max(num_gpus, 1),
            num_machines=num_machines,
            machine_rank=machine_rank,
            dist_url=dist_url,
            args=(job, as_json),
            on_gpus=on_gpus,
            cpu_group=True,
        )
    except KeyboardInterrupt:
        print(f"interrupted; finished shards stay in {job.shard_folder}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(0)


@one_line_errors()
def run_ray_conversion(job: RayJob, as_json: bool = False) -> NoReturn:
    """Convert over Ray Data, and exit as ``run_conversion`` does.

    Args:
        job: what to convert.
        as_json: see ``run_conversion``.
    """
    # When it is interrupted, threads of Ray's that still run start no second cluster.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    with json_on_stdout(as_json) as print_json:
        result = convert_with_ray(job)
        print_json(result.to_json())
    sys.exit(NOTHING_DONE if result.tally.has_done_nothing else 0)


def _work(job: ConversionJob, as_json: bool) -> None:
    """One process. In a group, the first one speaks for all."""
    main = is_main_process()
    with json_on_stdout(as_json and main) as print_json, one_line_errors():
        result = convert(job)
        if main:
            print_json(result.to_json())
    if main and result.tally.has_done_nothing:
        sys.exit(NOTHING_DONE)
