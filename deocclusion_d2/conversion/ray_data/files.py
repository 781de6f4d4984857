"""The files of an input: local, or at an fsspec address."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UserError
from .cluster import first_line

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


# Endings of files that hold documents; of files that hold a row per line; of tables of rows.
_DOCUMENTS, LINES, TABLES = (".json",), (".jsonl", ".ndjson"), (".parquet",)


@dataclass(frozen=True)
class InputFiles:
    """The files of an input.

    Attributes:
        names: full paths or addresses, sorted.
        size: of all, in bytes.
        is_local: whether they are on the local file system.
        folder: that they were looked for in, with all below it; None of a file or a glob.
    """

    names: list[str]
    size: int
    is_local: bool
    folder: str | None = None

    @classmethod
    def find(cls, pattern: str) -> InputFiles:
        """
        Args:
            pattern: a file, folder or glob.

        Raises:
            UserError: there is none, or they are of several kinds.
        """
        filesystem, path, is_local = filesystem_of(pattern)
        known = _DOCUMENTS + LINES + TABLES
        with errors_of_store(pattern, is_local):
            found = _sizes(filesystem, path)
            is_folder = filesystem.isdir(path)
        if not found:
            raise UserError(f"{pattern}: there is no such file ({', '.join(known)})")
        names = sorted(found)
        other = next((name for name in names if not name.lower().endswith(known)), None)
        if other is not None:
            raise UserError(f"{other}: not a file of {', '.join(known)}: name those by a glob")
        for name in names:
            if not is_text(name):
                raise UserError(f"{name}: its name is no UTF-8: give it another")
        tables = [name for name in names if name.lower().endswith(TABLES)]
        if 0 < len(tables) < len(names):
            raise UserError(
                f"{pattern}: it holds Parquet files and others, such as {tables[0]}: name those of "
                "one kind by a glob, such as 'FOLDER/*.json'"
            )
        size = sum(found.values())
        full = names if is_local else [filesystem.unstrip_protocol(name) for name in names]
        folder = path if is_local else filesystem.unstrip_protocol(path)
        return cls(full, size, is_local, folder if is_folder else None)

    @property
    def can_be_several(self) -> bool:
        """Whether they may hold more than one document."""
        return len(self.names) > 1 or not self.names[0].lower().endswith(_DOCUMENTS)


def _sizes(filesystem: AbstractFileSystem, path: str) -> dict[str, int]:
    """The files that a path means, and their sizes in bytes."""
    if filesystem.isfile(path):
        found = {path: filesystem.info(path)}
    elif filesystem.isdir(path):
        known = _DOCUMENTS + LINES + TABLES
        found = filesystem.find(path, detail=True)
        # The others are of programs, such as SUCCESS, and what is still being written.
        found = {n: i for n, i in found.items() if not _is_hidden("/" + n[len(path) :])}
        found = {n: i for n, i in found.items() if n.lower().endswith(known)}
    else:
        found = filesystem.glob(path, detail=True)
        found = {name: info for name, info in found.items() if info["type"] == "file"}
    return {name: info.get("size") or 0 for name, info in found.items()}


def _is_hidden(name: str) -> bool:
    return "/." in name or name.rpartition("/")[2].startswith("_")


def is_text(name: str) -> bool:
    """Whether all of it can be written as UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def errors_of_store(address: str, is_local: bool) -> Iterator[None]:
    """Where an address is not local, whatever goes wrong there is a UserError.

    Every store has errors of its own, such as of keys that are missing.
    """
    try:
        yield
    except Exception as error:
        if is_local or isinstance(error, UserError):
            raise
        raise UserError(f"{address}: {first_line(error)}") from None


def filesystem_of(address: str) -> tuple[AbstractFileSystem, str, bool]:
    """(file system, path on it, whether it is the local one) of a path or an fsspec address."""
    import fsspec

    if not address:
        raise UserError("--input or --output is empty: name a file or a folder")
    if "::" in address and "://" in address:
        raise UserError(f"{address}: an address in another cannot be read: copy or unpack it")
    with errors_of_store(address, "://" not in address):
        filesystem, path = fsspec.core.url_to_fs(address)
    names = filesystem.protocol
    names = {names} if isinstance(names, str) else set(names)
    if "memory" in names:
        raise UserError(f"{address}: other processes do not see this one's memory: use files")
    return filesystem, path, "file" in names
