"""Files that appear complete or not at all."""

from __future__ import annotations

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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
