"""Files -> rows of one image each, as tasks of Ray."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import UserError
from ...inference.calibration import chosen_scenes
from ...json_files import JsonStream, NamedDocument
from ..document_index import read_index
from ..rows import ImageRow, document_of_row, images_with_annotations, is_row, rows_of
from .cluster import first_line, room_for, telling
from .files import LINES, TABLES, InputFiles, errors_of_store, filesystem_of
from .job import RayJob
from .tables import ROWS_AT_ONCE, in_tables

if TYPE_CHECKING:
    import pyarrow
    import ray.data


# Reading is light beside converting: it takes none of the cores, but a task for so many.
_CORES_PER_READER = 4


def rows_of_input(job: RayJob, files: InputFiles, uses_rgb: bool) -> ray.data.Dataset:
    """The rows of all files, in their order.

    Parquet files are read here, too. Ray's own reader takes the columns of the first files for
    those of all, and goes by addresses, in which '#' and '?' are no part of a name.
    """
    import ray

    how = {"batch_format": "pyarrow", "num_cpus": 0}
    how["concurrency"] = max(1, room_for(ray.cluster_resources(), "CPU") // _CORES_PER_READER)
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


def rows_of_file(
    file: str, job: RayJob, uses_rgb: bool, most: int | None = None
) -> Iterator[ImageRow]:
    """The rows of a JSON, of JSON lines, or of a Parquet file.

    Args:
        most: where given, only so many, of images with annotations: at equal distances in a
            document, else the first ones.
    """
    if file.lower().endswith(LINES + TABLES):
        given = _lines(file) if file.lower().endswith(LINES) else _table_rows(file)
        rows = (
            row for place, raw in given for row in _rows_of_row(raw, file, place, job, uses_rgb)
        )
        yield from rows if most is None else islice(with_annotations(rows), most)
        return
    with _document(file) as document:
        if is_row(document):
            stream = JsonStream(document, ())
            list(stream.items())
            yield from _rows_of_row(stream.top, file, "", job, uses_rgb)
            return
        root = _image_root(file, job)
        index = read_index(document, job.format, root, job.skip_invalid)
        only = None
        if most is not None:
            images = images_with_annotations(index)
            only = {images[n] for n in chosen_scenes(len(images), most)}
        yield from rows_of(index, root if uses_rgb else None, only=only)


def _lines(file: str) -> Iterator[tuple[str, Any]]:
    """(place in the file for messages, row) of JSON lines."""
    with _opened(file) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"line {number}: ", _row_of_line(line, f"{file}: line {number}")


def _row_of_line(line: bytes, name: str) -> Any:
    twice: list[str] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Of the object that is ended last, the row, as in a file; deeper down the last one counts.
        twice[:] = [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]
        return dict(pairs)

    try:
        row = json.loads(line, object_pairs_hook=made)
    except RecursionError:
        raise UserError(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise UserError(f"{name} is no JSON: {error}") from None
    if twice and isinstance(row, dict):
        raise UserError(f"{name}: the key {twice[0]!r} stands twice")
    return row


def _table_rows(file: str) -> Iterator[tuple[str, Any]]:
    """As ``_lines``, of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = count(1)
    try:
        with _opened(file) as content, pq.ParquetFile(content) as table:
            _check_columns(table.schema_arrow, file)
            for batch in table.iter_batches(ROWS_AT_ONCE, use_threads=False):
                for row in batch.to_pylist():
                    place = f"row {next(numbers)}: "
                    yield place, _as_json(row, f"{file}: {place}")
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{file}: cannot be read as Parquet: {first_line(error)}") from None


def _check_columns(schema: pyarrow.Schema, file: str) -> None:
    """Refuse columns of Ray's own types: taking a value out of one may run what a file holds."""
    import pyarrow as pa

    twice = [name for name, n in Counter(schema.names).items() if n > 1]
    if twice:
        raise UserError(f"{file}: the column {twice[0]!r} stands twice")
    types = [field.type for field in schema]
    while types:
        kind = types.pop()
        if isinstance(kind, pa.ExtensionType):
            raise UserError(
                f"{file}: it holds {kind.extension_name}: write lists, numbers and text"
            )
        types += [kind.field(number).type for number in range(kind.num_fields)]


def _as_json(value: Any, name: str, column: str = "") -> Any:
    """A value of a table as JSON has it.

    What a row has no value of is a key that it has not; so it is in structs.
    """
    if isinstance(value, dict):
        return {k: _as_json(v, name, column or k) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_as_json(v, name, column) for v in value]
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode()
        raise UserError(f"{name}'{column}' holds bytes that are no text: leave that column out")
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise UserError(f"{name}'{column}' holds a {type(value).__name__}: write it as text")


def _rows_of_row(
    row: Any, file: str, place: str, job: RayJob, uses_rgb: bool
) -> Iterator[ImageRow]:
    root = _image_root(file, job)
    try:
        index = read_index(document_of_row(row, file), job.format, root, job.skip_invalid)
    except UserError as error:
        raise UserError(f"{file}: {place}{str(error).removeprefix(f'{file}: ')}") from None
    for found in rows_of(index, root if uses_rgb else None, knows_all_names=False):
        if found.about is not None:
            found.about["sha256"] = None  # of no file
            if not (found.gives_categories or (index.image_of_item >= 0).any()):
                found.about["categories"] = []  # nothing has those that are assumed
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
        with errors_of_store(file, is_local):
            filesystem.get_file(path, str(copy))
        yield NamedDocument(file, copy)


@contextlib.contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    filesystem, path, is_local = filesystem_of(file)
    with errors_of_store(file, is_local), filesystem.open(path, "rb") as content:
        yield content
