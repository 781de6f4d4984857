"""Files that appear complete or not at all, JSON files that are there or not, and checksums."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from .errors import UserError


@contextmanager
def whole_file(path: str | Path, folder: Path | None = None) -> Iterator[Path]:
    """A file to write, which takes its place when the block ends, and survives a power cut then.

    After an error ``path`` is as it was.

    Args:
        path: the file.
        folder: where it grows, on the same file system; its own folder when not given, which is
            made where it is missing.

    Raises:
        UserError: ``path`` cannot be written.
    """
    path = Path(path)
    unfinished = None
    try:
        if folder is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        # The name is this call's alone: several may write into one folder.
        name = f".{path.name}.{uuid.uuid4().hex}.tmp"
        unfinished = (folder or path.parent) / name
        unfinished.touch(exist_ok=False)
        yield unfinished
        _sync(unfinished)
        os.replace(unfinished, path)
        _sync(path.parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)


@contextmanager
def whole_text_file(path: str | Path, folder: Path | None = None) -> Iterator[TextIO]:
    """A text file of ASCII, opened for writing; see ``whole_file``."""
    with (
        whole_file(path, folder) as unfinished,
        unfinished.open("w", encoding="ascii", newline="\n") as file,
    ):
        yield file


def read_json_file(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        UserError: one line that names the file.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file: {error}") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
