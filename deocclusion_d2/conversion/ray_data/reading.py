"""Files -> rows of one image each, as tasks of Ray."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...inference.calibration import chosen_scenes
from ...json_files import NamedDocument
from ..document_index import read_index
from ..rows import ImageRow, document_of_row, images_with_annotations, is_row, rows_of
from .cluster import room_for, telling
from .files import LINES, InputFiles, filesystem_of
from .job import RayJob
from .tables import ROWS_AT_ONCE, in_tables

if TYPE_CHECKING:
    import pyarrow
    import ray.data


# Reading is light beside converting: it takes none of the cores, but a task for so many.
_CORES_PER_READER = 4


def rows_of_input(job: RayJob, files: InputFiles, uses_rgb: bool) -> ray.data.Dataset:
    """The rows of all files, in their order."""
    import ray

    how = {"batch_format": "pyarrow", "num_cpus": 0}
    how["concurrency"] = max(1, room_for(ray.cluster_resources(), "CPU") // _CORES_PER_READER)
    if files.are_tables:
        filesystem = None if files.is_local else filesystem_of(files.names[0])[0]
        names = [filesystem_of(name)[1] for name in files.names]
        tables = ray.data.read_parquet(
            names, filesystem=filesystem, include_paths=True, partitioning=None, num_cpus=0
        )
        read = partial(_rows_of_tables, job=job, uses_rgb=uses_rgb)
        return tables.map_batches(read, batch_size=None, **how)
    items = [{"file": name} for name in files.names]
    # As many as tasks, up to some 200; of more files some together.
    blocks = min(len(items), max(200, len(items) // 64))
    read = partial(_rows_of_files, job=job, uses_rgb=uses_rgb)
    found = ray.data.from_items(items, override_num_blocks=blocks)
    return found.map_batches(read, batch_size=1, **how)


def _rows_of_files(batch: pyarrow.Table, job: RayJob, uses_rgb: bool) -> Iterator[pyarrow.Table]:
    with telling():
        for file in batch["file"].to_pylist():
            yield from in_tables(rows_of_file(file, job, uses_rgb))


def _rows_of_tables(batch: pyarrow.Table, job: RayJob, uses_rgb: bool) -> Iterator[pyarrow.Table]:
    with telling():
        _refuse_objects(batch.schema, job.input)
        for table in batch.to_batches(ROWS_AT_ONCE):
            yield from in_tables(
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


def rows_of_file(
    file: str, job: RayJob, uses_rgb: bool, most: int | None = None
) -> Iterator[ImageRow]:
    """The rows of a JSON, or of a file of JSON lines.

    Args:
        most: where given, only so many, of images with annotations: at equal distances in a
            document, else the first ones.
    """
    if file.lower().endswith(LINES):
        rows = _rows_of_lines(file, job, uses_rgb)
        yield from rows if most is None else islice(with_annotations(rows), most)
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


def first_of_table(file: str, job: RayJob, uses_rgb: bool) -> Iterator[ImageRow]:
    import fsspec
    import pyarrow.parquet as pq

    with fsspec.open(file, "rb") as content, pq.ParquetFile(content) as table:
        _refuse_objects(table.schema_arrow, file)
        for batch in table.iter_batches(ROWS_AT_ONCE):
            for given in batch.to_pylist():
                yield from _rows_of_table_row(given, file, job, uses_rgb)


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


def with_annotations(rows: Iterable[ImageRow]) -> Iterator[ImageRow]:
    return (row for row in rows if row.image is not None and row.items)


def _image_root(file: str, job: RayJob) -> Path:
    return job.image_root or Path(file).parent


@contextlib.contextmanager
def _document(file: str) -> Iterator[NamedDocument]:
    """A JSON as a local file, copied here where it lies elsewhere."""
    filesystem, path, is_local = filesystem_of(file)
    if is_local:
        yield NamedDocument(file, Path(path))
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "document.json"
        filesystem.get_file(path, str(copy))
        yield NamedDocument(file, copy)
