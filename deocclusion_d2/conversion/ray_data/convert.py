"""Conversion over Ray Data: folders and globs of files, on the cores and GPUs of one machine or of
a cluster.

Ray does all that is not about masks: it schedules tasks, holds reading back while the networks are
busy, tries again what a killed worker or a lost machine had at hand, adds machines where the
cluster can, shows how far it is, and writes Parquet. What it runs are the functions of ``rows``:

    files -> rows of one image each -> actors, each with its copy of the networks -> output

Results do not depend on the number of actors, on the size of blocks, or on what had to be tried
again: a row holds all that its result depends on, and counts travel in the rows.

Ray, pyarrow and fsspec are imported where they are used: they come with the extra ``ray``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ...pretrained import DEFAULT
from ..convert import ConversionResult
from .actors import converted, prepare_on_cluster
from .cluster import data_settings, errors_in_one_line, joined_cluster, require_ray
from .files import InputFiles
from .job import RayJob
from .output import Output, write_json, write_tables
from .reading import rows_of_input


def convert_with_ray(job: RayJob) -> ConversionResult:
    """Convert a file, a folder or a glob on a cluster of Ray; called by one process.

    Of a single COCO JSON, written as JSON, it makes what ``convert`` does, to the byte. What a
    method measures on its input before it begins is measured once, on 1,000 images at most of the
    whole input (see ``sample_of``), and holds for all files.

    The output appears complete or not at all, but that of Parquet files elsewhere than on a local
    file system is complete when it has a file ``_SUCCESS``, which is written last.

    Raises:
        UserError: in one line, what is wrong with which file.
    """
    start = time.perf_counter()
    require_ray()
    job.check()
    files = InputFiles.find(job.input)
    output = Output.check(job, files)
    job = job.with_full_paths()
    print(f"{job.input}: {len(files.names):,} files, {files.size / 1e6:,.1f} MB")
    with joined_cluster(job.address), data_settings(files.size), errors_in_one_line(job.output):
        prepared = prepare_on_cluster(job, files)
        if prepared.uses_default_network:
            print(f"network: {DEFAULT!r}, which comes with this package (others: --config-file)")
        rows = converted(rows_of_input(job, files, prepared.uses_rgb), job, prepared, files)
        if job.writes_json:
            result = write_json(rows, job, prepared, files, Path(output.path))
        else:
            result = write_tables(rows, job, prepared, output)
    tally = result.tally
    print(tally.table(time.perf_counter() - start, tally.instances))
    print(f"written: {result.output}")
    result.warnings += (f"{job.input}: {line}" for line in tally.oddities())
    for line in result.warnings:
        print(f"warning: {line}", file=sys.stderr)
    return result
