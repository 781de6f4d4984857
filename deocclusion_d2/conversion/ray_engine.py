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

import contextlib
import dataclasses
import json
import logging
import math
import os
import socket
import sys
import tempfile
import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import UserError, one_line
from ..files import whole_file, whole_folder
from ..inference.calibration import ENOUGH_SCENES, RequestCalibration, chosen_scenes
from ..json_files import NamedDocument, dump_json
from ..outputs import Inputs, check_folder_can_be_made, check_output_file
from ..pretrained import DEFAULT
from ..unfinished import clean_leftovers, unfinished_folder
from ..version import __version__
from ..workers import one_thread, usable_cores, worker_count
from .annotations import INSTANCES_AT_ONCE
from .convert import ConversionResult
from .document_index import read_index
from .gathered import GatheredRows, Totals
from .job import Method, NamesMethod
from .rows import (
    ConvertedRow,
    ImageRow,
    convert_rows,
    document_of_row,
    images_with_annotations,
    is_row,
    rows_of,
    scenes_reader,
)
from .tally import Tally
from .writers import WRITERS

if TYPE_CHECKING:
    import pyarrow
    import ray.data
    from fsspec import AbstractFileSystem

R = TypeVar("R", ImageRow, ConvertedRow)

# Endings of files that hold documents; of files that hold a row per line; of tables of rows.
_DOCUMENTS, _LINES, _TABLES = (".json",), (".jsonl", ".ndjson"), (".parquet",)
# What a folder of Parquet files has when it is complete, as other programs leave it, too.
_SUCCESS = "_SUCCESS"
# Rows are handed on in tables of so many, and put together to blocks.
_ROWS_AT_ONCE = 16
# What a killed worker may cost, in bytes of rows: little beside the whole, enough for Ray to be
# idle most of the time.
_LEAST_BLOCK, _LARGEST_BLOCK, _BLOCKS_PER_CORE = 1 << 17, 1 << 23, 16
# Reading is light beside converting: it takes none of the cores, but a task for so many.
_CORES_PER_READER = 4
# Where Ray says how far it is when its output is no terminal.
_PROGRESS_LOG = "ray.data._internal.progress.logging_progress"
# Parquet files are made of blocks until they hold so much, uncompressed.
_BYTES_PER_FILE = 1 << 26


@dataclass(frozen=True)
class RayJob(NamesMethod):
    """What to convert over Ray Data, and how.

    Attributes:
        input: a file, folder or glob of annotations, local or at an fsspec address.
        output: ``NAME.json`` for one COCO JSON; a folder (or ``NAME.parquet``) of Parquet files,
            local or at an fsspec address.
        method, format, config_file, weights, opts, image_root, overwrite, skip_invalid,
            segmentation: see ``ConversionJob``. All machines must have the files that they name.
        num_workers: actors at most; None for as many as the cluster has room for.
        on_gpus: whether each has a GPU, where the cluster has some and the method runs a network;
            else each has a core.
        address: of the cluster; None for the environment's RAY_ADDRESS, or for one of this
            machine alone, which ends with the conversion.
    """

    input: str
    output: str
    method: str | None = None
    format: str | None = None
    config_file: str | None = None
    weights: str | None = None
    opts: tuple[str, ...] = ()
    image_root: Path | None = None
    overwrite: bool = False
    skip_invalid: bool = False
    segmentation: str = "rle"
    num_workers: int | None = None
    on_gpus: bool = True
    address: str | None = None

    @property
    def writes_json(self) -> bool:
        """Whether the output is one COCO JSON."""
        return self.output.lower().endswith(".json")

    def check(self) -> None:
        """Find what would stop the conversion later, as far as it can be told without reading.

        Raises:
            UserError: saying what to do.
        """
        self.check_names()
        worker_count(self.num_workers)
        if self.num_workers == 0:
            raise UserError("--num-workers is 0: with --engine ray use 1 or more")
        if self.image_root is not None and not self.image_root.is_dir():
            raise UserError(f"--image-root {self.image_root}: there is no such folder")
        self.check_network()

    def with_full_paths(self) -> RayJob:
        """The job as processes see it that were started elsewhere."""
        named = {key: getattr(self, key) for key in ("config_file", "weights")}
        full = {k: os.path.abspath(v) for k, v in named.items() if v and os.path.exists(v)}
        root = None if self.image_root is None else self.image_root.absolute()
        return replace(self, image_root=root, **full)


