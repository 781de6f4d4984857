"""Rows of ``conversion.rows`` as tables of Arrow, in which Ray hands them on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from ..rows import ConvertedRow, ImageRow
from ..tally import Tally

if TYPE_CHECKING:
    import pyarrow

R = TypeVar("R", ImageRow, ConvertedRow)
# Rows are handed on in tables of so many, and put together to blocks.
ROWS_AT_ONCE = 16
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


def table_of(rows: list[R]) -> pyarrow.Table:
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


def rows_in(table: pyarrow.Table, kind: type[R]) -> list[R]:
    def read(name: str, value: Any) -> Any:
        if name == "tally":
            return Tally.from_dict(json.loads(value))
        return json.loads(value) if name in _AS_JSON and value is not None else value

    return [kind(**{n: read(n, v) for n, v in row.items()}) for row in table.to_pylist()]


def in_tables(rows: Iterable[R]) -> Iterator[pyarrow.Table]:
    rows = iter(rows)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield table_of(some)
