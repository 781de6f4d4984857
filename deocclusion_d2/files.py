"""Files that appear complete or not at all, and checksums."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

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
        growing = (folder or path.parent) / f".{path.name}.{uuid.uuid4().hex}.tmp"
        growing.touch(exist_ok=False)
        unfinished = growing
        yield unfinished
        _sync(unfinished)
        os.replace(unfinished, path)
        _sync(path.parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Find what would stop a file from being written when all is done; its folder is made.

    Raises:
        UserError: the path is a folder, or its folder cannot be made or written to.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file as --output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {path.parent} cannot be made: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"the folder {path.parent} is not writable")


@contextmanager
def whole_text_file(path: str | Path, folder: Path | None = None) -> Iterator[TextIO]:
    """A text file of ASCII, opened for writing; see ``whole_file``."""
    with (
        whole_file(path, folder) as unfinished,
        unfinished.open("w", encoding="ascii", newline="\n") as file,
    ):
        yield file


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