@dataclass(frozen=True)
class InputFiles:
    """The files of an input.

    Attributes:
        names: full paths or addresses, sorted.
        are_tables: whether they are Parquet files.
        size: of all, in bytes.
        is_local: whether they are on the local file system.
    """

    names: list[str]
    are_tables: bool
    size: int
    is_local: bool

    @classmethod
    def find(cls, pattern: str) -> InputFiles:
        """
        Args:
            pattern: a file, folder or glob.

        Raises:
            UserError: there is none, or they are of several kinds.
        """
        filesystem, path, is_local = _filesystem(pattern)
        known = _DOCUMENTS + _LINES + _TABLES
        try:
            found = _sizes(filesystem, path)
        except Exception as error:
            # Every store has errors of its own, such as of keys that are missing.
            if is_local:
                raise
            raise UserError(f"{pattern}: {_first_line(error)}") from None
        if not found:
            raise UserError(f"{pattern}: there is no such file ({', '.join(known)})")
        names = sorted(found)
        other = next((name for name in names if not name.lower().endswith(known)), None)
        if other is not None:
            raise UserError(f"{other}: not a file of {', '.join(known)}: name those by a glob")
        tables = [name for name in names if name.lower().endswith(_TABLES)]
        if 0 < len(tables) < len(names):
            raise UserError(
                f"{pattern}: it holds Parquet files and others, such as {tables[0]}: name those of "
                "one kind by a glob, such as 'FOLDER/*.json'"
            )
        size = sum(found.values())
        full = names if is_local else [filesystem.unstrip_protocol(name) for name in names]
        return cls(full, bool(tables), size, is_local)

    @property
    def can_be_several(self) -> bool:
        """Whether they may hold more than one document."""
        return len(self.names) > 1 or not self.names[0].lower().endswith(_DOCUMENTS)


def _sizes(filesystem: AbstractFileSystem, path: str) -> dict[str, int]:
    """The files that a path means, and their sizes in bytes."""
    if filesystem.isfile(path):
        found = {path: filesystem.info(path)}
    elif filesystem.isdir(path):
        known = _DOCUMENTS + _LINES + _TABLES
        found = filesystem.find(path, detail=True)
        # The others are of programs, such as _SUCCESS.
        found = {n: i for n, i in found.items() if n.rpartition("/")[2][0] not in "._"}
        found = {n: i for n, i in found.items() if n.lower().endswith(known)}
    else:
        found = filesystem.glob(path, detail=True)
        found = {name: info for name, info in found.items() if info["type"] == "file"}
    return {name: info.get("size") or 0 for name, info in found.items()}


def convert_with_ray(job: RayJob) -> ConversionResult:
    """Convert a file, a folder or a glob on a cluster of Ray; called by one process.

    Of a single COCO JSON, written as JSON, it makes what ``convert`` does, to the byte. What a
    method measures on its input before it begins is measured once, on 1,000 images at most of the
    whole input (see ``_sample``), and holds for all files.

    The output appears complete or not at all, but that of Parquet files elsewhere than on a local
    file system is complete when it has a file ``_SUCCESS``, which is written last.

    Raises:
        UserError: in one line, what is wrong with which file.
    """
    start = time.perf_counter()
    _require_ray()
    job.check()
    files = InputFiles.find(job.input)
    output = _Output.check(job, files)
    job = job.with_full_paths()
    print(f"{job.input}: {len(files.names):,} files, {files.size / 1e6:,.1f} MB")
    with _cluster(job.address), _settings(files), _errors_in_one_line():
        prepared = _prepare_on_cluster(job, files)
        if prepared.uses_default_network:
            print(f"network: {DEFAULT!r}, which comes with this package (others: --config-file)")
        rows = _converted(_found(job, files, prepared), job, prepared, files)
        if job.writes_json:
            result = _write_json(rows, job, prepared, files, Path(output.path))
        else:
            result = _write_tables(rows, job, prepared, output)
    tally = result.tally
    print(tally.table(time.perf_counter() - start, tally.instances))
    print(f"written: {result.output}")
    result.warnings += (f"{job.input}: {line}" for line in tally.oddities())
    for line in result.warnings:
        print(f"warning: {line}", file=sys.stderr)
    return result


