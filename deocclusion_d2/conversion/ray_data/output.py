"""Converted rows -> one COCO JSON, or Parquet files."""

from __future__ import annotations

import contextlib
import json
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ...files import whole_file, whole_folder
from ...json_files import dump_json
from ...outputs import Inputs, check_folder_can_be_made, check_output_file, is_inside
from ...unfinished import clean_leftovers, unfinished_folder
from ...version import __version__
from ..convert import ConversionResult
from ..gathered import GatheredRows, Totals
from ..rows import ConvertedRow
from ..tally import Tally
from ..writers import WRITERS
from .actors import Prepared
from .cluster import errors_in_one_line
from .files import TABLES, InputFiles, errors_of_store, filesystem_of
from .job import RayJob
from .tables import rows_in

if TYPE_CHECKING:
    import pyarrow
    import ray.data
    from fsspec import AbstractFileSystem


# What a folder of Parquet files has when it is complete, as other programs leave it, too.
SUCCESS = "_SUCCESS"
# Parquet files are made of blocks until they hold so much, uncompressed.
_BYTES_PER_FILE = 1 << 26


@dataclass(frozen=True)
class Output:
    """Where the result goes.

    Attributes:
        path: on the file system.
        is_local: whether that is the local one.
    """

    filesystem: AbstractFileSystem
    path: str
    is_local: bool

    @classmethod
    def check(cls, job: RayJob, files: InputFiles) -> Output:
        """Find what would stop it from being written, or what it would destroy.

        Raises:
            UserError: saying what to do.
        """
        output = cls(*filesystem_of(job.output))
        if files.folder is not None and output._is_inside(files):
            raise UserError(
                f"{job.output} lies in the folder of the input, and would be read with it the next "
                "time: name another, or the input by a glob, such as 'FOLDER/*.json'"
            )
        # What is not there holds no input, and inputs may be millions.
        can_meet = files.is_local and output.is_local and os.path.lexists(output.path)
        inputs = Inputs([*(files.names if can_meet else ()), job.config_file, job.weights])
        if job.writes_json:
            if not output.is_local:
                raise UserError(
                    f"{job.output}: one JSON is written to a local folder; elsewhere name a folder "
                    "for Parquet files"
                )
            check_output_file(output.path, inputs, job.overwrite, kind="JSON file")
        elif os.path.splitext(output.path)[1].lower() not in ("", *TABLES):
            raise UserError(
                f"{job.output}: name a .json, or a folder (or NAME.parquet) for Parquet files"
            )
        else:
            output._check_folder(job, inputs)
        return output

    def _is_inside(self, files: InputFiles) -> bool:
        if self.is_local and files.is_local:
            return is_inside(self.path, files.folder)
        return self.filesystem.unstrip_protocol(self.path).startswith(f"{files.folder}/")

    def _check_folder(self, job: RayJob, inputs: Inputs) -> None:
        if not self.is_local:
            with errors_of_store(job.output, False):
                exists = self.filesystem.exists(self.path)
            if exists:
                raise UserError(f"{job.output} exists: name another folder, or delete it")
            return
        path = Path(self.path)
        held = inputs.inside(path)
        if held is not None or path in inputs:
            raise UserError(f"{job.output} holds {held or 'the input'}: name another folder")
        check_folder_can_be_made(path.parent)
        if path.exists() and not path.is_dir():
            raise UserError(f"{job.output} is no folder: name another")
        there = [entry.name for entry in path.iterdir()] if path.exists() else []
        if there and not job.overwrite:
            raise UserError(f"{job.output} exists: pass --overwrite to replace it")
        other = [name for name in there if name != SUCCESS and not name.endswith(TABLES)]
        if other:
            raise UserError(f"{job.output} holds {other[0]}, no Parquet file: name another folder")
        clean_leftovers(path.parent, [path.name])


def write_json(
    rows: ray.data.Dataset, job: RayJob, prepared: Prepared, files: InputFiles, path: Path
) -> ConversionResult:
    totals = Totals()
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        unfinished_folder(path.parent, path.name) as folder,
        contextlib.closing(GatheredRows(folder, files.can_be_several)) as gathered,
        # Closed: whatever ends the loop ends Ray's work, too.
        contextlib.closing(_tables_of(rows)) as tables,
    ):
        for table in tables:
            for row in rows_in(table, ConvertedRow):
                totals.add(row.file, row.about, row.tally)
                gathered.add(row)
        info = _info(totals, job, prepared)
        gathered.describe(info)
        with whole_file(path, folder) as unfinished:
            WRITERS["coco"].write(gathered, unfinished)
    warnings = list(totals.doubts)
    if gathered.dropped_keys:
        keys = ", ".join(sorted(gathered.dropped_keys))
        warnings.append(f"{job.input}: left out, as the files say different things: {keys}")
    return ConversionResult(path, totals.tally, info, warnings)


def _tables_of(rows: ray.data.Dataset) -> Iterator[pyarrow.Table]:
    yield from rows.iter_batches(batch_size=None, batch_format="pyarrow")


def write_tables(
    rows: ray.data.Dataset, job: RayJob, prepared: Prepared, output: Output
) -> ConversionResult:
    import pyarrow.dataset

    where = contextlib.nullcontext(output.path)
    if output.is_local:
        where = whole_folder(output.path)
    # Within: Ray's errors are OSErrors, too, with a traceback as their text.
    with where as folder, errors_in_one_line(job.output):
        filesystem = None if output.is_local else output.filesystem
        # The folder is there: a machine that does not see it must not make one of its own, whose
        # rows would be missed by nobody.
        rows.write_parquet(
            str(folder),
            filesystem=filesystem,
            try_create_dir=not output.is_local,
            min_bytes_per_file=_BYTES_PER_FILE,
        )
        # What is there counts, not what was tried.
        written = pyarrow.dataset.dataset(str(folder), filesystem=filesystem, format="parquet")
        totals, seen = Totals(), array("q")
        columns = ["file", "image_id", "tally", "about"]
        for batch in written.to_batches(columns=columns) if written.files else ():
            for row in batch.to_pylist():
                about = None if row["about"] is None else json.loads(row["about"])
                totals.add(row["file"], about, Tally.from_dict(json.loads(row["tally"])))
                if row["image_id"] is not None:
                    seen.append(hash((row["file"], row["image_id"])))
        found, times = np.unique(np.asarray(seen, np.int64), return_counts=True)
        if len(found) != len(seen):
            _refuse_second(written, set(found[times > 1].tolist()))
        info = _info(totals, job, prepared)
        result = ConversionResult(job.output, totals.tally, info, totals.doubts)
        with (
            errors_of_store(job.output, output.is_local),
            output.filesystem.open(f"{folder}/{SUCCESS}", "w") as file,
        ):
            file.write(dump_json(result.to_json()))
    return result


def _refuse_second(written: pyarrow.dataset.Dataset, twice: set[int]) -> None:
    for batch in written.to_batches(columns=["file", "image_id"]):
        for row in batch.to_pylist():
            if row["image_id"] is not None and hash((row["file"], row["image_id"])) in twice:
                raise UserError(
                    f"{row['file']}: image id {row['image_id']!r} occurs twice in it: give every "
                    "image its own"
                )


def _info(totals: Totals, job: RayJob, prepared: Prepared) -> dict[str, Any]:
    """What the output says about the conversion, once all rows are there."""
    totals.check(job.input)
    about = totals.describe(job.input.rstrip("/").rpartition("/")[2], job.segmentation)
    info = {"version": __version__, **about, **prepared.settings}
    if totals.tally.overlaps is not None:
        info["overlaps"] = totals.tally.overlaps.to_json()
    return info