# -------------------------------------------------------------------- the cluster


def _require_ray() -> None:
    try:
        import fsspec  # noqa: F401
        import pyarrow  # noqa: F401
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--engine ray needs {error.name or 'ray'}: pip install 'deocclusion_d2[ray]'"
        ) from None


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Be part of a cluster while a ``with`` lasts; one that the process is part of is kept."""
    import ray

    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            _require_answer(address)
            ray.init(address=address, **quiet)
        else:
            # It reports to nobody, and its own processes' notes are no concern of the user's.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
            os.environ.setdefault("RAY_COLOR_PREFIX", "0")
            # Of two cores at least, as an actor holds one and Ray's own tasks need another.
            cores = max(2, usable_cores())
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = f"--ray-address {address}" if address else "a Ray cluster on this machine"
        raise UserError(f"{where}: it cannot be reached: {str(error).splitlines()[0]}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT, for which Ray would wait many minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=30).close()


@contextlib.contextmanager
def _settings(files: InputFiles) -> Iterator[None]:
    """Ray Data's settings, while a ``with`` lasts: order as in the input, blocks of a fit size."""
    import ray

    context = ray.data.DataContext.get_current()
    before = context.execution_options.preserve_order, context.target_max_block_size
    cores = max(1, _room(ray.cluster_resources(), "CPU"))
    block = files.size // (cores * _BLOCKS_PER_CORE)
    context.execution_options.preserve_order = True
    context.target_max_block_size = min(max(block, _LEAST_BLOCK), _LARGEST_BLOCK)
    # Errors are said here, in a line; what is left is how far it is, where no bar can be shown.
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    logging.getLogger(_PROGRESS_LOG).setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        context.execution_options.preserve_order, context.target_max_block_size = before


class _Told(Exception):
    """A user's error on its way out of a worker. Ray adds lines of its own to an error's text."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """In workers: what the user caused and can mend becomes a line."""
    try:
        yield
    except Exception as error:
        line = one_line(error)
        if line is None:
            raise
        raise _Told(line) from None


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Here: a line that a worker told is a UserError; so is what cannot be read or written."""
    import pyarrow
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        cause: BaseException | None = getattr(error, "cause", None)
        if isinstance(cause, _Told):
            raise UserError(cause.line) from None
        if isinstance(cause, (OSError, pyarrow.ArrowException)):
            raise UserError(_first_line(cause)) from None
        raise
    except pyarrow.ArrowException as error:
        raise UserError(_first_line(error)) from None


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]


# -------------------------------------------------------------------- tables of rows


# Fields that are one JSON each, as they are of many kinds.
_AS_JSON = {"about", "image", "record", "categories", "photo", "ids"}


def _schema(kind: type[ImageRow] | type[ConvertedRow]) -> pyarrow.Schema:
    import pyarrow as pa

    types = {
        "items": pa.list_(pa.int64()),
        "annotations": pa.list_(pa.string()),
        "lines": pa.list_(pa.string()),
        "gives_categories": pa.bool_(),
    }
    fields = [f.name for f in dataclasses.fields(kind)]
    return pa.schema([(name, types.get(name, pa.string())) for name in fields])


def _table(rows: list[R]) -> pyarrow.Table:
    import pyarrow as pa

    def written(name: str, value: Any) -> Any:
        if name == "tally":
            value = value.counted()
        elif name not in _AS_JSON or value is None:
            return value
        return json.dumps(value)

    schema = _schema(type(rows[0]))
    columns = [[written(name, getattr(row, name)) for row in rows] for name in schema.names]
    return pa.table(dict(zip(schema.names, columns, strict=True)), schema=schema)


def _rows(table: pyarrow.Table, kind: type[R]) -> list[R]:
    def read(name: str, value: Any) -> Any:
        if name == "tally":
            return Tally.from_dict(json.loads(value))
        return json.loads(value) if name in _AS_JSON and value is not None else value

    return [kind(**{n: read(n, v) for n, v in row.items()}) for row in table.to_pylist()]


def _in_tables(rows: Iterable[R]) -> Iterator[pyarrow.Table]:
    rows = iter(rows)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield _table(some)


# -------------------------------------------------------------------- files -> rows


def _found(job: RayJob, files: InputFiles, prepared: _Prepared) -> ray.data.Dataset:
    """The rows of all files, in their order."""
    import ray

    how = {"batch_format": "pyarrow", "num_cpus": 0}
    how["concurrency"] = max(1, _room(ray.cluster_resources(), "CPU") // _CORES_PER_READER)
    if files.are_tables:
        filesystem = None if files.is_local else _filesystem(files.names[0])[0]
        names = [_filesystem(name)[1] for name in files.names]
        tables = ray.data.read_parquet(
            names, filesystem=filesystem, include_paths=True, partitioning=None, num_cpus=0
        )
        read = partial(_rows_of_tables, job=job, uses_rgb=prepared.uses_rgb)
        return tables.map_batches(read, batch_size=None, **how)
    items = [{"file": name} for name in files.names]
    # As many as tasks, up to some 200; of more files some together.
    blocks = min(len(items), max(200, len(items) // 64))
    read = partial(_rows_of_files, job=job, uses_rgb=prepared.uses_rgb)
    found = ray.data.from_items(items, override_num_blocks=blocks)
    return found.map_batches(read, batch_size=1, **how)


def _rows_of_files(batch: pyarrow.Table, job: RayJob, uses_rgb: bool) -> Iterator[pyarrow.Table]:
    with _telling():
        for file in batch["file"].to_pylist():
            yield from _in_tables(_rows_of_file(file, job, uses_rgb))


def _rows_of_tables(batch: pyarrow.Table, job: RayJob, uses_rgb: bool) -> Iterator[pyarrow.Table]:
    with _telling():
        _refuse_objects(batch.schema, job.input)
        for table in batch.to_batches(_ROWS_AT_ONCE):
            yield from _in_tables(
                row
                for given in table.to_pylist()
                for row in _rows_of_table_row(given, given.pop("path"), job, uses_rgb)
            )


def _refuse_objects(schema: pyarrow.Schema, name: str) -> None:
    """Refuse columns of Ray's own types: taking a value out of one may run what a file holds."""
    import pyarrow as pa

    types = [field.type for field in schema]
    while types:
        kind = types.pop()
        if isinstance(kind, pa.ExtensionType):
            raise UserError(
                f"{name}: it holds {kind.extension_name}: write lists, numbers and text"
            )
        types += [kind.field(number).type for number in range(kind.num_fields)]


def _rows_of_file(
    file: str, job: RayJob, uses_rgb: bool, most: int | None = None
) -> Iterator[ImageRow]:
    """The rows of a JSON, or of a file of JSON lines.

    Args:
        most: where given, only so many, of images with annotations: at equal distances in a
            document, else the first ones.
    """
    if file.lower().endswith(_LINES):
        rows = _rows_of_lines(file, job, uses_rgb)
        yield from rows if most is None else islice(_with_annotations(rows), most)
        return
    with _document(file) as document:
        if is_row(document):
            with document.open() as content:
                row = json.load(content)
            yield from _rows_of_row(row, file, job, uses_rgb)
            return
        root = _image_root(file, job)
        index = read_index(document, job.format, root, job.skip_invalid)
        only = None
        if most is not None:
            images = images_with_annotations(index)
            only = {images[n] for n in chosen_scenes(len(images), most)}
        yield from rows_of(index, root if uses_rgb else None, only=only)


def _rows_of_lines(file: str, job: RayJob, uses_rgb: bool) -> Iterator[ImageRow]:
    import fsspec

    with fsspec.open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{file}: line {number} is no JSON: {error}") from None
            yield from _rows_of_row(row, file, job, uses_rgb)


def _rows_of_table_row(
    given: dict[str, Any], file: str, job: RayJob, uses_rgb: bool
) -> Iterator[ImageRow]:
    # A column that a row has no value of is a key that it has not; so it is in structs.
    yield from _rows_of_row(_without_nulls(given), file, job, uses_rgb)


def _without_nulls(value: Any) -> Any:
    """A value of a table as JSON has it."""
    if isinstance(value, dict):
        return {key: _without_nulls(v) for key, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _rows_of_row(row: Any, file: str, job: RayJob, uses_rgb: bool) -> Iterator[ImageRow]:
    root = _image_root(file, job)
    index = read_index(document_of_row(row, file), job.format, root, job.skip_invalid)
    for found in rows_of(index, root if uses_rgb else None, knows_all_names=False):
        if found.about is not None:
            found.about["sha256"] = None  # of no file
        yield found


def _with_annotations(rows: Iterable[ImageRow]) -> Iterator[ImageRow]:
    return (row for row in rows if row.image is not None and row.items)


def _image_root(file: str, job: RayJob) -> Path:
    return job.image_root or Path(file).parent


@contextlib.contextmanager
def _document(file: str) -> Iterator[NamedDocument]:
    """A JSON as a local file, copied here where it lies elsewhere."""
    filesystem, path, is_local = _filesystem(file)
    if is_local:
        yield NamedDocument(file, Path(path))
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "document.json"
        filesystem.get_file(path, str(copy))
        yield NamedDocument(file, copy)


def _filesystem(address: str) -> tuple[AbstractFileSystem, str, bool]:
    """(file system, path on it, whether it is the local one) of a path or an fsspec address."""
    import fsspec

    if "::" in address and "://" in address:
        raise UserError(f"{address}: an address in another cannot be read: copy or unpack it")
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise UserError(f"{address}: {error}") from None
    names = filesystem.protocol
    names = {names} if isinstance(names, str) else set(names)
    if "memory" in names:
        raise UserError(f"{address}: other processes do not see this one's memory: use files")
    return filesystem, path, "file" in names


# -------------------------------------------------------------------- the method


@dataclass(frozen=True)
class _Prepared:
    """What all actors know before they begin.

    Attributes:
        settings: of the method, for ``info``.
        calibration: what was measured on the input, JSON-able; None where nothing is.
        uses_rgb: whether images are read.
        uses_default_network: whether the network is that of the package.
    """

    settings: dict[str, Any]
    calibration: dict[str, Any] | None
    uses_rgb: bool
    uses_default_network: bool


def _prepare_on_cluster(job: RayJob, files: InputFiles) -> _Prepared:
    import ray

    # Where an actor would be: this process may be on a machine without a GPU, or with less memory.
    task = ray.remote(**_resources(job))(_prepare)
    return ray.get(task.remote(_for_device(job), files))


def _prepare(job: RayJob, files: InputFiles) -> _Prepared:
    with _telling():
        one_thread()
        method = Method.build(job)
        deoccluder, settings = method.deoccluder, dict(method.settings)
        calibration = None
        if deoccluder.needs_calibration:
            rows = _sample(replace(job, skip_invalid=True), files, deoccluder.uses_rgb)
            found = deoccluder.calibration(scenes_reader(rows), len(rows))
            calibration = found.to_json()
            settings |= deoccluder.calibrated(found).describe()
        return _Prepared(settings, calibration, deoccluder.uses_rgb, method.uses_default_network)


def _sample(job: RayJob, files: InputFiles, uses_rgb: bool) -> list[ImageRow]:
    """Images that stand for the whole input when something is measured on it, 1,000 at most.

    Of one document they are those that ``convert`` takes: at equal distances. Of several files as
    many of each, at equal distances again; of more files than that, files at equal distances. Of
    files of rows they are the first rows, as finding others would mean to read all.
    """
    chosen = [files.names[number] for number in chosen_scenes(len(files.names))]
    most = math.ceil(ENOUGH_SCENES / len(chosen))
    rows: list[ImageRow] = []
    for file in chosen:
        if files.are_tables:
            found = islice(_with_annotations(_first_of_table(file, job, uses_rgb)), most)
        else:
            found = _rows_of_file(file, job, uses_rgb, most)
        rows += _with_annotations(found)
    return [rows[number] for number in chosen_scenes(len(rows))]


def _first_of_table(file: str, job: RayJob, uses_rgb: bool) -> Iterator[ImageRow]:
    import fsspec
    import pyarrow.parquet as pq

    with fsspec.open(file, "rb") as content, pq.ParquetFile(content) as table:
        _refuse_objects(table.schema_arrow, file)
        for batch in table.iter_batches(_ROWS_AT_ONCE):
            for given in batch.to_pylist():
                yield from _rows_of_table_row(given, file, job, uses_rgb)


def _for_device(job: RayJob) -> RayJob:
    """The job as an actor sees it, with the processor as the device where it has no GPU."""
    if not job.uses_network or "num_gpus" in _resources(job):
        return job
    # Unless the user's own overrides name a device.
    return replace(job, opts=("MODEL.DEVICE", "cpu", *job.opts))


def _resources(job: RayJob) -> dict[str, int]:
    """What an actor holds: a GPU, or a core."""
    import ray

    if job.on_gpus and job.uses_network and _room(ray.cluster_resources(), "GPU"):
        return {"num_gpus": 1}
    return {"num_cpus": 1}


def _room(resources: dict[str, float], name: str) -> int:
    return int(resources.get(name, 0))


class _Converter:
    """An actor: weights and config are read once, then rows are converted, block by block."""

    def __init__(self, job: RayJob, prepared: _Prepared, packed: bool) -> None:
        one_thread()
        self._job = job
        self._packed = packed
        self._deoccluder = Method.build(job).deoccluder
        if prepared.calibration is not None:
            found = RequestCalibration.from_json(prepared.calibration)
            self._deoccluder = self._deoccluder.calibrated(found)

    def __call__(self, block: pyarrow.Table) -> Iterator[pyarrow.Table]:
        as_polygons = self._job.segmentation == "polygons"
        with _telling():
            for rows in _at_once(_rows(block, ImageRow)):
                found = convert_rows(rows, self._deoccluder, self._job.skip_invalid, as_polygons)
                yield _packed(list(found)) if self._packed else _table(list(found))


def _at_once(rows: Iterable[ImageRow]) -> Iterator[list[ImageRow]]:
    """Rows in lists of about ``INSTANCES_AT_ONCE`` items."""
    some: list[ImageRow] = []
    count = 0
    for row in rows:
        some.append(row)
        count += len(row.items)
        if count >= INSTANCES_AT_ONCE:
            yield some
            some, count = [], 0
    if some:
        yield some


def _converted(
    rows: ray.data.Dataset, job: RayJob, prepared: _Prepared, files: InputFiles
) -> ray.data.Dataset:
    import ray

    resources = _resources(job)
    room = _room(ray.cluster_resources(), "GPU" if "num_gpus" in resources else "CPU")
    if files.are_tables:
        room -= 1  # Ray lists Parquet files by a task that needs a core.
    worth = files.size // _LEAST_BLOCK
    # From there on it is Ray that starts and ends them, within the cluster's room.
    first = max(1, min(room, worth, job.num_workers or room))
    return rows.map_batches(
        _Converter,
        fn_constructor_args=(_for_device(job), prepared, not job.writes_json),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=job.num_workers, initial_size=first
        ),
        **resources,
    )


# -------------------------------------------------------------------- output


# What a row of the written Parquet files holds; all texts, but for the size in pixels.
#   file         the input that it is of
#   image_id, file_name, height, width
#   image        JSON of the image record, every key of it
#   annotations  JSON of the list of its annotations
#   categories   JSON of the COCO categories that they name
#   tally        JSON of what was counted in converting it
#   about        JSON of what its document says as a whole, in the first row of each document
def _packed(rows: list[ConvertedRow]) -> pyarrow.Table:
    import pyarrow as pa

    number = {"height": pa.int32(), "width": pa.int32()}
    names = ("file", "image_id", "file_name", "height", "width", "image", "annotations",
             "categories", "tally", "about")  # fmt: skip
    schema = pa.schema([(name, number.get(name, pa.string())) for name in names])
    return pa.Table.from_pylist(list(map(_as_written, rows)), schema=schema)


def _as_written(row: ConvertedRow) -> dict[str, Any]:
    image = row.image or {}
    return {
        "file": row.file,
        "image_id": str(image["id"]) if image else None,
        **{key: image.get(key) for key in ("file_name", "height", "width")},
        "image": None if row.record is None else dump_json(row.record),
        "annotations": "[" + ", ".join(filter(None, row.lines)) + "]",
        "categories": dump_json(row.categories),
        "tally": dump_json(row.tally.counted()),
        "about": None if row.about is None else json.dumps(row.about),
    }


@dataclass(frozen=True)
class _Output:
    """Where the result goes.

    Attributes:
        path: on the file system.
        is_local: whether that is the local one.
    """

    filesystem: AbstractFileSystem
    path: str
    is_local: bool

    @classmethod
    def check(cls, job: RayJob, files: InputFiles) -> _Output:
        """Find what would stop it from being written, or what it would destroy.

        Raises:
            UserError: saying what to do.
        """
        output = cls(*_filesystem(job.output))
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
        elif os.path.splitext(output.path)[1].lower() not in ("", *_TABLES):
            raise UserError(
                f"{job.output}: name a .json, or a folder (or NAME.parquet) for Parquet files"
            )
        else:
            output._check_folder(job, inputs)
        return output

    def _check_folder(self, job: RayJob, inputs: Inputs) -> None:
        if not self.is_local:
            if self.filesystem.exists(self.path):
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
        other = [name for name in there if name != _SUCCESS and not name.endswith(_TABLES)]
        if other:
            raise UserError(f"{job.output} holds {other[0]}, no Parquet file: name another folder")
        clean_leftovers(path.parent, [path.name])


def _write_json(
    rows: ray.data.Dataset, job: RayJob, prepared: _Prepared, files: InputFiles, path: Path
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
            for row in _rows(table, ConvertedRow):
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


def _write_tables(
    rows: ray.data.Dataset, job: RayJob, prepared: _Prepared, output: _Output
) -> ConversionResult:
    import pyarrow.dataset

    where = contextlib.nullcontext(output.path)
    if output.is_local:
        where = whole_folder(output.path)
    with where as folder:
        filesystem = None if output.is_local else output.filesystem
        rows.write_parquet(str(folder), filesystem=filesystem, min_bytes_per_file=_BYTES_PER_FILE)
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
        if len(np.unique(np.asarray(seen, np.int64))) != len(seen):
            raise UserError(f"{job.input}: an image id occurs twice in a file: number them all")
        info = _info(totals, job, prepared)
        result = ConversionResult(job.output, totals.tally, info, totals.doubts)
        with output.filesystem.open(f"{folder}/{_SUCCESS}", "w") as file:
            file.write(dump_json(result.to_json()))
    return result


def _info(totals: Totals, job: RayJob, prepared: _Prepared) -> dict[str, Any]:
    """What the output says about the conversion, once all rows are there."""
    totals.check(job.input)
    about = totals.describe(job.input.rstrip("/").rpartition("/")[2], job.segmentation)
    info = {"version": __version__, **about, **prepared.settings}
    if totals.tally.overlaps is not None:
        info["overlaps"] = totals.tally.overlaps.to_json()
    return info
